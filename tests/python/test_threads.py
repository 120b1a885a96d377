"""Threads: calls run side by side, readers see whole versions, and handles may close under a call."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hither
import numpy as np

SEED = 11


def run_all(*jobs: Callable[[], None]) -> None:
    """Runs each job in a thread of its own; the first exception is raised here."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result()


def test_other_threads_run_during_a_call(tmp_path: Path) -> None:
    """A thread waits inside the library for what only this thread can do. Held, the GIL would make it a time-out."""
    holder = hither.connect(tmp_path / "t.hither")
    opened: list[hither.Database] = []
    thread = threading.Thread(target=lambda: opened.append(hither.connect(tmp_path / "t.hither", timeout=60)))
    thread.start()
    while True:
        assert thread.ident is not None
        frame = sys._current_frames().get(thread.ident)
        if frame is not None and frame.f_code.co_name == "_call":
            break
        time.sleep(0.001)
    time.sleep(0.05)  # from the line that calls into the call
    holder.close()
    thread.join()
    assert len(opened) == 1
    opened[0].close()


def test_readers_see_whole_versions(db: hither.Database) -> None:
    rows, versions = 40, 60
    c = db.collection("c", dim=4, metric="l2")
    ids = [f"row{n}" for n in range(rows)]
    rng = np.random.default_rng(SEED)
    vectors = rng.normal(size=(rows, 4)).astype(np.float32)
    c.upsert(ids, vectors, metadata=[{"v": 0}] * rows)
    done = threading.Event()

    def write() -> None:
        try:
            for version in range(1, versions):
                c.upsert(ids, vectors, metadata=[{"v": version}] * rows)
        finally:
            done.set()

    def read(look: Callable[[], list[hither.Hit]]) -> Callable[[], None]:
        def loop() -> None:
            last = 0
            while not done.is_set():
                seen = [hit.metadata["v"] for hit in look()]
                assert len(seen) == rows
                assert len(set(seen)) == 1
                assert seen[0] >= last
                last = seen[0]

        return loop

    run_all(
        write,
        *[read(lambda: list(c.search([0, 0, 0, 0], k=rows)))] * 5,
        *[read(lambda: list(c.scan(batch=7)))] * 4,
        *[read(lambda: list(c.get(ids)))] * 3,
        *[read(lambda: list(c.search_many(vectors[:2], k=rows)[1]))] * 3,
    )
    assert c.search([0, 0, 0, 0], k=1)[0].metadata == {"v": versions - 1}


def test_writers_queue(db: hither.Database) -> None:
    c = db.collection("c", dim=1)

    def write(writer: int) -> Callable[[], None]:
        def loop() -> None:
            for n in range(25):
                c.add([f"{writer}-{n}", f"{writer}-{n}-b"], [[1.0], [2.0]])
                if n % 5 == 4:
                    c.delete(f"{writer}-{n}")

        return loop

    run_all(*[write(writer) for writer in range(8)])
    assert len(c) == 8 * (50 - 5)
    db.verify()


def test_closing_under_calls_is_safe(tmp_path: Path) -> None:
    base = np.random.default_rng(SEED).normal(size=(3000, 32)).astype(np.float32)
    for turn in range(10):
        db = hither.connect(tmp_path / f"{turn}.hither")
        c = db.collection("c", dim=32)
        c.upsert(range(len(base)), base)
        started = threading.Barrier(5)

        def search(c: hither.Collection = c, started: threading.Barrier = started) -> None:
            started.wait()
            try:
                while True:
                    assert len(c.search(base[0], 5)) == 5
            except hither.InvalidError as error:
                assert "is closed" in str(error)

        def close(db: hither.Database = db, started: threading.Barrier = started, turn: int = turn) -> None:
            started.wait()
            time.sleep(0.001 * turn)
            db.close()

        run_all(close, search, search, search, search)


def test_knn_embedder_and_window_from_many_threads() -> None:
    base = np.random.default_rng(SEED).normal(size=(2000, 24)).astype(np.float32)
    wanted = hither.knn(base, base[:50], 5)
    e, w = hither.Embedder(), hither.Window(capacity=256)
    vectors = e(["a text"] * 3)

    def job() -> None:
        for _ in range(5):
            labels, distances = hither.knn(base, base[:50], 5)
            assert np.array_equal(labels, wanted[0])
            assert np.array_equal(distances, wanted[1])
            assert np.array_equal(e(["a text"] * 3), vectors)
            scores = w.push([f"line {n} of many" for n in range(100)])
            assert np.isfinite(scores.novelty).all()
            assert len(set(scores.record.tolist())) == 100

    run_all(*[job] * 8)
    assert w.push("the end").record[0] == 8 * 5 * 100
