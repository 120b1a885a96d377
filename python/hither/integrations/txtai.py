"""An ANN backend for txtai, over one index. Needs txtai.

    Embeddings(path=..., backend="hither.integrations.txtai.Hither")

Settings stand under that same name: ``kind`` ("exact", "hnsw"), ``m``, ``ef_build``, ``bits`` and ``seed`` of the
index, ``dtype`` ("f32"), and ``recall`` and ``ef`` of its searches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from txtai.ann import ANN

from ..index import Index

_BUILD = ("m", "ef_build", "bits", "seed")


class Hither(ANN):
    """txtai's vectors in a hither index. Scores are dot products, which txtai's normalised vectors make cosines.

    Examples
    --------
    >>> import numpy as np
    >>> from txtai.ann import ANNFactory
    >>> ann = ANNFactory.create({"backend": "hither.integrations.txtai.Hither", "dimensions": 2})
    >>> ann.index(np.eye(2, dtype=np.float32))
    >>> ann.search(np.array([[0.6, 0.8]], np.float32), 5)[0][0][0]
    1
    """

    def load(self, path: str) -> None:
        """Open a saved index by mapping its file."""
        self.backend = Index.open(path)

    def index(self, embeddings: NDArray[Any]) -> None:
        """Make a new index of these rows; their ids are 0, 1, ..."""
        given = {name: value for name in _BUILD if (value := self.setting(name)) is not None}
        kind, dtype = self.setting("kind") or "auto", self.setting("dtype") or "f32"
        self.backend = Index(self.config["dimensions"], kind, "dot", dtype, **given)
        self.backend.add(embeddings, wait=False)
        self.backend.build()
        self.config["offset"] = len(embeddings)
        self.metadata({"kind": kind, "dtype": dtype, **given})

    def append(self, embeddings: NDArray[Any]) -> None:
        """Add rows; their ids go on from the last ever given out."""
        offset = self.config["offset"]
        self.backend.add(embeddings, np.arange(offset, offset + len(embeddings)))
        self.config["offset"] = offset + len(embeddings)
        self.metadata()

    def delete(self, ids: Iterable[int]) -> None:
        """Remove rows by id; unknown ids are passed over."""
        self.backend.remove([int(id) for id in ids if id >= 0])

    def search(self, queries: Sequence[Any] | NDArray[Any], limit: int) -> list[list[tuple[int, float]]]:
        """The (id, score) of the `limit` best rows for each query, best first; fewer where there are fewer."""
        asked = {"recall": self.setting("recall"), "ef": self.setting("ef")}
        k = max(1, min(limit, self.count()))
        labels, distances = self.backend.search(np.atleast_2d(np.asarray(queries)), k, **asked)
        return [
            [(id, -distance) for id, distance in zip(row.tolist(), far.tolist(), strict=True) if id >= 0]
            for row, far in zip(labels, distances, strict=True)
        ]

    def count(self) -> int:
        """How many rows there are."""
        return len(self.backend)

    def save(self, path: str) -> None:
        """Write the index into a file."""
        self.backend.save(path)

    def close(self) -> None:
        """Give back memory and file."""
        if self.backend is not None:
            self.backend.close()
        super().close()
