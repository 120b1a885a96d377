"""Three notes in a folder, the two most like a question, and plain arrays: what README.md shows."""

import hither
import numpy as np

with hither.connect("notes.hither") as db:
    notes = db.collection("notes", embedder=hither.Embedder())
    texts = ["a hawk is a bird of prey", "bread rises in a warm oven", "an owl is a bird of the night"]
    notes.upsert(["hawk", "bread", "owl"], documents=texts, metadata=[{"legs": 2}, {"legs": 0}, {"legs": 2}])
    for hit in notes.search("birds of prey", k=2):
        print(hit.id, hit.metadata, hit.document)

rows = np.random.default_rng(1).standard_normal((1000, 64), dtype=np.float32)
labels, distances = hither.knn(rows, rows[:2], k=3, metric="cosine")
print(labels[:, 0], distances.shape)
