"""Concurrent upserts, deletes and reads of one row are linearizable: some order of the calls, each placed between its
beginning and its end, explains every answer. Recorded histories, small ones, checked by trying all orders.
"""

from __future__ import annotations

import os
import random
import threading
import time
from typing import NamedTuple

import hither
import numpy as np

ROUNDS = int(os.environ.get("HITHER_LINEAR_ROUNDS", "60"))
THREADS, CALLS = 4, 4


class Call(NamedTuple):
    kind: str  # "write", "delete", "read", "search"
    value: int | None  # written, or read; None: no such row
    began: float
    ended: float


def explains(history: list[Call]) -> bool:
    """Whether some order of the calls, no call before one that ended before it began, is that of a register."""
    seen: set[tuple[int, int | None]] = set()

    def go(left: int, value: int | None) -> bool:
        if not left:
            return True
        if (left, value) in seen:
            return False
        seen.add((left, value))
        some = [i for i in range(len(history)) if left >> i & 1]
        first_end = min(history[i].ended for i in some)
        for i in some:
            call = history[i]
            if call.began > first_end:
                continue
            if call.kind in ("read", "search"):
                if call.value == value and go(left & ~(1 << i), value):
                    return True
            elif go(left & ~(1 << i), call.value if call.kind == "write" else None):
                return True
        return False

    return go((1 << len(history)) - 1, None)


def test_the_checker_can_fail() -> None:
    """A stale read, and one of a value nobody wrote."""
    one, two = Call("write", 1, 0, 1), Call("write", 2, 2, 3)
    assert explains([one, two, Call("read", 2, 4, 5)])
    assert explains([one, two, Call("read", 1, 2.5, 5)])
    assert not explains([one, two, Call("read", 1, 4, 5)])
    assert not explains([one, Call("read", 3, 0, 5)])
    assert not explains([one, Call("read", None, 2, 3)])
    assert not explains([one, two, Call("read", 2, 2.1, 2.2), Call("read", 1, 2.3, 2.9)])


def do(c: hither.Collection, kind: str, value: int) -> int | None:
    if kind == "write":
        c.upsert([7], np.full((1, 3), value, np.float32), metadata=[{"v": value}])
        return value
    if kind == "delete":
        c.delete([7])
        return None
    hits = c.get([7]) if kind == "read" else c.search(np.zeros(3, np.float32), k=1)
    return int(hits[0].metadata["v"]) if len(hits) else None  # type: ignore[index]


def test_histories_of_one_row() -> None:
    for round in range(ROUNDS):
        with hither.connect(":memory:") as db:
            c = db.collection("c", dim=3, metric="l2")
            history: list[Call] = []
            start = threading.Barrier(THREADS)

            def work(number: int, seed: int = round) -> None:
                choices = random.Random(seed * THREADS + number)
                kinds = choices.choices(["write", "delete", "read", "search"], [4, 1, 3, 3], k=CALLS)
                start.wait()  # noqa: B023
                for at, kind in enumerate(kinds):
                    began = time.perf_counter()
                    value = do(c, kind, 1 + number * CALLS + at)  # noqa: B023 - the threads end in this round
                    history.append(Call(kind, value, began, time.perf_counter()))  # noqa: B023

            workers = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            assert len(history) == THREADS * CALLS
            assert explains(history), sorted(history, key=lambda call: call.began)
