"""What the package promises, call by call; and that a call which raises has changed nothing."""

from __future__ import annotations

import builtins
import copy
import gc
import json
import os
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hither
import numpy as np
import pytest
from hither.errors import BY_STATUS

ALL = ("vector", "metadata", "document")


def contents(c: hither.Collection) -> list[dict[str, Any]]:
    """Everything in a collection, comparable."""
    rows = [hit.to_dict() for hit in c.scan(include=ALL)]
    for row in rows:
        row["vector"] = row["vector"].tolist()
    return rows


# ---- databases


def test_a_database_is_a_mapping_of_collections(db: hither.Database) -> None:
    assert isinstance(db, Mapping)
    assert (list(db), len(db), bool(db)) == ([], 0, True)
    notes = db.collection("notes", dim=3)
    db.collection("Ärger", dim=2, metric="dot")
    assert list(db) == ["notes", "Ärger"]
    assert "notes" in db
    assert "absent" not in db
    assert 3 not in db
    assert db["notes"].name == notes.name == "notes"
    assert [c.dim for c in db.values()] == [3, 2]
    assert db.get("absent") is None
    with pytest.raises(KeyError, match="absent"):
        db["absent"]
    with pytest.raises(hither.NotFoundError):
        db[3]  # type: ignore[index]


def test_collections_open_or_create(db: hither.Database) -> None:
    c = db.collection("x", 3, "l2", "f32")
    assert (c.name, c.dim, c.metric, c.dtype, c.embedder) == ("x", 3, "l2", "f32", None)
    same = db.collection("x")
    assert (same.dim, same.metric) == (3, "l2")
    assert db.collection("x", dim=3, metric="l2").dim == 3
    with pytest.raises(hither.DimensionError):
        db.collection("x", dim=4)
    with pytest.raises(hither.InvalidError):
        db.collection("x", metric="dot")
    with pytest.raises(hither.Error):
        db.collection("without a dimension")
    with pytest.raises(hither.InvalidError, match="metric 'far' is unknown"):
        db.collection("y", dim=3, metric="far")
    with pytest.raises(hither.InvalidError, match="dtype 'f128' is unknown"):
        db.collection("y", dim=3, dtype="f128")
    with pytest.raises(hither.UnsupportedError):
        db.collection("y", dim=3, dtype="f16")
    with pytest.raises(hither.DimensionError):
        db.collection("y", dim=65536)
    with pytest.raises(hither.InvalidError, match="dim is 0"):
        db.collection("y", dim=0)
    for name in ("", "a/b", "a\0b", "a\nb"):
        with pytest.raises(hither.InvalidError):
            db.collection(name, dim=3)
    with pytest.raises(hither.Error):
        db.collection("n" * 256, dim=3)
    with pytest.raises(hither.InvalidError, match="embedder is a str"):
        db.collection("y", embedder="builtin")  # type: ignore[arg-type]
    assert list(db) == ["x"]
    assert db.collection("n" * 255, dim=65535).dim == 65535


def test_drop_and_rename(db: hither.Database, points: hither.Collection) -> None:
    db.rename("points", "dots")
    assert list(db) == ["dots"]
    assert points.name == "dots"
    assert len(points) == 4
    db.collection("other", dim=1)
    with pytest.raises(hither.ExistsError):
        db.rename("dots", "other")
    with pytest.raises(hither.NotFoundError):
        db.rename("points", "other")
    db.drop("dots")
    assert list(db) == ["other"]
    with pytest.raises(hither.NotFoundError):
        points.search([0, 0])
    with pytest.raises(hither.NotFoundError):
        db.drop("dots")
    again = db.collection("dots", dim=5)
    assert len(again) == 0


def test_info_verify_flush_repr(db: hither.Database, points: hither.Collection) -> None:
    db.flush()
    db.verify()
    info = db.info()
    assert info["simd"] == hither.simd()
    assert info["version"] == hither.__version__
    assert info["readonly"] is False
    assert "points" in repr(db)
    assert repr(points) == '<hither.Collection "points": 4 rows, 2 dimensions, l2>'
    points.close()
    assert repr(points) == "<hither.Collection, closed>"
    db.close()
    assert repr(db) == "<hither.Database, closed>"


def test_reopen_knows_everything(tmp_path: Path) -> None:
    path = tmp_path / "kept.hither"
    with hither.connect(path) as db:
        c = db.collection("c", dim=2, metric="dot")
        c.upsert(["x", "y"], [[1, 2], [3, 4]], metadata=[{"a": 1}, None], documents=[None, "text"])
        c.delete("x")
        c.upsert("z", [5, 6])
        before = contents(c)
    with hither.connect(str(path)) as db:
        assert list(db) == ["c"]
        assert db["c"].metric == "dot"
        assert contents(db["c"]) == before
        assert [row["id"] for row in before] == ["y", "z"]
        db.verify()


def test_memory_databases_are_private() -> None:
    with hither.connect(":memory:") as one, hither.connect(":memory:") as other:
        one.collection("c", dim=1)
        assert list(other) == []


def test_close_is_final_and_comes_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "closed.hither"
    db = hither.connect(path)
    c = db.collection("c", dim=1)
    c.upsert([1, 2], [[1.0], [2.0]])
    scan = c.scan(batch=1)
    assert next(scan).id == 1
    hits = c.search([1.0])
    hit = hits[0]
    db.close()
    db.close()
    calls: list[Callable[[], object]] = [
        lambda: list(db), lambda: db.collection("c"), lambda: db["c"], lambda: db.flush(), lambda: db.verify(),
        lambda: c.search([1.0]), lambda: c.upsert(3, [3.0]), lambda: c.upsert([], []), lambda: len(c), lambda: c.get(1),
        lambda: c.get([]), lambda: 1 in c, lambda: "a" in c, lambda: c.delete(1), lambda: c.name, lambda: c.scan(),
        lambda: next(scan), lambda: c.search_many(np.empty((0, 1))),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(hither.InvalidError, match="is closed"):
            call()
    assert hits.ids == [1, 2]  # answers outlive what they came from
    assert hit.distance == 0
    with hither.connect(path) as again:  # and the folder is free, though c and scan still are referenced
        assert len(again["c"]) == 2


def test_a_kept_traceback_keeps_no_folder_locked(tmp_path: Path) -> None:
    db = hither.connect(tmp_path / "t.hither")
    c = db.collection("c", dim=1)
    with pytest.raises(hither.DimensionError) as caught:
        c.upsert(1, [1.0, 2.0])
    db.close()
    hither.connect(tmp_path / "t.hither").close()
    assert caught.value.__traceback__ is not None


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (0, 2, 1, 3)])
def test_garbage_goes_in_any_order(tmp_path: Path, order: tuple[int, ...]) -> None:
    db = hither.connect(tmp_path / "g.hither")
    c = db.collection("c", dim=1)
    c.upsert([1, 2, 3], [[1.0], [2.0], [3.0]])
    things: list[Any] = [db, c, c.scan(batch=1), c.search([1.0])]
    next(things[2])
    del db, c
    for which in order:
        things[which] = None
        gc.collect()
        if things[3] is not None:
            assert things[3].ids == [1, 2, 3]
        if things[1] is not None:
            assert len(things[1]) == 3
    hither.connect(tmp_path / "g.hither").close()


def test_a_collection_works_when_its_database_object_is_gone(tmp_path: Path) -> None:
    def make() -> hither.Collection:
        return hither.connect(tmp_path / "g.hither").collection("c", dim=1)

    c = make()
    gc.collect()
    c.upsert(1, [1.0])
    assert len(c) == 1


def test_readonly(tmp_path: Path) -> None:
    path = tmp_path / "r.hither"
    with pytest.raises(hither.NotFoundError):
        hither.connect(path, readonly=True)
    with hither.connect(path) as db:
        writer = db.collection("c", dim=1)
        writer.upsert(1, [1.0])
        with hither.connect(path, readonly=True) as reader:
            c = reader["c"]
            assert len(c) == 1
            with pytest.raises(hither.ReadonlyError):
                c.upsert(2, [2.0])
            with pytest.raises(hither.ReadonlyError):
                reader.drop("c")
            with pytest.raises(hither.Error):
                reader.collection("new", dim=1)
            writer.upsert(2, [2.0])
            assert len(c) == 2  # a reader follows
            assert reader.info()["readonly"] is True


def test_a_second_writer_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "b.hither"
    child = "import hither, sys, time; db = hither.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    package = str(Path(hither.__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, "-c", child, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": package},
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(hither.BusyError, match=str(process.pid)) as caught:
            hither.connect(path)
        assert isinstance(caught.value, BlockingIOError)
        threading.Timer(0.3, process.stdin.close).start()
        hither.connect(path, timeout=30).close()  # waits until the child has gone
    with pytest.raises(hither.InvalidError, match="timeout is -1"):
        hither.connect(path, timeout=-1)


def test_paths_that_are_no_database(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(hither.NotDatabaseError):
        hither.connect(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "something").write_text("else")
    with pytest.raises(hither.NotDatabaseError):
        hither.connect(tmp_path / "folder")
    assert sorted(p.name for p in (tmp_path / "folder").iterdir()) == ["something"]
    with pytest.raises(hither.NotFoundError):
        hither.connect(tmp_path / "no" / "such" / "parent.hither")
    with pytest.raises(hither.InvalidError, match="NUL"):
        hither.connect("a\0b")
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(PermissionError):
            hither.connect(tmp_path / "locked" / "x.hither")


def test_verify_lists_what_it_found(tmp_path: Path) -> None:
    path = tmp_path / "v.hither"
    with hither.connect(path) as db:
        c = db.collection("c", dim=4)
        c.upsert(range(100), np.arange(400, dtype=np.float32).reshape(100, 4))
    segments = sorted((path / "seg").iterdir())
    needle = np.arange(200, 204, dtype=np.float32).tobytes()
    whole = segments[0].read_bytes()
    at = whole.index(needle)
    segments[0].write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
    with pytest.raises(hither.CorruptError, match="slot 50"):
        hither.connect(path)  # a writer looks at the newest rows before it adds to them
    with hither.connect(path, readonly=True) as db:
        with pytest.raises(hither.CorruptError) as caught:
            db.verify()
        assert caught.value.findings
        place, what = caught.value.findings[0]
        assert place in str(caught.value)
        assert what in str(caught.value)
        assert list(db) == ["c"]  # it stays usable


# ---- writing


def test_add_upsert_update_delete(points: hither.Collection) -> None:
    assert len(points) == points.count() == 4
    assert points.upsert(["b", "e"], [[9, 9], [8, 8]], documents=["new b", "e"]) == 2
    assert points["b"].document == "new b"
    assert points["b"].metadata is None  # an upsert replaces the whole row
    assert points["b"].vector is not None
    assert points["b"].vector.tolist() == [9, 9]
    assert points.update("a", metadata={"n": 10, "new": True}) == 1
    assert points["a"].metadata == {"n": 10, "new": True}
    assert points["a"].document == "first"  # an update leaves the rest
    assert points["a"].vector is not None
    assert points["a"].vector.tolist() == [0, 0]
    points.update(["a"], [[7, 7]])
    assert points["a"].vector.tolist() == [7, 7]
    assert points["a"].metadata == {"n": 10, "new": True}
    assert points.delete(["a", "absent", "e"]) == 2
    assert points.delete("a") == 0
    assert points.delete([]) == 0
    assert sorted(hit.id for hit in points.scan()) == ["b", "c", "d"]


def test_the_last_of_a_repeated_id_wins_an_upsert(points: hither.Collection) -> None:
    points.upsert(["z", "z"], [[1, 1], [2, 2]], documents=["one", "two"])
    assert points["z"].document == "two"
    assert len(points) == 5


def test_writes_that_fail_change_nothing(points: hither.Collection) -> None:
    before = contents(points)
    one, two = [[1, 1]], [[1, 1], [2, 2]]
    nan = [[1, 1], [2, float("nan")]]
    bad: list[tuple[type[hither.Error], str, Callable[[], object]]] = [
        (hither.ExistsError, "'b'|\"b\"", lambda: points.add(["x", "b"], two)),
        (hither.ExistsError, "", lambda: points.add(["x", "x"], two)),
        (hither.NotFoundError, "absent", lambda: points.update(["a", "absent"], two)),
        (hither.DimensionError, "", lambda: points.upsert(["x"], [[1, 2, 3]])),
        (hither.NotFiniteError, "row 1", lambda: points.upsert(["x", "y"], nan)),
        (hither.NotFiniteError, "row 0", lambda: points.upsert(["x"], np.array([[1e300, 0.0]]))),
        (hither.InvalidError, "", lambda: points.upsert([1], one)),
        (hither.InvalidError, "2 ids but 1 vectors", lambda: points.upsert(["x", "y"], one)),
        (hither.InvalidError, "2 ids but 1 documents", lambda: points.upsert(["x", "y"], two, documents=["d"])),
        (hither.InvalidError, "1 ids but 2 metadata", lambda: points.upsert(["x"], one, metadata=[{}, {}])),
        (hither.Error, "", lambda: points.upsert(["x"])),
        (hither.ModelError, "", lambda: points.upsert(["x"], documents=["no embedder"])),
        (hither.SyntaxError, "row 1", lambda: points.upsert(["x", "y"], two, metadata=["{}", "{broken"])),
        (hither.SyntaxError, "row 0", lambda: points.upsert(["x"], one, metadata=["[1]"])),
        (hither.EncodingError, "row 0", lambda: points.upsert(["x"], one, documents=["bad \udc80"])),
        (hither.EncodingError, "row 0", lambda: points.upsert(["x"], one, documents=[b"\xff"])),
        (hither.InvalidError, "metadata 0", lambda: points.upsert(["x"], one, metadata=[{"x": float("nan")}])),
        (hither.InvalidError, "metadata 0", lambda: points.upsert(["x"], one, metadata=[{"x": object()}])),
        (hither.InvalidError, "metadata 0 is a list", lambda: points.upsert(["x"], one, metadata=[[1]])),  # type: ignore[list-item]
        (hither.InvalidError, "documents 0 is a int", lambda: points.upsert(["x"], one, documents=[3])),  # type: ignore[list-item]
        (hither.InvalidError, "", lambda: points.upsert([""], one)),
        (hither.InvalidError, "", lambda: points.upsert(["a\0b"], one)),
        (hither.TooLargeError, "", lambda: points.upsert(["x" * 1025], one)),
        (hither.Error, "", lambda: points.upsert(["x"], one, metadata=["[" * 70 + "]" * 70])),
        (hither.TooLargeError, "", lambda: points.upsert(["x"], one, documents=["x" * (16 * 2**20 + 1)])),
    ]
    for kind, message, call in bad:
        with pytest.raises(kind, match=message or None) as caught:
            call()
        assert caught.value.status == kind.status or kind is hither.Error
    assert contents(points) == before


def test_limits_at_the_limit(db: hither.Database) -> None:
    c = db.collection("x", dim=1)
    c.upsert(["x" * 1024, "é" * 512], [[1.0], [2.0]])
    assert [hit.id for hit in c.scan()] == ["x" * 1024, "é" * 512]
    with pytest.raises(hither.TooLargeError):
        c.upsert(["é" * 513], [[1.0]])
    assert len(c.search([1.0], k=65536)) == 2
    with pytest.raises(hither.TooLargeError):
        c.search([1.0], k=65537)


def test_ids_of_every_shape(db: hither.Database) -> None:
    ints = db.collection("ints", dim=1)
    vector = np.ones((3, 1), np.float32)
    ints.upsert([1, np.int64(2), -(2**63)], vector)  # type: ignore[list-item]
    ints.upsert(np.array([4, 5, 2**63 - 1]), vector)
    ints.upsert(np.arange(20, 26)[::2], vector)
    ints.upsert(np.array([7, 8, 9], np.uint8), vector)
    ints.upsert(range(10, 13), vector)
    ints.upsert((n for n in (14, 15, 16)), vector)
    ints.upsert(17, [1.0])
    assert [hit.id for hit in ints.scan()] == [
        1, 2, -(2**63), 4, 5, 2**63 - 1, 20, 22, 24, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17
    ]  # fmt: skip
    assert 17 in ints
    assert np.int32(17) in ints
    assert "17" not in ints
    assert True not in ints
    assert None not in ints
    words = db.collection("words", dim=1)
    words.upsert(np.array(["a", "bb", "ccc"]), vector)
    words.upsert("dé", [1.0])
    assert [hit.id for hit in words.scan()] == ["a", "bb", "ccc", "dé"]
    assert "dé" in words
    assert "d" not in words
    assert "" not in words
    assert 3 not in words
    for bad in (
        [1, "a"],
        ["a", 1],
        [1.5],
        [None],
        [True],
        [2**63],
        np.array([2**63], np.uint64),
        np.array([1.5]),
        [b"x"],
    ):
        with pytest.raises(hither.InvalidError):
            ints.upsert(bad, np.ones((len(bad), 1)))
        with pytest.raises(hither.InvalidError):
            ints.get(bad)
    with pytest.raises(hither.InvalidError, match="shape"):
        ints.get(np.ones((2, 2), int))
    assert len(ints) == 19


def test_vectors_of_every_shape(db: hither.Database) -> None:
    c = db.collection("x", dim=2)
    wide = np.arange(12, dtype=np.float32).reshape(3, 4)
    wanted = wide[:, 1:3].tolist()
    for vectors in (
        wide[:, 1:3], wide[:, 1:3].tolist(), np.asfortranarray(wide[:, 1:3]), wide[:, 1:3].astype(np.float64),
        wide[:, 1:3].astype(np.float16), wide[:, 1:3].astype(np.int32), wide[:, 1:3].astype(">f8"), tuple(wide[:, 1:3]),
    ):  # fmt: skip
        c.upsert([1, 2, 3], vectors)
        stored = c.get([1, 2, 3], "vector").vectors
        assert stored is not None
        assert stored.tolist() == wanted
    c.upsert([1, 2], np.broadcast_to(np.float32([7, 8]), (2, 2)))
    assert c[2].vector is not None
    assert c[2].vector.tolist() == [7, 8]
    for bad in (np.ones((3, 3)), np.ones((3, 2, 1)), [[1, 2], [3], [4, 5]]):
        with pytest.raises(hither.DimensionError):
            c.upsert([1, 2, 3], bad)
    for bad in (np.ones((2, 2)), np.array([["a", "b"]] * 3), np.ones((3, 2), complex), np.array([[None, None]] * 3)):
        with pytest.raises(hither.InvalidError):
            c.upsert([1, 2, 3], bad)
    with pytest.raises(hither.DimensionError):
        c.upsert([1, 2], [1.0, 2.0])  # one vector, two ids


def test_metadata_comes_back_as_it_was(db: hither.Database) -> None:
    c = db.collection("x", dim=1)
    objects: list[Any] = [
        {},
        {"a": None, "b": [1, 2.5, 'ü\n"', {"c": True}], "big": 2**53 + 1},
        None,
        '{"raw" : 1}',
        {"n": np.float32(0.5)},
        {"a": np.arange(3)},
    ]
    c.upsert(range(6), np.ones((6, 1)), metadata=objects)
    got = [hit.metadata for hit in c.scan()]
    assert got == [{}, objects[1], None, {"raw": 1}, {"n": 0.5}, {"a": [0, 1, 2]}]


def test_nothing_to_write_is_nothing_written(points: hither.Collection) -> None:
    before = contents(points)
    assert points.upsert([], np.empty((0, 2))) == 0
    assert points.add([], [], metadata=[], documents=[]) == 0
    assert points.update([]) == 0
    assert contents(points) == before


# ---- reading


def test_get_keeps_the_order_and_leaves_out_the_unknown(points: hither.Collection) -> None:
    hits = points.get(["d", "absent", "a"])
    assert hits.ids == ["d", "a"]
    assert hits.distances is None
    assert hits.plan == {}
    assert hits.vectors is None
    assert hits.documents == ["", "first"]
    assert hits.metadata == [{}, {"n": 1}]
    assert points.get("a").ids == ["a"]
    assert points.get([]).ids == []
    assert points.get(["absent"]).ids == []
    empty = points.get(["absent"], include="vector").vectors
    assert empty is not None
    assert empty.shape == (0, 2)
    bare = points.get(["a"], include=())
    assert (bare.ids, bare.metadata, bare.documents) == (["a"], [None], [None])
    with pytest.raises(hither.InvalidError, match="include names 'vectors'"):
        points.get(["a"], include=["vectors"])
    with pytest.raises(hither.InvalidError, match="similarities"):
        _ = hits.similarities
    with pytest.raises(KeyError, match="absent"):
        points["absent"]
    with pytest.raises(TypeError, match="scan"):
        iter(points)


def test_search(points: hither.Collection) -> None:
    hits = points.search([0.9, 0], k=3)
    assert isinstance(hits, Sequence)
    assert hits.ids == ["b", "a", "c"]
    assert hits.distances is not None
    assert hits.distances.dtype == np.float32
    np.testing.assert_allclose(hits.distances, [0.01, 0.81, 1.21], rtol=1e-6)
    assert len(hits) == 3
    assert [hit.id for hit in hits[1:]] == ["a", "c"]
    assert hits[-1].id == "c"
    with pytest.raises(IndexError):
        hits[3]
    assert hits[0].metadata == {"n": 2, "deep": {"list": [1, None, "ä"]}}
    assert hits[2].document == "dritte ☃"
    assert hits.vectors is None
    assert hits.plan["kind"] == "exact"
    full = points.search(np.array([[0.9, 0]]), k=100, include=ALL)
    assert full.ids == ["b", "a", "c", "d"]
    assert full.vectors is not None
    assert full.vectors.tolist() == [[1, 0], [0, 0], [2, 0], [4, 0]]
    assert full[0].vector is not None
    assert full[0].vector.tolist() == [1, 0]
    assert full.to_dicts()[1].keys() == {"id", "distance", "metadata", "document", "vector"}
    assert "dritte" in repr(full)
    assert "Hit(id='b'" in repr(full[0])
    assert points.search([0, 0], include=()).documents == [None] * 4


def test_bad_searches(points: hither.Collection) -> None:
    bad: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (hither.InvalidError, "k is 0", lambda: points.search([0, 0], k=0)),
        (hither.InvalidError, "k is a str", lambda: points.search([0, 0], k="3")),  # type: ignore[arg-type]
        (hither.DimensionError, "", lambda: points.search([0, 0, 0])),
        (hither.DimensionError, "search_many", lambda: points.search([[0, 0], [1, 1]])),
        (hither.DimensionError, "", lambda: points.search(3.0)),
        (hither.NotFiniteError, "", lambda: points.search([0, float("inf")])),
        (hither.ModelError, "", lambda: points.search("a text")),
        (hither.ModelError, "", lambda: points.search_many(["a text"])),
        (hither.InvalidError, "search_many takes", lambda: points.search_many("a text")),
        (hither.NotFiniteError, "1", lambda: points.search_many([[0, 0], [0, float("nan")]])),
        (hither.NotFoundError, "absent", lambda: points.similar("absent")),
        (hither.InvalidError, "batch is 0", lambda: points.scan(0)),
        (hither.InvalidError, "include", lambda: points.search([0, 0], include="distance")),
    ]
    for kind, message, call in bad:
        with pytest.raises(kind, match=message or None):
            call()


def test_search_many_and_similar(points: hither.Collection) -> None:
    groups = points.search_many(np.array([[0.1, 0], [4, 1]], np.float32), k=2)
    assert [hits.ids for hits in groups] == [["a", "b"], ["d", "c"]]
    assert groups[0][0].document == "first"
    assert [hits.ids for hits in points.search_many([[0.1, 0]], k=1, threads=1)] == [["a"]]
    assert points.search_many(np.empty((0, 2), np.float32)) == []
    assert points.search_many([]) == []
    similar = points.similar("d", k=2)
    assert similar.ids == ["d", "c"]
    assert similar.distances is not None
    assert similar.distances.tolist() == [0, 4]


def test_an_empty_collection_answers(db: hither.Database) -> None:
    c = db.collection("x", dim=2)
    hits = c.search([1, 2], include=ALL)
    assert (len(hits), hits.ids) == (0, [])
    assert hits.distances is not None
    assert hits.distances.shape == (0,)
    assert hits.vectors is not None
    assert hits.vectors.shape == (0, 2)
    assert [len(hits) for hits in c.search_many([[1, 2], [3, 4]])] == [0, 0]
    assert list(c.scan()) == []
    assert repr(hits) == "Hits([])"
    assert bool(c)
    assert len(c) == 0


def test_similarities(db: hither.Database) -> None:
    vectors = [[1, 0], [0, 2], [-3, 0], [0, 0]]
    cosine = db.collection("cosine", dim=2)
    cosine.upsert(range(4), vectors)
    hits = cosine.search([5, 0])
    assert hits.ids == [0, 1, 3, 2]
    assert hits.similarities.tolist() == [1, 0, 0, -1]  # a zero vector is like nothing: 0
    assert hits[0].similarity == 1
    dot = db.collection("dot", dim=2, metric="dot")
    dot.upsert(range(4), vectors)
    hits = dot.search([0, 5])
    assert hits.ids[0] == 1
    assert hits.similarities.tolist() == [10, 0, 0, 0]
    l1 = db.collection("l1", dim=2, metric="l1")
    l1.upsert(range(4), vectors)
    hits = l1.search([0, 0])
    assert hits.ids == [3, 0, 1, 2]
    with pytest.raises(hither.InvalidError, match="l1"):
        _ = hits.similarities


def test_scan_sees_one_version(points: hither.Collection) -> None:
    scan = points.scan(batch=2, include=ALL)
    first = next(scan)
    points.delete(["b", "c"])
    points.upsert("z", [1, 1])
    assert first.vector is not None
    assert [first.id, *(hit.id for hit in scan)] == ["a", "b", "c", "d"]
    with pytest.raises(StopIteration):
        next(scan)
    assert [hit.id for hit in points.scan(batch=1)] == ["a", "d", "z"]
    scan = points.scan()
    scan.close()


def test_a_hit_is_frozen_and_answers_are_plain_data(points: hither.Collection) -> None:
    hits = points.search([0, 0], k=2, include=ALL)
    with pytest.raises(AttributeError):
        hits[0].id = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del hits[0].id
    copied = pickle.loads(pickle.dumps(hits))
    assert copied.ids == hits.ids
    assert copied[1].metadata == hits[1].metadata
    assert copied.plan == hits.plan
    assert pickle.loads(pickle.dumps(hits[1])).id == hits[1].id
    assert json.dumps(points.search([0, 0]).to_dicts())


# ---- texts


def test_texts_are_embedded(db: hither.Database) -> None:
    e = hither.Embedder()
    notes = db.collection("notes", embedder=e)
    texts = ["a bird of prey", "a loaf of bread", "prey for birds", ""]
    notes.upsert(["a", "b", "c", "d"], documents=texts)
    assert (notes.dim, notes.embedder) == (e.dim, e.name)
    stored = notes.get(["a", "b", "c", "d"], "vector").vectors
    assert stored is not None
    assert stored.tobytes() == e(texts).tobytes()
    hits = notes.search("birds of prey", k=4)
    assert set(hits.ids[:2]) == {"a", "c"}
    labels, distances = hither.knn(stored, e("birds of prey"), 4)
    assert ["abcd"[label] for label in labels] == hits.ids
    assert hits.distances is not None
    assert distances.tobytes() == hits.distances.tobytes()
    assert [h.ids for h in notes.search_many(["bread", "bird"], k=1)] == [["b"], ["a"]]
    notes.upsert("own", np.ones(e.dim), documents="a row may bring its own vector")
    assert notes["own"].vector is not None
    assert notes["own"].vector.tolist() == [1] * e.dim
    assert db["notes"].search("bread", k=1).ids == ["b"]  # found again without naming the embedder


def test_a_changed_document_is_embedded_anew(db: hither.Database) -> None:
    e = hither.Embedder()
    notes = db.collection("notes", embedder=e)
    notes.upsert("a", documents="a bird of prey", metadata={"n": 1})
    notes.update("a", documents="a loaf of bread")
    assert notes["a"].vector is not None
    assert notes["a"].vector.tobytes() == e("a loaf of bread").tobytes()
    assert notes["a"].metadata == {"n": 1}


def test_embedder() -> None:
    e = hither.Embedder()
    vectors = e(["one text", "another", "?!"])
    assert (vectors.shape, vectors.dtype) == ((3, e.dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors[:2], axis=1), 1, rtol=1e-6)
    assert not vectors[2].any()
    assert e("one text").tobytes() == vectors[0].tobytes()
    assert e([]).shape == (0, e.dim)
    assert e(text for text in ["one text"]).shape == (1, e.dim)
    assert e.name in repr(e)
    with pytest.raises(hither.EncodingError, match="1"):
        e(["fine", b"\xff"])
    with pytest.raises(hither.InvalidError, match="text 1 is a int"):
        e(["fine", 3])  # type: ignore[list-item]


def test_an_embedder_must_fit(db: hither.Database) -> None:
    db.collection("plain", dim=384)
    with pytest.raises(hither.ModelError):
        db.collection("plain", embedder=hither.Embedder())
    with pytest.raises(hither.DimensionError):
        db.collection("new", dim=3, embedder=hither.Embedder())
    assert list(db) == ["plain"]


# ---- errors and the rest


def test_every_status_has_an_error() -> None:
    header = (Path(__file__).parents[2] / "include" / "hither.h").read_text()
    enum = header[header.index("typedef enum hither_status") : header.index("} hither_status")]
    assert set(re.findall(r"^ +HITHER_(\w+)", enum, re.MULTILINE)) - {"OK"} == set(BY_STATUS)
    for kind in BY_STATUS.values():
        error = kind("what was wrong", 5)
        assert isinstance(error, hither.Error)
        assert str(error) == "what was wrong"
        assert error.os_errno == 5
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (kind, "what was wrong")


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        ("NotFoundError", KeyError), ("InvalidError", ValueError), ("DimensionError", ValueError), ("IoError", OSError),
        ("PermissionError", PermissionError), ("NoMemoryError", MemoryError), ("TimeoutError", TimeoutError),
        ("UnsupportedError", NotImplementedError), ("ExistsError", ValueError), ("BusyError", OSError),
    ],
)  # fmt: skip
def test_errors_are_the_builtin_that_fits(error: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(hither, error), builtin)


def test_pickling_is_refused_with_advice(points: hither.Collection, db: hither.Database) -> None:
    things = (db, points, points.scan(), hither.Embedder(), hither.Window())
    for thing in things:
        with pytest.raises(TypeError, match="process"):
            pickle.dumps(thing)
        with pytest.raises(TypeError, match="process"):
            copy.copy(thing)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_is_told_to_connect_anew(tmp_path: Path) -> None:
    db = hither.connect(tmp_path / "f.hither")
    c = db.collection("c", dim=1)
    c.upsert(1, [1.0])
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            c.search([1.0])
        except hither.ForkedError:
            db.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert c.search([1.0]).ids == [1]  # and the parent goes on
    c.upsert(2, [2.0])
    db.close()


def test_import_star_hides_no_builtin() -> None:
    assert not set(hither.__all__) & set(dir(builtins))
    for name in hither.__all__:
        assert getattr(hither, name).__doc__
