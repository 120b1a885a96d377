"""The writer that test_kill.py kills.

    kill_child.py DATABASE JOURNAL

Rounds are asked for as killed_rounds.py says. Before each write the child puts "begin ROUND STEP" into the journal, and
"done ROUND STEP" after the call has returned.
"""

from __future__ import annotations

import os
import random
import sys
from typing import Any

import hither
import numpy as np
from killed_rounds import serve

DIM = 8
IDS = 400
SEED = 7


def operation(round_: int, step: int) -> tuple[str, list[str], dict[str, Any]]:
    """What the child does at this step: the parent can work it out as well."""
    rng = random.Random(f"{SEED} {round_} {step}")
    ids = [f"id{rng.randrange(IDS)}" for _ in range(rng.choice([1, 1, 3, 40]))]
    if rng.random() < 0.25:
        return "delete", ids, {}
    vectors = np.array([[rng.randrange(-100, 100) for _ in range(DIM)] for _ in ids], np.float32)
    metadata = [{"round": round_, "step": step, "row": row} for row in range(len(ids))]
    documents = [f"{id} of {round_}/{step}" + " long" * rng.choice([0, 0, 500]) for id in ids]
    return "upsert", ids, {"vectors": vectors, "metadata": metadata, "documents": documents}


def write_until_killed(path: str, journal: int, round_: int) -> None:
    """One round: never returns."""
    c = hither.connect(path).collection("c", dim=DIM, metric="l2")
    step = 0
    while True:
        kind, ids, columns = operation(round_, step)
        os.write(journal, f"begin {round_} {step}\n".encode())
        getattr(c, kind)(ids, **columns)
        os.write(journal, f"done {round_} {step}\n".encode())
        step += 1


def main() -> None:
    path, journal = sys.argv[1], os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    serve(lambda round_: write_until_killed(path, journal, round_))


if __name__ == "__main__":
    main()
