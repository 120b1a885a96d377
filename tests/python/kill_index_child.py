"""What test_kill_index.py kills: builds the index of a collection, and saves an index file, again and again.

    kill_index_child.py FOLDER KIND

Rounds are asked for as killed_rounds.py says.
"""

from __future__ import annotations

import sys

import hither
import numpy as np
from killed_rounds import serve
from numpy.typing import NDArray

DIM = 24
OLD, NEW = 2200, 2600  # rows of the file that is saved over, and of what is saved


def some_rows(count: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(8)
    centres = rng.standard_normal((40, DIM), np.float32)
    near = 0.5 * np.random.default_rng(9).standard_normal((NEW, DIM), np.float32)
    return np.asarray(centres[np.arange(NEW) * 7919 % 40] + near, np.float32)[:count]


def work(folder: str, kind: str, round_: int) -> None:
    """One round: never returns. Some only build, some only save."""
    c = hither.connect(f"{folder}/db.hither").collection("c", dim=DIM, metric="l2")
    index = hither.Index(DIM, kind=kind, metric="l2")
    index.add(some_rows(NEW))
    print("begun", flush=True)
    while True:
        if round_ % 2:
            c.create_index(kind, seed=round_)
        else:
            index.save(f"{folder}/rows.hi")


def main() -> None:
    folder, kind = sys.argv[1:]
    serve(lambda round_: work(folder, kind, round_))


if __name__ == "__main__":
    main()
