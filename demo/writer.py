"""An importer that is going to be killed: writer.py DATABASE COLLECTION

It reads JSON lines from standard input, writes them a hundred at a time, and after each batch prints how many rows
hither has acknowledged so far. What it has printed must be there afterwards, whatever happens to it.
"""

import itertools
import json
import sys

import hither

BATCH = 100


def main() -> None:
    database, name = sys.argv[1:]
    collection = hither.connect(database).collection(name, embedder=hither.Embedder())
    acknowledged = 0
    rows = map(json.loads, sys.stdin)
    while batch := list(itertools.islice(rows, BATCH)):
        collection.add([row["id"] for row in batch], documents=[row["gloss"] for row in batch])
        acknowledged += len(batch)
        print(acknowledged, flush=True)


if __name__ == "__main__":
    main()
