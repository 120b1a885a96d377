"""The process that test_backup.py kills: it writes and backs up until then.

    backup_child.py DATABASE FOLDER

Each batch gives all rows the same number, so that half a batch shows. Backups are FOLDER/0, FOLDER/1, ...; a line on
standard output tells of each that is about to begin.
"""

from __future__ import annotations

import sys
import threading

import hither
import numpy as np

IDS = 50
DIM = 4


def write_on(c: hither.Collection) -> None:
    """Never returns."""
    number = 0
    while True:
        number += 1
        c.upsert(list(range(IDS)), np.full((IDS, DIM), number, np.float32), metadata=[{"n": number}] * IDS)


def main() -> None:
    db = hither.connect(sys.argv[1])
    c = db.collection("c", dim=DIM, metric="l2")
    c.upsert(list(range(IDS)), np.zeros((IDS, DIM), np.float32), metadata=[{"n": 0}] * IDS)
    threading.Thread(target=write_on, args=(c,), daemon=True).start()
    number = 0
    while True:
        print(number, flush=True)
        db.backup(f"{sys.argv[2]}/{number}")
        number += 1


if __name__ == "__main__":
    main()
