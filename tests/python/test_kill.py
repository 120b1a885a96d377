"""kill -9 in the middle of writes, again and again: what was acknowledged is there, nothing is half there.

HITHER_KILLS sets how often; 100 if it is not set.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import hither
from kill_child import DIM, SEED, operation

HERE = Path(__file__).parent
KILLS = int(os.environ.get("HITHER_KILLS", "100"))

State = dict[str, tuple[list[float], dict[str, Any], str]]


def after(state: State, round_: int, step: int) -> State:
    """The state one operation later."""
    kind, ids, columns = operation(round_, step)
    state = dict(state)
    for row, id in enumerate(ids):
        if kind == "delete":
            state.pop(id, None)
        else:
            state[id] = (columns["vectors"][row].tolist(), columns["metadata"][row], columns["documents"][row])
    return state


def stored(path: Path) -> State:
    """What the database holds now, checked whole."""
    with hither.connect(path) as db:
        db.verify()
        c = db.collection("c", dim=DIM, metric="l2")
        state: State = {}
        for hit in c.scan(include=("vector", "metadata", "document")):
            assert hit.vector is not None
            assert hit.document is not None
            state[str(hit.id)] = (hit.vector.tolist(), hit.metadata, hit.document)
        assert len(c) == len(state)
        return state


def test_kills_lose_nothing(tmp_path: Path) -> None:
    path, journal = tmp_path / "k.hither", tmp_path / "journal"
    stored(path)
    rng = random.Random(SEED)
    state: State = {}
    written = in_flight = 0
    with subprocess.Popen(
        [sys.executable, str(HERE / "kill_child.py"), str(path), str(journal)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env={**os.environ, "PYTHONPATH": str(Path(hither.__file__).parent.parent)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for round_ in range(KILLS):
            process.stdin.write(f"{round_}\n")
            pid = int(process.stdout.readline())
            # Every other round a write has to come back first; else it may be killed in its first one.
            mark = f"{'done' if round_ % 2 else 'begin'} {round_} "
            while mark not in (journal.read_text() if journal.exists() else ""):
                time.sleep(0.001)
                os.kill(pid, 0)  # it must not have ended by itself
            time.sleep(rng.random() ** 2 * 0.05)
            os.kill(pid, signal.SIGKILL)
            assert process.stdout.readline() == "gone\n"
            lines = [line.split() for line in journal.read_text().splitlines()]
            steps = [(word, int(step)) for word, at, step in lines if int(at) == round_]
            for word, step in steps:
                if word == "done":
                    state = after(state, round_, step)
                    written += 1
            found = stored(path)
            if steps[-1][0] == "begin" and found != state:  # it was committed, and killed before it could say so
                state = after(state, round_, steps[-1][1])
                in_flight += 1
            assert found == state, f"round {round_} of seed {SEED}: not what was acknowledged"
    assert written >= KILLS // 2
    print(f"{KILLS} kills, {written} acknowledged writes, {in_flight} committed but unacknowledged")
