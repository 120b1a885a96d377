"""The plainest search goes a way of its own (plain.c), and answers what the general way does."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import hither
import numpy as np
import pytest
from hither import _core, _search

RNG = np.random.default_rng(10)
ROWS = RNG.standard_normal((300, 8)).astype(np.float32)
TEXTS = [None, "", "a text", "ein Text mit ü", "日本語", "x" * 2000]
OBJECTS = [None, {}, {"n": 1}, {"ü": ["é", None, 2.5]}]


@pytest.fixture
def db() -> Iterator[hither.Database]:
    with hither.connect(":memory:") as db:
        yield db


def filled(db: hither.Database, kind: str, texts: bool, objects: bool) -> hither.Collection:
    c = db.collection("c", 8, metric="l2")
    ids = list(range(300)) if kind == "int" else [f"é{n}" * (1 + n % 3) for n in range(300)]
    c.add(
        ids,
        ROWS,
        documents=[TEXTS[n % 6] for n in range(300)] if texts else None,
        metadata=[OBJECTS[n % 4] for n in range(300)] if objects else None,
    )
    return c


@pytest.mark.parametrize("kind", ["int", "str"])
@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("objects", [False, True])
def test_it_answers_like_the_general_way(db: hither.Database, kind: str, texts: bool, objects: bool) -> None:
    c = filled(db, kind, texts, objects)
    for k in (1, 7, 8, 9, 64, 65, 300, 1000):
        for query in ROWS[:5]:
            plain, general = c.search(query, k), c.search(query.tolist(), k)
            assert plain.ids == general.ids
            assert plain.distances is not None and general.distances is not None
            assert plain.distances.tolist() == general.distances.tolist() and plain.distances.flags.writeable
            assert plain.documents == general.documents and plain.metadata == general.metadata
            assert plain.plan["rows_returned"] == general.plan["rows_returned"] == len(plain)
            assert [hit.to_dict() for hit in plain] == [hit.to_dict() for hit in general]
            assert plain.vectors is None and plain.scores is None and plain.next is None and plain.fields == {}


def test_of_an_empty_collection(db: hither.Database) -> None:
    hits = db.collection("c", 8).search(ROWS[0])
    assert (len(hits), hits.ids, hits.documents, hits.metadata) == (0, [], [], [])
    assert hits.distances is not None and hits.distances.shape == (0,)


def test_a_large_answer_does_not_stay_behind(db: hither.Database) -> None:
    c = db.collection("c", 2)
    c.add(range(3000), np.zeros((3000, 2), np.float32), documents=["x" * 500] * 3000)
    assert c.search(np.ones(2, np.float32), 3000).documents == ["x" * 500] * 3000
    assert c.search(np.ones(2, np.float32), 1)[0].id == 0


def test_what_is_unopened_copies_pickles_and_compares_like_any_other(db: hither.Database) -> None:
    c = filled(db, "int", True, True)
    wanted = c.search(ROWS[0]).to_dicts()
    assert pickle.loads(pickle.dumps(c.search(ROWS[0]))).to_dicts() == wanted
    assert copy.copy(c.search(ROWS[0])).to_dicts() == copy.deepcopy(c.search(ROWS[0])).to_dicts() == wanted
    hits = c.search(ROWS[0])
    with pytest.raises(AttributeError, match="'Hits' object has no attribute 'id'"):
        _ = hits.id  # type: ignore[attr-defined]
    assert hits.to_dicts() == wanted


def test_rows_answered_before_are_as_they_are_now(db: hither.Database) -> None:
    c = filled(db, "int", True, True)
    before = c.search(ROWS[3], 3)
    assert c.search(ROWS[3], 3).to_dicts() == before.to_dicts()
    c.update([before[0].id], metadata=[{"n": 99}], documents=["new"])
    hit = c.search(ROWS[3], 3)[0]
    assert (hit.metadata, hit.document) == ({"ü": ["é", None, 2.5], "n": 99}, "new")
    assert c.search(ROWS[3], 3, include=()).metadata == [None] * 3
    c.delete([before[0].id])
    assert before[0].id not in c.search(ROWS[3], 300).ids


def test_one_answer_opened_by_many_threads(db: hither.Database) -> None:
    c = filled(db, "str", True, True)
    wanted, wrong = c.search(ROWS[0]).to_dicts(), []
    for _ in range(50):
        hits, gate = c.search(ROWS[0]), threading.Barrier(4)

        def look(hits: hither.Hits = hits, gate: threading.Barrier = gate) -> None:
            gate.wait()
            if hits.to_dicts() != wanted:
                wrong.append(hits)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_another_thread_looks_while_an_answer_is_opened(db: hither.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    hits, opened = filled(db, "int", True, True).search(ROWS[0]), _search.opened
    seen: list[Any] = []

    class Slow(_core.Records):
        @property
        def named(self) -> tuple[Any, ...]:
            """Asked for by the first thread when it has set some of what the answer has."""
            other = threading.Thread(target=lambda: seen.append(hits.distances))
            if not looking:
                looking.append(other)
                other.start()
                other.join()
            return ()

        @named.setter
        def named(self, value: tuple[Any, ...]) -> None: ...

    def open_slowly(block: bytearray) -> tuple[_core.Records, bytes]:
        records, plan = opened(block)
        return Slow(records.count, records.ids, records.distances, None, records.metadata, records.documents), plan

    looking: list[threading.Thread] = []
    monkeypatch.setattr(_search, "opened", open_slowly)
    assert len(hits) == 10 and len(seen) == 1 and seen[0].shape == (10,)


def test_with_a_filter(db: hither.Database) -> None:
    """The short way, of an array of float32, and the long one, of a list, find the same rows by a filter."""
    c = db.collection("filtered", dim=2)
    numbers = np.random.default_rng(5)
    c.add(
        range(300), numbers.standard_normal((300, 2)), metadata=[{"n": i % 7, "ä": "ß" * (i % 3)} for i in range(300)]
    )
    query = np.array([1, 2], np.float32)
    for where in ({"n": 3}, {"n": {"$in": []}}, {"ä": "ßß"}, '{"n": {"$lt": 2}}', {"$not": {"n": np.int64(1)}}, None):
        short, long = c.search(query, 20, where=where), c.search(query.tolist(), 20, where=where)
        assert short.ids == long.ids
        assert short.metadata == long.metadata
        assert short.distances.tolist() == long.distances.tolist()
        assert ("filter" in short.plan) == (where is not None)
    for bad in ({}, {"n": {"$gt": [1]}}, "{", "{}\0", 7, {"n": float("nan")}):
        with pytest.raises((hither.InvalidError, hither.SyntaxError), match="where"):
            c.search(query, where=bad)  # type: ignore[arg-type]
    assert len(c.search(query, 1000)) == 300  # and nothing of it stays
