"""Moving a collection to another embedder while it is read and written: old or new whole, nothing lost."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import hither
import numpy as np
import pytest

FIELDS = {"title": hither.Field(3, metric="l2")}


def fill(c: hither.Collection, ids: range) -> None:
    rows = [[float(id), 1.0] for id in ids]
    titles = [[float(id), 0.0, 1.0] for id in ids]
    c.upsert(ids, rows, documents=[f"text number {id} {id}" for id in ids], metadata=[{"n": id} for id in ids],
             fields={"title": titles})  # fmt: skip


def check(c: hither.Collection, ids: set[int]) -> None:
    embedder = hither.Embedder()
    assert (c.dim, c.embedder) == (384, "builtin-1")
    wanted = sorted(ids)
    got = c.get(wanted, include=("vector", "document", "metadata", "title"))
    assert got.ids == wanted
    assert got.vectors is not None
    assert np.array_equal(got.vectors, embedder([f"text number {id} {id}" for id in wanted]))
    assert [hit.metadata["n"] for hit in got] == wanted
    assert [hit.fields["title"].tolist() for hit in got] == [[float(id), 0.0, 1.0] for id in wanted]
    some = wanted[len(wanted) // 2]
    assert c.search(f"text number {some} {some}", k=1).ids == [some]
    assert c.search([float(some), 0, 1], k=1, field="title").ids == [some]


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_moved(place: str, tmp_path: Any) -> None:
    path = ":memory:" if place == "memory" else tmp_path / "a.hither"
    with hither.connect(path) as db:
        c, other = (db.collection("c", dim=2, metric="cosine", fields=FIELDS) for _ in range(2))
        fill(c, range(700))
        c.delete(range(100, 200))
        c.compact()
        fill(c, range(20))  # leaves dead rows behind
        seen: list[tuple[int, int]] = []
        c.reembed(hither.Embedder(), lambda done, total: seen.append((done, total)))
        assert seen and seen[-1][0] <= seen[-1][1]
        ids = set(range(100)) | set(range(200, 700))
        check(c, ids)
        check(other, ids)
        other.upsert([7], documents=["text number 7 7"], metadata=[{"n": 7}], fields={"title": [[7, 0, 1]]})
        check(c, ids)
        db.verify()
        with pytest.raises(hither.DimensionError):
            c.search([0, 1])
        with pytest.raises(hither.DimensionError):
            c.search(np.zeros(2, np.float32))  # as long as it was when the handle was made
        c.compact()
        check(c, ids)
    if place == "disk":
        with hither.connect(path) as db:
            check(db["c"], ids)
            db.verify()
            with pytest.raises(hither.DimensionError, match="384 dimensions"):
                db.collection("c", dim=2)


def test_stopped_or_refused() -> None:
    with hither.connect(":memory:") as db:
        c = db.collection("c", dim=2, fields=FIELDS)
        fill(c, range(600))
        with pytest.raises(hither.InterruptedError):
            c.reembed(hither.Embedder(), lambda done, total: done < 300)
        c.upsert([1000], [[1, 2]])
        with pytest.raises(hither.InvalidError, match="id 1000 has no document"):
            c.reembed(hither.Embedder())
        assert (c.dim, c.embedder, len(c)) == (2, None, 601)
        assert c.search([3.0, 1.0], k=1, where={"n": 3}).ids == [3]
        db.verify()
        c.delete([1000])
        c.reembed(hither.Embedder())
        check(c, set(range(600)))


def test_beside_readers_and_writers(tmp_path: Any) -> None:
    """Rows are all of the old embedder or all of the new one, in every answer; what is written meanwhile is there."""
    with hither.connect(tmp_path / "a.hither") as db:
        c = db.collection("c", dim=2, fields=FIELDS)
        fill(c, range(3000))
        ended = threading.Event()
        wrong: list[str] = []
        written: list[int] = []

        def read() -> None:
            while not ended.is_set():
                vectors = c.get(range(0, 3000, 100), include="vector").vectors
                if vectors is None or len(vectors) != 30 or vectors.shape[1] not in (2, 384):
                    wrong.append(f"{None if vectors is None else vectors.shape}")

        def write() -> None:
            id = 5000
            while not ended.is_set():
                try:
                    fill(c, range(id, id + 1))
                except hither.DimensionError:  # the vectors given here are of the old one
                    break
                written.append(id)
                id += 1

        threads = [threading.Thread(target=work) for work in (read, read, write)]
        for thread in threads:
            thread.start()
        c.reembed(hither.Embedder())
        ended.set()
        for thread in threads:
            thread.join()
        assert not wrong
        check(c, set(range(3000)) | set(written))
        db.verify()


def test_aio() -> None:
    async def main() -> None:
        async with hither.aio.connect(":memory:") as db:
            c = await db.collection("c", dim=2)
            await c.add([1], [[0, 1]], documents=["a hawk"])
            await c.reembed(hither.Embedder())
            assert (await c.search("hawk", k=1)).ids == [1]

    asyncio.run(main())
