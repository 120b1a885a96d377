"""Compaction and purge from Python: space comes back, rows stay, kills and stops leave a sound database.

HITHER_KILLS sets how often a process is killed; 12 if it is not set.
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
"""


def test_kills(tmp_path: Path) -> None:
    """kill -9 during compaction, purge, backup and delete: rows nobody touches stay as they are, all is sound."""
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
        kind = ("compact", "purge", "backup", "delete")[round_ % 4]
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


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small file system needs root")
def test_full_disk(tmp_path: Path) -> None:
    """A file system of 32 MB runs full while rows are written, while it is compacted and purged; then it goes on."""
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(mount)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with hither.connect(mount / "a.hither") as db:
            c = db.collection("c", dim=DIM)
            fill(c, [f"keep{i}" for i in range(1000)], 1)
            n = 0
            ballast = mount / "ballast"
            ballast.write_bytes(b"x" * (6 << 20))  # deleting writes to the log: on a disk that is full it cannot
            with pytest.raises(hither.FullError):
                while True:
                    fill(c, [f"junk{n}-{i}" for i in range(500)], n)
                    n += 1
            assert n > 2
            ballast.unlink()
            c.delete([f"junk{part}-{i}" for part in range(n) for i in range(500)][: n * 500])
            rows = contents(c)
            for kind in ("compact", "purge", "compact"):
                with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
                    while True:
                        file.write(b"x" * 4096)
                try:
                    getattr(db, kind)()
                except hither.FullError:
                    pass
                assert contents(c) == rows
                ballast.unlink()
                getattr(db, kind)()
                db.verify()
                assert contents(c) == rows
            fill(c, [f"more{i}" for i in range(5000)], 2)
            db.verify()
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False)
