"""Sixteen threads at everything at once, cancellation at random moments, and memory over a hundred thousand calls."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from pathlib import Path

import hither
import numpy as np
import pytest

DIM = 8


def rows(numbers: list[int], version: int) -> np.ndarray:
    """What row n holds at a version: whoever reads it can tell both, and whether they belong together."""
    made = np.zeros((len(numbers), DIM), np.float32)
    made[:, 0], made[:, 1] = numbers, version
    made[:, 2] = made[:, 0] + made[:, 1]
    return made


def whole(hit: hither.Hit) -> bool:
    vector = hit.vector
    assert vector is not None
    said = hit.metadata
    return (
        bool(vector[0] == hit.id and vector[2] == vector[0] + vector[1] and said == {"n": hit.id, "v": int(vector[1])})
        and hit.document == f"row {hit.id} of version {int(vector[1])}"
    )


def test_sixteen_threads(tmp_path: Path) -> None:
    """Four write, delete and replace; twelve search, filter, get, scan, count, facet and page; each row is whole."""
    until = time.monotonic() + float(os.environ.get("HITHER_STRESS_SECONDS", "2"))
    wrong: list[BaseException | str] = []
    done = [0] * 16
    with hither.connect(tmp_path / "a") as db:
        c = db.collection("c", dim=DIM, metric="l2")
        everything = ("vector", "metadata", "document")

        def put(write: object, numbers: list[int], version: int) -> None:
            texts = [f"row {n} of version {version}" for n in numbers]
            said = [{"n": n, "v": version} for n in numbers]
            write(numbers, rows(numbers, version), metadata=said, documents=texts)  # type: ignore[operator]

        put(c.upsert, list(range(400)), 0)

        def writer(rng: random.Random, version: int) -> None:
            some = rng.sample(range(400), 20)
            if rng.random() < 0.7:
                put(c.upsert, some, version)
            elif rng.random() < 0.7:
                c.delete(some[:5])
            else:
                c.delete(where={"v": {"$lt": version - 50}})

        def reader(rng: random.Random) -> None:
            query = rows([rng.randrange(400)], rng.randrange(50))[0]
            found = rng.choice(
                [
                    lambda: c.search(query, k=7, include=everything),
                    lambda: c.search(query, k=5, where={"n": {"$gte": 100}}, include=everything),
                    lambda: c.search_many(np.array([query, query]), k=3, include=everything)[1],
                    lambda: c.get(rng.sample(range(400), 9), everything),
                    lambda: c.page(20, include=everything),
                    lambda: list(c.scan(64, include=everything))[:50],
                    lambda: c.search(f"version {rng.randrange(9)}", mode="keyword", k=4, include=everything),
                ]
            )()
            for hit in found:
                if not whole(hit):
                    wrong.append(f"row {hit!r} {hit.vector}")
            assert c.count(where={"n": {"$lt": 400}}) <= 400
            assert sum(c.facets("n", limit=400).values()) <= 400

        def run(number: int) -> None:
            rng = random.Random(number)
            try:
                while time.monotonic() < until and not wrong:
                    writer(rng, done[number]) if number < 4 else reader(rng)
                    done[number] += 1
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong and all(done), (wrong[:3], done)
        db.verify()


def test_sixteen_threads_at_an_index() -> None:
    """Adds, removes, builds and searches of one graph: a label found is one that was there, at its own distance."""
    index = hither.Index(DIM, kind="hnsw", metric="l2")
    index.add(rows(list(range(3000)), 0))
    until = time.monotonic() + 1.0
    wrong: list[BaseException] = []

    def run(number: int) -> None:
        rng = random.Random(number)
        try:
            while time.monotonic() < until:
                if number == 0:
                    label = 3000 + rng.randrange(1000)
                    index.remove([label])
                    index.add(rows([label], 0), [label])
                elif number == 1:
                    index.build()
                else:
                    n = rng.randrange(3000)
                    labels, distances = index.search(rows([n], 0)[0], k=1, recall=1.0)
                    assert (labels[0], distances[0]) == (n, 0.0)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("seed", range(3))
def test_cancelled_anywhere(tmp_path: Path, seed: int) -> None:
    """Tasks of every kind are cancelled at random moments: nothing half, nothing left open, and the loop goes on."""
    rng = random.Random(seed)

    async def main() -> None:
        async with hither.aio.connect(tmp_path / "a") as db:
            c = await db.collection("c", dim=DIM, metric="l2")
            await c.upsert(range(300), rows(list(range(300)), 0), metadata=[{"v": 0}] * 300)

            async def scanned() -> None:
                async for hit in c.scan(32, include=("vector", "metadata")):
                    assert hit.vector is not None and hit.metadata["v"] == hit.vector[1]

            for version in range(1, 40):
                numbers = rng.sample(range(300), 100)
                work = [
                    c.upsert(numbers, rows(numbers, version), metadata=[{"v": version}] * 100),
                    c.search(rows([5], 0)[0], k=3),
                    c.search_many(rows(list(range(50)), 0), k=3),
                    scanned(),
                    c.compact(),
                    db.verify(),
                    c.count(where={"v": {"$gte": 0}}),
                ]
                tasks = [asyncio.create_task(one) for one in work]
                await asyncio.sleep(rng.random() * 0.004)
                for task in rng.sample(tasks, rng.randrange(len(tasks) + 1)):
                    task.cancel()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(
                    one is None or not isinstance(one, BaseException) or isinstance(one, asyncio.CancelledError)
                    for one in outcomes
                ), outcomes
                seen = {hit.metadata["v"] for hit in await c.get(numbers)}
                assert version not in seen or seen == {version}
            assert await c.count() == 300
        async with hither.aio.connect(tmp_path / "a") as db:  # nothing was left open
            await db.verify()

    asyncio.run(main())


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="it reads Linux's /proc")
def test_memory_is_flat_over_a_hundred_thousand_calls() -> None:
    """25,000 rounds of four calls; what the first fifth takes is warming up."""
    given = np.random.default_rng(1).standard_normal((200, DIM)).astype(np.float32)
    index = hither.Index(DIM)
    index.add(given)
    with hither.connect(":memory:") as db:
        c = db.collection("c", dim=DIM)
        c.add(range(200), given, metadata=[{"n": n} for n in range(200)], documents=["a text"] * 200)
        rounds = 25_000
        start = 0
        for n in range(rounds):
            query = given[n % 200]
            index.search(query, 5)
            hits = c.search(query, 5)
            c.get([n % 200])
            try:
                c.search([1.0], 3)
            except hither.DimensionError:
                pass
            if n % 500 == 0:
                assert hits[0].metadata["n"] == hits.ids[0]
            if n == rounds // 5:
                start = resident()
        grown = resident() - start
    assert grown < 4 << 20, f"{grown:,} bytes more after {rounds * 4:,} calls"
