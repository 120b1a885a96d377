"""Backup, restore and repair: copies are sound and hold one commit, and a killed backup leaves no half of one."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import hither
import numpy as np
import pytest
from backup_child import IDS

HERE = Path(__file__).parent
KILLS = 12
SEED = 5


def rows(path: Path) -> list[tuple[object, list[float], object, object]]:
    """All of collection c, of a database that verifies."""
    with hither.connect(path, readonly=True) as db:
        db.verify()
        found = db["c"].scan(include=("vector", "metadata", "document"))
        return [
            (hit.id, [] if hit.vector is None else hit.vector.tolist(), hit.metadata, hit.document) for hit in found
        ]


def fill(path: Path | str, count: int = 30) -> hither.Database:
    db = hither.connect(path)
    c = db.collection("c", dim=3, metric="l2")
    c.add(
        [f"id{i}" for i in range(count)],
        np.arange(count * 3, dtype=np.float32).reshape(count, 3),
        metadata=[{"n": i} if i % 2 else None for i in range(count)],
        documents=[f"text {i}" for i in range(count)],
    )
    return db


def flip_vector(path: Path, row: int) -> None:
    """One bit of a vector in the only segment."""
    segment = path / "seg" / "1-1.vec"
    data = bytearray(segment.read_bytes())
    stride, start = struct.unpack_from("<Q", data, 64)[0], struct.unpack_from("<Q", data, 96)[0]
    data[start + row * stride + 5] ^= 1
    segment.write_bytes(data)


def test_backup_and_restore(tmp_path: Path) -> None:
    source, copy, restored = tmp_path / "a.hither", tmp_path / "copy", tmp_path / "restored"
    with fill(source) as db:
        db.backup(copy)
        with pytest.raises(hither.ExistsError):
            db.backup(str(copy))
        db["c"].delete(["id3"])
    with hither.connect(copy, readonly=True) as db:
        db.backup(restored)
    assert len(rows(source)) == 29
    assert rows(copy) == rows(restored)
    assert len(rows(copy)) == 30
    with hither.connect(restored) as db:
        db["c"].delete(["id3"])
    assert rows(restored) == rows(source)
    assert sorted(os.listdir(tmp_path)) == ["a.hither", "copy", "restored"]


def test_memory_is_saved_to_disk(tmp_path: Path) -> None:
    with fill(":memory:") as db:
        db.backup(tmp_path / "saved")
    assert len(rows(tmp_path / "saved")) == 30


def test_damaged_newest_rows_are_found_read_only(tmp_path: Path) -> None:
    path = tmp_path / "a.hither"
    fill(path).close()
    flip_vector(path, 29)
    with pytest.raises(hither.CorruptError):
        hither.connect(path)
    with hither.connect(path, readonly=True) as db:
        with pytest.raises(hither.CorruptError) as caught:
            db.verify()
        assert [place.split(" (")[0] for place, _ in caught.value.findings] == ["seg/1-1.vec, slot 29"]
        assert db["c"].get(["id3"])[0].document == "text 3"
        with pytest.raises(hither.CorruptError):
            db.backup(tmp_path / "copy")
    assert os.listdir(tmp_path) == ["a.hither"]


def test_repair(tmp_path: Path) -> None:
    path, saved = tmp_path / "a.hither", tmp_path / "saved"
    fill(path).close()
    whole = rows(path)
    assert hither.repair(path, tmp_path / "whole") == []
    assert rows(tmp_path / "whole") == whole
    flip_vector(path, 29)
    flip_vector(path, 4)
    before = {file: (path / file).read_bytes() for file in ("catalog", "catalog-wal", "seg/1-1.vec")}
    findings = hither.repair(path, saved)
    assert [place for place, _ in findings] == [
        "collection 'c', id \"id4\" (slot 4)",
        "collection 'c', id \"id29\" (slot 29)",
    ]
    assert rows(saved) == [row for row in whole if row[0] not in ("id4", "id29")]
    assert before == {file: (path / file).read_bytes() for file in before}
    with pytest.raises(hither.ExistsError):
        hither.repair(path, saved)
    with pytest.raises(hither.NotFoundError):
        hither.repair(tmp_path / "none", tmp_path / "x")


def test_repair_keeps_the_embedder(tmp_path: Path) -> None:
    path = tmp_path / "a.hither"
    with hither.connect(path) as db:
        db.collection("c", embedder=hither.Embedder()).add([1, 2], documents=["a hawk", "the sea"])
    assert hither.repair(path, tmp_path / "b.hither") == []
    with hither.connect(tmp_path / "b.hither") as db:
        assert db["c"].search("hawk", k=1).ids == [1]


def check_batches(path: Path) -> int:
    """The one number that all rows of the database have."""
    found = rows(path)
    numbers = {row[1][0] for row in found} | {row[2]["n"] for row in found if isinstance(row[2], dict)}
    assert len(found) == IDS
    assert len(numbers) == 1, numbers
    return int(numbers.pop())


def test_kills(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    whole = 0
    for round_ in range(KILLS):
        source, folder = tmp_path / f"{round_}.hither", tmp_path / f"copies{round_}"
        folder.mkdir()
        with subprocess.Popen(
            [sys.executable, str(HERE / "backup_child.py"), str(source), str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(hither.__file__).parent.parent)},
        ) as process:
            assert process.stdout is not None
            for _ in range(rng.randrange(1, 4)):
                assert process.stdout.readline().strip().isdigit()
            time.sleep(rng.random() * 0.02)
            process.send_signal(signal.SIGKILL)
        last = -1
        for name in sorted(os.listdir(folder), key=lambda name: int(name.split(".")[0])):
            if ".partial-" in name:
                try:
                    hither.connect(folder / name, readonly=True).close()
                except (hither.NotFoundError, hither.CorruptError, hither.NotDatabaseError):
                    continue
                check_batches(folder / name)  # it lacked nothing but its name
            else:
                number = check_batches(folder / name)
                assert number >= last, f"round {round_} of seed {SEED}: {name} is older than the one before it"
                last = number
                whole += 1
        with hither.connect(source) as db:
            db.verify()
        assert check_batches(source) >= last
    assert whole > 0
