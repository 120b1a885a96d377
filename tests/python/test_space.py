"""Compaction and purge from Python: space comes back, rows stay, kills and stops leave a sound database.

HITHER_KILLS sets how often a process is killed; 15 if it is not set.
"""

from __future__ import annotations

import contextlib
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import hither
import numpy as np
import pytest

KILLS = int(os.environ.get("HITHER_KILLS", "12"))
DIM = 96


def used(path: Path) -> int:
    """Bytes of disk behind the files of a folder."""
    return sum(f.stat().st_blocks * 512 for f in path.rglob("*") if f.is_file())


def fill(c: hither.Collection, ids: list[str], version: int) -> None:
    rng = np.random.default_rng(version)
    c.upsert(
        ids,
        rng.standard_normal((len(ids), DIM)).astype(np.float32),
        metadata=[{"v": version, "id": id} for id in ids],
        documents=[f"{id} {version}" for id in ids],
    )


def contents(c: hither.Collection) -> list[tuple[object, object, object, bytes]]:
    rows = []
    for hit in c.scan(include=("vector", "metadata", "document")):
        assert hit.vector is not None
        rows.append((hit.id, hit.metadata, hit.document, hit.vector.tobytes()))
    return rows


def test_space_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.hither"
    with hither.connect(path) as db:
        c = db.collection("c", dim=DIM)
        ids = [f"id{i}" for i in range(18500)]
        fill(c, ids, 1)
        db.flush()
        before = used(path)
        c.delete(ids[: len(ids) * 9 // 10])
        rows = contents(c)
        calls: list[tuple[int, int]] = []
        db.compact(progress=lambda done, total: calls.append((done, total)))
        assert calls and all(done <= total for done, total in calls)
        assert contents(c) == rows
        assert used(path) <= before * 0.15
        db.verify()
        db.purge()
        db.verify()
        assert contents(c) == rows


def test_stops(tmp_path: Path) -> None:
    with hither.connect(tmp_path / "a.hither") as db:
        c = db.collection("c", dim=DIM)
        fill(c, [f"id{i}" for i in range(500)], 1)
        c.delete([f"id{i}" for i in range(400)])
        with pytest.raises(hither.InterruptedError):
            db.compact(progress=lambda done, total: False)

        def fail(done: int, total: int) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            c.compact(progress=fail)
        with pytest.raises(ZeroDivisionError):
            db.purge(progress=fail)
        with pytest.raises(hither.InvalidError):
            db.purge(timeout=-1)
        db.verify()
        c.compact()
        assert len(c) == 100
        cursor = c.scan()
        next(cursor)
        c.delete(["id450"])
        with pytest.raises(hither.BusyError):
            db.purge(timeout=0)
        cursor.close()
        db.purge()


CHILD = """
import sys, random
import numpy as np, hither
path, kind, seed = sys.argv[1:]
rng = random.Random(int(seed))
db = hither.connect(path)
c = db["c"]
print("ready", flush=True)
n = 0
while True:
    if kind == "delete":
        c.delete([f"junk{rng.randrange(3000)}" for _ in range(200)])
    else:
        ids = [f"junk{rng.randrange(3000)}" for _ in range(400)]
        c.upsert(ids, np.ones((len(ids), c.dim), np.float32), documents=["x" * 300] * len(ids))
        c.delete(ids)
    n += 1
    if kind == "compact":
        db.compact()
    elif kind == "purge":
        db.purge()
    elif kind == "backup":
        db.backup(f"{path}-{seed}-{n}")
    elif kind == "pack":
        db.pack(f"{path}-{seed}-{n}")
"""


def test_kills(tmp_path: Path) -> None:
    """kill -9 during compaction, purge, backup, pack and delete: rows nobody touches stay as they are, all is sound."""
    path = tmp_path / "k.hither"
    rng = random.Random(3)
    with hither.connect(path) as db:
        c = db.collection("c", dim=DIM)
        for part in range(5):  # kept rows among others, so that every segment has some
            fill(c, [f"junk{part}-{i}" for i in range(400)], part)
            fill(c, [f"keep{part}-{i}" for i in range(100)], part)
            c.delete([f"junk{part}-{i}" for i in range(400)])
        kept = contents(c)
    for round_ in range(KILLS):
        kind = ("compact", "purge", "backup", "pack", "delete")[round_ % 5]
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), kind, str(round_)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(hither.__file__).parent.parent)},
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(rng.random() ** 2 * 0.4)
            process.send_signal(signal.SIGKILL)
        with hither.connect(path) as db:
            db.verify()
            rows = [row for row in contents(db["c"]) if str(row[0]).startswith("keep")]
            assert rows == kept, f"round {round_}, {kind}"
        for copy in tmp_path.glob(f"k.hither-{round_}-*"):
            if ".partial-" not in copy.name:
                hither.connect(copy, readonly=True).verify()
    with hither.connect(path) as db:
        db.compact()
        db.verify()


def fill_up(ballast: Path) -> None:
    """Takes every page that the file system has left."""
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(b"x" * 4096)


def full_while_writing(db: hither.Database, c: hither.Collection, ballast: Path) -> None:
    """The disk runs full beneath writes of its own; with space again, what was refused is not there."""
    n = 0
    ballast.write_bytes(b"x" * (6 << 20))  # deleting writes to the log: on a disk that is full it cannot
    with pytest.raises(hither.FullError):
        while True:
            fill(c, [f"junk{n}-{i}" for i in range(500)], n)
            n += 1
    assert n > 2
    assert len(c) == 1000 + n * 500
    ballast.unlink()
    c.delete([f"junk{part}-{i}" for part in range(n) for i in range(500)])
    db.verify()


def full_while(db: hither.Database, c: hither.Collection, mount: Path, work: str) -> None:
    """One piece of work on a full disk, and again with space."""
    rows, copy, ballast = contents(c), mount / "copy", mount / "ballast"
    do = {
        "compact": db.compact,
        "purge": db.purge,
        "backup": lambda: db.backup(copy),
        "pack": lambda: db.pack(copy),
    }[work]
    before = sorted(mount.iterdir())
    fill_up(ballast)
    try:
        do()
        assert not work.startswith(("backup", "pack"))
    except hither.FullError:
        pass
    assert contents(c) == rows
    ballast.unlink()
    assert sorted(mount.iterdir()) == before
    do()
    db.verify()
    assert contents(c) == rows
    if copy.exists():
        with hither.connect(copy, readonly=True) as other:
            other.verify()
            assert contents(other["c"]) == rows
        shutil.rmtree(copy) if copy.is_dir() else copy.unlink()


def full_while_queued(path: Path, ballast: Path) -> None:
    """Writes that were answered before they were committed wait until there is space."""
    with hither.connect(path, durability="relaxed", relaxed_ms=3_600_000) as db:
        c = db["c"]
        fill_up(ballast)
        ids = [f"queued{i}" for i in range(2000)]
        c.upsert(ids, np.ones((2000, DIM), np.float32), documents=["x" * 500] * 2000)
        with pytest.raises(hither.FullError):
            db.flush()
        ballast.unlink()
        db.flush()
        assert "queued1999" in c
        c.delete(ids)
        db.verify()


def full_at_close(path: Path, ballast: Path) -> None:
    """Codes that find no space when the database is closed are not missed."""
    query = np.ones(DIM, np.float32)
    with hither.connect(path) as db:
        c = db["c"]
        fill(c, [f"coded{i}" for i in range(15000)], 5)
        rows, found = contents(c), c.search(query).ids
        fill_up(ballast)
    ballast.unlink()
    for _ in range(2):  # the first makes them anew
        with hither.connect(path) as db:
            db.verify()
            assert contents(db["c"]) == rows
            assert db["c"].search(query).ids == found
    assert list((path / "cache").glob("*.codes"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small file system needs root")
def test_full_disk(tmp_path: Path) -> None:
    """A small file system runs full at every stage; then there is space again, and work goes on.

    The same by a table of files that answers ENOSPC, at every single operation: tests/fault/test_io_errors.c,
    tests/unit/test_backup.c, test_pack.c, test_relaxed.c and test_cache.c, which need no mount.
    """
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(mount)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        path, ballast = mount / "a.hither", mount / "ballast"
        with hither.connect(path) as db:
            c = db.collection("c", dim=DIM)
            fill(c, [f"keep{i}" for i in range(1000)], 1)
            full_while_writing(db, c, ballast)
            for work in ("compact", "purge", "compact", "backup", "pack"):
                full_while(db, c, mount, work)
        full_while_queued(path, ballast)
        full_at_close(path, ballast)
        with hither.connect(path) as db:
            fill(db["c"], [f"more{i}" for i in range(5000)], 2)
            db.verify()
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False)


# ---- Ctrl-C on a terminal

COMMAND = Path(os.environ.get("HITHER_COMMAND") or Path(__file__).parents[2] / "build" / "bin" / "hither")


def at_a_terminal(*words: str | Path, interrupt_after: float | None = None) -> tuple[int, str]:
    """Runs the command on a terminal, where Ctrl-C is typed after a while: its exit status and what it said."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(COMMAND, [str(COMMAND), *map(str, words)])
    if interrupt_after is not None:
        time.sleep(interrupt_after)
        os.write(terminal, b"\x03")
    said = b""
    with contextlib.suppress(OSError):  # EIO: nobody is at the other end any more
        while part := os.read(terminal, 4096):
            said += part
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.decode()


def count_at(path: Path) -> int:
    return int(subprocess.run([COMMAND, "count", path, "c"], capture_output=True, check=True).stdout)


def interrupt(tmp_path: Path, source: Path, *words: str | Path) -> list[Path]:
    """What Ctrl-C at four moments of a piece of work leaves of copies of a database, each found sound."""
    whole = tmp_path / "whole.hither"
    shutil.copytree(source, whole)
    began = time.perf_counter()
    assert at_a_terminal(words[0], whole, *words[1:])[0] == 0
    took = time.perf_counter() - began
    left, stopped = [], 0
    for moment in (0.2, 0.4, 0.6, 0.8):
        path = tmp_path / f"{words[0]}-{moment}.hither"
        shutil.copytree(source, path)
        status, said = at_a_terminal(words[0], path, *words[1:], interrupt_after=took * moment)
        assert status in (0, 130, -signal.SIGINT), said  # over by then; told; before it could be told
        stopped += status == 130
        with hither.connect(path) as db:
            db.verify()
        left.append(path)
    assert stopped > 0
    shutil.rmtree(whole)
    return left


@pytest.mark.skipif(not COMMAND.exists(), reason="the command is not built")
def test_ctrl_c(tmp_path: Path) -> None:
    """compact, purge and import stopped from the keyboard: a sound database, with all that it had or was told to."""
    source, lines = tmp_path / "source.hither", tmp_path / "lines.jsonl"
    with hither.connect(source) as db:
        c = db.collection("c", dim=DIM)
        for part in range(4):
            fill(c, [f"{part}-{i}" for i in range(5000)], part)
        c.delete([f"{part}-{i}" for part in range(4) for i in range(0, 5000, 2)])
        rows = contents(c)
    for work in ("compact", "purge"):
        for path in interrupt(tmp_path, source, work):
            with hither.connect(path) as db:
                assert contents(db["c"]) == rows
                db.compact()
                db.verify()
                assert contents(db["c"]) == rows
            shutil.rmtree(path)
    vector = ",".join(["0.5"] * DIM)
    lines.write_text("".join(f'{{"id":"new{i}","vector":[{vector}]}}\n' for i in range(8000)))
    for path in interrupt(tmp_path, source, "import", "c", lines):
        there = count_at(path) - len(rows)
        with hither.connect(path) as db:  # all up to some line
            assert [f"new{i}" in db["c"] for i in (0, there - 1, there)] == [there > 0, there > 0, False]
        shutil.rmtree(path)
