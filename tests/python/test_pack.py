"""Packs: one file, read-only, the same answers, by many processes at once; a folder again where one is wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import hither
import numpy as np
import pytest

ROWS, DIM = 300, 8
SEARCH = """
import sys, hither, numpy as np
with hither.connect(sys.argv[1]) as db:
    for seed in range(20):
        q = np.random.default_rng(seed).normal(size=8).astype(np.float32)
        print([(h.id, h.distance.hex()) for h in db["c"].search(q, k=5)])
"""


def fill(path: str | Path) -> hither.Database:
    db = hither.connect(path)
    rng = np.random.default_rng(3)
    for name in ("c", "ints"):
        c = db.collection(name, dim=DIM)
        vectors = rng.normal(size=(ROWS, DIM)).astype(np.float32)
        ids = [f"id{i}" for i in range(ROWS)] if name == "c" else list(range(ROWS))
        texts = [None if i % 5 == 0 else f"text {i}" for i in range(ROWS)]
        c.add(ids, vectors, metadata=[{"n": i} for i in range(ROWS)], documents=texts)
        c.delete(ids[10:60])
        c.upsert(ids[:3], vectors[:3])
    return db


def everything(db: hither.Database) -> dict[str, list[tuple[object, ...]]]:
    return {
        name: [
            (hit.id, hit.vector.tolist(), hit.metadata, hit.document)
            for hit in db[name].scan(include=("vector", "metadata", "document"))
        ]
        for name in ("c", "ints")
    }


def test_same_rows(tmp_path: Path) -> None:
    packed, back = tmp_path / "a.pack", tmp_path / "back.hither"
    with fill(tmp_path / "a.hither") as db:
        db.pack(packed)
        with pytest.raises(hither.ExistsError):
            db.pack(packed)
        want = everything(db)
    with hither.connect(packed) as db:
        assert everything(db) == want
        assert db.info()["readonly"] is True
        assert db.info()["path"] == str(packed)
        db.verify()
        with pytest.raises(hither.ReadonlyError):
            db["c"].add(["x"], [[0] * DIM])
        with pytest.raises(hither.ReadonlyError):
            db.collection("new", dim=2)
        assert db["c"].count(where={"n": {"$gte": 290}}) == 10
        db.backup(back)
    with hither.connect(back) as db:
        assert everything(db) == want
        db["c"].add(["x"], [[1] * DIM])
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_many_processes(tmp_path: Path) -> None:
    packed = tmp_path / "a.pack"
    with fill(":memory:") as db:
        db.pack(packed)
        want = [
            str([(h.id, h.distance.hex()) for h in db["c"].search(q, k=5)])
            for q in (np.random.default_rng(seed).normal(size=8).astype(np.float32) for seed in range(20))
        ]
    packed.chmod(0o400)
    runs = [
        subprocess.Popen([sys.executable, "-c", SEARCH, str(packed)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for run in runs:
        assert run.communicate(timeout=60)[0].splitlines() == want
        assert run.returncode == 0


def test_not_packs(tmp_path: Path) -> None:
    packed, other = tmp_path / "a.pack", tmp_path / "other"
    with fill(":memory:") as db:
        db.pack(packed)
    data = packed.read_bytes()
    other.write_bytes(b"")
    with pytest.raises(hither.NotDatabaseError):
        hither.connect(other)
    other.write_bytes(data[:-1])
    with pytest.raises(hither.CorruptError, match="its header says"):
        hither.connect(other)
    other.write_bytes(data[:4100] + b"\x07" + data[4101:])
    with pytest.raises(hither.CorruptError, match="offset 4096"):
        hither.connect(other)
    middle = data.index(b"text 101")
    other.write_bytes(data[:middle] + b"T" + data[middle + 1 :])
    with hither.connect(other) as db, pytest.raises(hither.CorruptError):
        db.verify()
    with hither.connect(other) as db, pytest.raises(hither.CorruptError):
        db.backup(tmp_path / "b.hither")
    assert not (tmp_path / "b.hither").exists()
