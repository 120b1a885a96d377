"""hither.aio: the mirror is complete, a cancelled call has ended and did everything or nothing."""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import random
import subprocess
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import hither
import numpy as np
import pytest
from hither import aio

CLASSES = ["Database", "Collection", "Index", "Window"]

# What is written otherwise: what len() is, what a mapping says, and what has nothing to wait for.
EXTRA = {"Database": {"contains"}, "Collection": {"contains"}, "Index": {"count"}, "Window": {"count"}}


def public(kind: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__[:-1]):
        if base.__module__.startswith(("typing", "builtins")):
            continue
        found.update({name: inspect.getattr_static(kind, name) for name in vars(base) if not name.startswith("_")})
    return found


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    function = function.__func__ if isinstance(function, (classmethod, staticmethod)) else function
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_method_is_there_with_the_same_parameters(name: str) -> None:
    ours, theirs = public(getattr(aio, name)), public(getattr(hither, name))
    missing = set(theirs) - set(ours)
    assert not missing
    assert set(ours) - set(theirs) == EXTRA[name]
    for method, thing in theirs.items():
        mirror = ours[method]
        assert mirror.__doc__, method
        if isinstance(thing, property):  # as it is, or awaited where it asks the library
            assert isinstance(mirror, property) or [p[0] for p in parameters(mirror)] == ["self"]
        elif method == "get" and name == "Database":
            assert [p[0] for p in parameters(mirror)] == ["self", "key", "default"]
        else:
            assert parameters(mirror) == parameters(thing), method


@pytest.mark.parametrize("name", CLASSES)
def test_constructors_take_the_same(name: str) -> None:
    if name in ("Index", "Window"):
        assert parameters(getattr(aio, name).__init__) == parameters(getattr(hither, name).__init__)


@pytest.mark.parametrize("name", ["connect", "repair", "knn", "within"])
def test_functions_take_the_same(name: str) -> None:
    assert parameters(getattr(aio, name)) == parameters(getattr(hither, name))


def test_importing_hither_does_not_import_asyncio() -> None:
    code = (
        "import sys, hither; assert 'asyncio' not in sys.modules; hither.aio.connect; assert 'asyncio' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def test_a_database_from_end_to_end(tmp_path: Path) -> None:
    async def main() -> None:
        rng = np.random.default_rng(1)
        rows = rng.random((50, 4), np.float32)
        async with aio.connect(tmp_path / "a.hither") as db:
            c = await db.collection("points", dim=4)
            assert await c.upsert(list(range(50)), rows, metadata=[{"n": n} for n in range(50)]) == 50
            assert await c.contains(3) and not await c.contains(99) and await c.name() == "points"
            assert (await c[7]).metadata == {"n": 7}
            with pytest.raises(hither.NotFoundError):
                await c[99]
            twin = hither.knn(rows, rows[:3], 5)[0]
            for number, hits in enumerate(await asyncio.gather(*(c.search(rows[n], 5) for n in range(3)))):
                assert hits.ids == twin[number].tolist()
            assert await c.count(where={"n": {"$lt": 10}}) == 10
            assert [hit.id async for hit in c.scan(7)] == list(range(50))
            assert await c.delete([1, 2]) == 2
            seen: list[tuple[int, int]] = []
            await db.purge(lambda done, total: seen.append((done, total)))
            await db.compact()
            await db.verify()
            await db.backup(tmp_path / "b.hither")
            assert await db.keys() == ["points"] and [name async for name in db] == ["points"]
            assert [k for k, _ in await db.items()] == ["points"] and len(await db.values()) == 1
            assert await db.get("none") is None and await db.contains("points")
            with pytest.raises(hither.NotFoundError):
                await db["none"]
            info = await db.info()
            assert info["readonly"] is False
        with pytest.raises(hither.InvalidError):
            await c.count()
        assert "closed" in repr(db)
        again = await aio.connect(tmp_path / "b.hither")
        assert await (await again["points"]).count() == 48
        await again.close()
        assert await aio.repair(tmp_path / "b.hither", tmp_path / "c.hither") == []

    run(main())


def test_index_window_and_arrays(tmp_path: Path) -> None:
    async def main() -> None:
        rows = np.eye(4, dtype=np.float32)
        async with aio.Index(4) as index:
            assert (await index.add(rows)).tolist() == [0, 1, 2, 3]
            assert await index.count() == 4 and await index.remove([3]) == 1
            await index.save(tmp_path / "i")
        async with aio.Index.open(tmp_path / "i") as index:
            labels, _ = await index.search(rows[1], k=1)
            assert labels.tolist() == [1]
            await index.verify()
        wrapped = await aio.Index.wrap(rows)
        assert (await wrapped.explain(rows, k=1))["rows"] == 4
        await wrapped.close()
        assert (await aio.knn(rows, rows, 1))[0].ravel().tolist() == [0, 1, 2, 3]
        window = aio.Window(capacity=10)
        await window.push(["disk full", "disk fine"])
        still = await window.snapshot()
        await window.push(["net down"])
        assert (await still.count(), await window.count()) == (2, 3)
        assert (await window.centroid()).shape == (window.dim,)
        await window.save(tmp_path / "w")
        assert await (await aio.Window.open(tmp_path / "w")).count() == 3

    run(main())


@pytest.mark.parametrize("seed", range(4))
def test_a_cancelled_write_is_there_as_a_whole_or_not_at_all_and_never_later(tmp_path: Path, seed: int) -> None:
    async def main() -> None:
        choose = random.Random(seed)
        rows = np.zeros((40, 8), np.float32)
        begun = ended = 0
        async with aio.connect(":memory:" if seed % 2 else tmp_path / "a.hither") as db:
            c = await db.collection("points", dim=8)
            for batch in range(60):
                ids = list(range(batch * 40, batch * 40 + 40))
                task = asyncio.create_task(c.add(ids, rows))
                for _ in range(choose.randrange(4)):
                    await asyncio.sleep(0)
                if choose.random() < 0.5:
                    await asyncio.sleep(choose.random() * 0.001)
                task.cancel()
                try:
                    await task
                    ended += 1
                except asyncio.CancelledError:
                    pass
                there = len(await c.get(ids, ()))
                assert there in (0, 40)
                begun += there == 40
            assert await c.count() == begun * 40 and ended <= begun
            await db.verify()

    run(main())


def test_a_call_that_waits_for_a_thread_never_begins_once_cancelled() -> None:
    async def main() -> None:
        gate, threads = threading.Event(), min(32, (os.cpu_count() or 1) + 4)
        busy = [asyncio.create_task(aio._run(gate.wait)) for _ in range(threads)]
        await asyncio.sleep(0)
        ran: list[int] = []
        late = asyncio.create_task(aio._run(lambda: ran.append(1)))
        await asyncio.sleep(0.01)
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        gate.set()
        await asyncio.gather(*busy)
        assert not ran

    run(main())


def test_a_running_call_has_ended_when_its_cancellation_comes_out() -> None:
    async def main() -> None:
        gate, ended = threading.Event(), threading.Event()

        def work() -> None:
            gate.wait()
            ended.set()

        task = asyncio.create_task(aio._run(work))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0.01)
        task.cancel()  # and once more, while it is on its way
        asyncio.get_running_loop().call_later(0.02, gate.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    run(main())


def test_long_work_stops_when_cancelled_or_told_to(tmp_path: Path) -> None:
    async def main() -> None:
        async with aio.connect(tmp_path / "a.hither") as db:
            c = await db.collection("points", dim=4)
            for batch in range(4):
                await c.add(list(range(batch * 500, batch * 500 + 500)), np.zeros((500, 4), np.float32))
            await c.delete(list(range(1500)))
            begun = asyncio.Event()

            def first(done: int, total: int) -> None:
                begun.set()

            task = asyncio.create_task(db.compact(first))
            await begun.wait()
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
            await db.verify()

            def wrong(done: int, total: int) -> None:
                raise KeyError("here")

            await c.delete(list(range(1500, 1600)))
            try:
                await db.purge(wrong)
            except KeyError:
                pass
            await db.purge()
            assert await c.count() == 400
            await db.verify()

    run(main())


def test_a_cancelled_backup_is_whole_or_not_there(tmp_path: Path) -> None:
    async def main() -> None:
        async with aio.connect(tmp_path / "a.hither") as db:
            c = await db.collection("points", dim=64)
            await c.add(range(5000), np.zeros((5000, 64), np.float32))
            stopped = 0
            for turn in range(12):
                kind, target = turn % 3, tmp_path / f"{turn}.hither"
                work: Coroutine[Any, Any, Any]
                if kind == 0:
                    work = db.backup(target)
                elif kind == 1:
                    work = aio.repair(tmp_path / "a.hither", target)
                else:
                    work = db.verify()
                task = asyncio.create_task(work)
                await asyncio.sleep(0.002 * (turn // 3))
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    stopped += 1
                made = [path for path in tmp_path.iterdir() if path.name.startswith(f"{turn}.hither")]
                assert made in ([], [target])
                if made:
                    async with aio.connect(target) as copy:
                        await copy.verify()
                        assert await (await copy["points"]).count() == 5000
            assert stopped > 0
            await db.verify()

    run(main())


def test_a_damaged_database_is_told_with_its_findings(tmp_path: Path) -> None:
    async def main() -> None:
        async with aio.connect(tmp_path / "a.hither") as db:
            c = await db.collection("points", dim=64)
            await c.add(range(5), np.ones((5, 64), np.float32))
        with open(tmp_path / "a.hither" / "seg" / "1-1.vec", "r+b") as file:
            content = file.read()
            file.seek(content.index(np.ones(64, np.float32).tobytes()[:64]))
            file.write(b"X")
        async with aio.connect(tmp_path / "a.hither", readonly=True) as db:
            with pytest.raises(hither.CorruptError) as caught:
                await db.verify()
            assert len(caught.value.findings) == 1
        with pytest.raises(hither.ExistsError):
            await aio.repair(tmp_path / "a.hither", tmp_path)
        assert len(await aio.repair(tmp_path / "a.hither", tmp_path / "b.hither")) == 1

    run(main())


def test_a_cancelled_scan_goes_on_where_it_was() -> None:
    async def main() -> None:
        choose = random.Random(5)
        async with aio.connect(":memory:") as db:
            c = await db.collection("points", dim=2)
            await c.add(list(range(300)), np.zeros((300, 2), np.float32))
            scan, seen = c.scan(3), []
            while True:
                task = asyncio.create_task(anext(scan))
                for _ in range(choose.randrange(3)):
                    await asyncio.sleep(0)
                if choose.random() < 0.4:
                    task.cancel()
                try:
                    seen.append((await task).id)
                except asyncio.CancelledError:
                    continue
                except StopAsyncIteration:
                    break
            assert seen == list(range(300))

    run(main())


def test_opening_that_is_cancelled_leaves_no_handle(tmp_path: Path) -> None:
    async def main() -> None:
        for turn in range(20):
            task = asyncio.create_task(aio.connect(tmp_path / "a.hither").__aenter__())
            await asyncio.sleep(0.0005 * (turn % 5))
            task.cancel()
            try:
                await (await task).close()
            except asyncio.CancelledError:
                pass
            await (await aio.connect(tmp_path / "a.hither")).close()  # BusyError if one were left

    run(main())


def test_a_forked_child_gets_threads_of_its_own() -> None:
    async def double(value: int) -> int:
        return await aio._run(lambda: value * 2)

    assert run(double(2)) == 4
    code = (
        "import asyncio, os, sys, warnings; warnings.simplefilter('ignore'); from hither import aio\n"
        "import numpy as np; e = np.eye(2, dtype=np.float32)\n"
        "go = lambda: asyncio.run(aio.knn(e, e, 1))[0].tolist()\n"
        "assert go() == [[0], [1]]\n"
        "pid = os.fork()\n"
        "if pid == 0: os._exit(0 if go() == [[0], [1]] else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_pickling_is_refused() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(aio.Index(2))
    with pytest.raises(TypeError):
        pickle.dumps(aio.Window(2))
