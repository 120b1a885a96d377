"""kill -9 while an index is built and while one is saved: the old one or the new one opens, or exact search answers.

HITHER_INDEX_KILLS sets how often, for each kind; 10 if it is not set.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import hither
import numpy as np
import pytest
from kill_index_child import DIM, NEW, OLD, some_rows

HERE = Path(__file__).parent
KILLS = int(os.environ.get("HITHER_INDEX_KILLS", "10"))
QUERIES = some_rows(NEW)[::100] + np.float32(0.1)


def found(got: list[list[int]], truth: list[list[int]]) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(got, truth, strict=True)]))


def check_collection(folder: Path, truth: list[list[int]]) -> bool:
    """Whether it is searched by an index."""
    with hither.connect(folder / "db.hither") as db:
        db.verify()
        c = db.collection("c", dim=DIM, metric="l2")
        assert [hits.ids for hits in c.search_many(QUERIES, k=10, recall=1)] == truth
        hits = c.search_many(QUERIES, k=10, recall=0.95)
        assert found([one.ids for one in hits], truth) >= 0.95
        return "walk" in c.search(QUERIES[0], k=10, recall=0.95).plan


def check_file(folder: Path, truth: dict[int, list[list[int]]]) -> int:
    """How many rows are in it."""
    with hither.Index.open(folder / "rows.hi") as index:
        index.verify()
        count = len(index)
        assert index.info()["built"] == count
        assert index.search(QUERIES, recall=1)[0].tolist() == truth[count]
        assert found(index.search(QUERIES, recall=0.95)[0].tolist(), truth[count]) >= 0.95
        return count


def kill_one(process: subprocess.Popen[str], round_: int, rng: random.Random, saved: Path | None) -> None:
    """Once it has begun, at a random moment; behind one at which this file has been replaced."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{round_}\n")
    lines = {process.stdout.readline(), process.stdout.readline()}  # the pid and "begun", in either order
    pid = int((lines - {"begun\n"}).pop())
    before = saved.stat().st_ino if saved else 0
    while saved and saved.stat().st_ino == before:
        time.sleep(0.001)
        os.kill(pid, 0)
    time.sleep(rng.random() * 0.15)
    os.kill(pid, 0)  # it must not have ended by itself
    os.kill(pid, signal.SIGKILL)
    assert process.stdout.readline() == "gone\n"


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_kills_while_building_and_saving(kind: str, tmp_path: Path) -> None:
    rng = random.Random(4)
    truth = {}
    for count in (OLD, NEW):
        with hither.Index(DIM, metric="l2") as exact:
            exact.add(some_rows(count))
            truth[count] = exact.search(QUERIES)[0].tolist()
    with hither.connect(tmp_path / "db.hither") as db:
        db.collection("c", dim=DIM, metric="l2").add(range(NEW), some_rows(NEW))
    with hither.Index(DIM, kind=kind, metric="l2") as old:
        old.add(some_rows(OLD))
        old.save(tmp_path / "rows.hi")
    by_index, counts = 0, set()
    with subprocess.Popen(
        [sys.executable, str(HERE / "kill_index_child.py"), str(tmp_path), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env={**os.environ, "PYTHONPATH": str(Path(hither.__file__).parent.parent)},
    ) as process:
        for round_ in range(KILLS):
            last_save = round_ % 2 == 0 and round_ >= KILLS - 2
            kill_one(process, round_, rng, tmp_path / "rows.hi" if last_save else None)
            by_index += check_collection(tmp_path, truth[NEW])
            counts.add(check_file(tmp_path, truth))
    assert NEW in counts
    print(f"{KILLS} kills of {kind}: {by_index} times searched by an index, files of {sorted(counts)} rows")
