"""What earlier versions wrote opens, says what it said, and takes writes: one sample for each change of a format.

tools/make_sample.py wrote them, each with the version whose format it is.
"""

from __future__ import annotations

import importlib.util
import tarfile
from pathlib import Path

import hither
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FIELDS = sorted((ROOT / "tests" / "data").glob("format-*-fields.tar.gz"))
SAMPLES = sorted({*(ROOT / "tests" / "data").glob("format-*.tar.gz")} - {*FIELDS})

spec = importlib.util.spec_from_file_location("make_sample", ROOT / "tools" / "make_sample.py")
assert spec and spec.loader
make_sample = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_sample)


@pytest.fixture(params=SAMPLES, ids=lambda path: path.name.split(".")[0])
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return unpacked(request.param, tmp_path)


def unpacked(sample: Path, folder: Path) -> Path:
    with tarfile.open(sample) as archive:
        if hasattr(tarfile, "data_filter"):  # from 3.11.4 on
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)
    return folder


def test_this_version_has_its_sample() -> None:
    with hither.connect(":memory:") as db:
        assert f"format-{db.info()['format']}.tar.gz" in [path.name for path in SAMPLES]


def everything(db: hither.Database, name: str) -> list[tuple[object, ...]]:
    include = ("vector", "metadata", "document")
    return [
        (hit.id, None if hit.vector is None else hit.vector.tolist(), hit.metadata, hit.document)
        for hit in db[name].scan(include=include)
    ]


def check(db: hither.Database) -> None:
    """The database as it was: it is made again in memory by the same calls, and compared row by row."""
    with hither.connect(":memory:") as twin:
        make_sample.fill(twin)
        assert list(db) == list(twin)
        for name in twin:
            assert everything(db, name) == everything(twin, name)
            old, new = db[name].info(), twin[name].info()
            for fact in ("dim", "metric", "dtype", "id_kind", "embedder", "ttl"):
                assert old.get(fact) == new.get(fact), fact
        query = make_sample.vectors(8, 1)[0]
        for where in (None, {"even": True}):
            old_hits = db["numbers"].search(query, 20, where=where)
            new_hits = twin["numbers"].search(query, 20, where=where)
            assert old_hits.ids == new_hits.ids
            assert old_hits.distances.tobytes() == new_hits.distances.tobytes()  # type: ignore[union-attr]
    assert db["texts"].search("owls", k=1).ids == ["ü"]


def test_a_database(sample: Path) -> None:
    with hither.connect(sample / "rows.hither", readonly=True) as db:
        db.verify()
        check(db)
    with hither.connect(sample / "rows.hither") as db:
        check(db)
        db["numbers"].upsert([1000], [[0.5] * 8])
        db["numbers"].delete([1])
        db.compact()
        db.purge()
        db.verify()
        db.backup(sample / "copy.hither")
        assert hither.repair(sample / "rows.hither", sample / "saved.hither") == []
    for name in ("rows.hither", "copy.hither", "saved.hither"):
        with hither.connect(sample / name) as db:
            assert 1000 in db["numbers"] and 1 not in db["numbers"] and len(db["numbers"]) == make_sample.ROWS - 3


def test_a_pack(sample: Path) -> None:
    with hither.connect(sample / "rows.pack") as db:
        db.verify()
        check(db)


def test_an_index(sample: Path) -> None:
    rows = make_sample.vectors(8)
    with hither.Index.open(sample / "rows.index") as index:
        index.verify()
        kept = np.delete(np.arange(len(rows)), 3)
        labels, distances = index.search(rows, k=5)
        twin_labels, twin_distances = hither.knn(rows[kept], rows, 5, metric="l2")
        assert np.array_equal(labels, kept[twin_labels]) and np.array_equal(distances, twin_distances)


def test_a_window(sample: Path) -> None:
    window = hither.Window.open(sample / "lines.window")
    assert len(window) == 41
    assert window.search("disk failure", k=1).documents == ["disk failure on sda"]
    assert window.push(["GET /item/99 200"]).seen.tolist() == [40]


def fields_of(db: hither.Database) -> list[object]:
    def plain(value: object) -> object:
        return value.tolist() if isinstance(value, np.ndarray) else value

    return [
        (name, hit.id, plain(hit.vector), {field: plain(value) for field, value in hit.fields.items()})
        for name in db
        for hit in db[name].scan(include=("vector", "fields"))
    ]


@pytest.mark.parametrize("path", FIELDS, ids=lambda path: path.name.split(".")[0])
def test_vector_fields(path: Path, tmp_path: Path) -> None:
    folder = unpacked(path, tmp_path)
    with hither.connect(":memory:") as twin:
        make_sample.fill_fields(twin)
        for name in ("rows.hither", "rows.pack"):
            with hither.connect(folder / name, readonly=True) as db:
                db.verify()
                assert fields_of(db) == fields_of(twin)
                for c in (db[name] for name in twin):
                    same = twin[c.name]
                    assert c.info()["fields"] == same.info()["fields"]
                    for field, query in (
                        ("title", [1.0] * 5),
                        ("words", [[1.0] * 3]),
                        ("terms", {7: 1.0, 2**32 - 1: 2}),
                    ):
                        assert c.search(query, 20, field=field).ids == same.search(query, 20, field=field).ids
        with hither.connect(folder / "rows.hither") as db:
            for where in (db, twin):
                where["papers"].update([1, 2], fields={"words": [None, [[1, 2, 3]]], "terms": [{1: 1}, None]})
                where["papers"].compact()
            db.verify()
            assert fields_of(db) == fields_of(twin)
