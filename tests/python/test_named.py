"""Vector fields beside rows' own vectors: random writes, searches and filters against brute force in numpy."""

from __future__ import annotations

from typing import Any

import hither
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

DIMS = {"title": 40, "body": 3}
METRICS = {"title": "l2", "body": "cosine"}
FIELDS = {
    "title": hither.Field(40, metric="l2"),
    "body": 3,
    "tokens": hither.Field(4, kind="multi", most=5),
    "terms": hither.Field(kind="sparse", most=6),
}


def close(a: Any, b: Any, **how: float) -> bool:
    return bool(np.allclose(a, b, **how))


def distances(metric: str, query: Any, row: Any) -> float:
    q, x = np.asarray(query, np.float64), np.asarray(row, np.float64)
    if metric == "l2":
        return float(((q - x) ** 2).sum())
    length = np.linalg.norm(q) * np.linalg.norm(x)
    return float(1 - q @ x / length) if length else 1.0


class Twin:
    """The rows as they should be."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.rows: dict[Any, dict[str, Any]] = {}

    def value(self, name: str) -> Any:
        if self.random.random() < 0.3:
            return None
        if name in DIMS:
            return self.random.standard_normal(DIMS[name]).astype(np.float32)
        if name == "tokens":
            return self.random.standard_normal((self.random.integers(0, 6), 4)).astype(np.float32)
        places = self.random.choice(9, self.random.integers(0, 7), replace=False)
        return {int(place) * 477218588: float(np.float32(self.random.standard_normal())) for place in places}

    def row(self) -> dict[str, Any]:
        return {
            "vector": self.random.standard_normal(2).astype(np.float32),
            "n": int(self.random.integers(0, 4)),
            **{name: self.value(name) for name in FIELDS},
        }

    def write(self, c: hither.Collection, ids: list[int], update: list[str] | None = None) -> None:
        """Upserts rows; or updates what is named of rows that are there."""
        fresh = [self.row() for _ in ids]
        named = {name: [row[name] for row in fresh] for name in (FIELDS if update is None else update)}
        if update is None:
            c.upsert(ids, [row["vector"] for row in fresh], metadata=[{"n": row["n"]} for row in fresh], fields=named)
            self.rows.update(zip(ids, fresh, strict=True))
            return
        c.update(ids, fields=named)
        for id, row in zip(ids, fresh, strict=True):
            kept = {name: row[name] for name in update if row[name] is not None}
            self.rows[id] = {**self.rows[id], **kept}

    def nearest(self, name: str, query: Any, n: int | None) -> list[tuple[float, int]]:
        found = [
            (distances(METRICS[name], query, row[name]), id)
            for id, row in self.rows.items()
            if row[name] is not None and (n is None or row["n"] == n)
        ]
        return sorted(found)


def same(a: Any, b: Any) -> bool:
    if a is None or b is None or isinstance(a, dict):
        return a is b or a == b
    return bool(np.array_equal(a, b))


def check(c: hither.Collection, twin: Twin) -> None:
    got = c.get(sorted(twin.rows), include=("vector", "fields"))
    assert got.ids == sorted(twin.rows)
    for hit in got:
        row = twin.rows[hit.id]
        for name in FIELDS:
            want = row[name]
            assert same(hit.fields[name], None if want is not None and len(want) == 0 else want), (hit.id, name)
    for name in DIMS:
        for n in (None, 2):
            query = twin.random.standard_normal(DIMS[name]).astype(np.float32)
            want = twin.nearest(name, query, n)
            hits = c.search(query, 7, field=name, where=None if n is None else {"n": n})
            assert len(hits) == min(7, len(want))
            assert close(hits.distances, [d for d, _ in want[:7]], rtol=1e-5, atol=1e-6)
            radius = want[len(want) // 2][0] if want else 1.0
            near = c.within(query, radius * 1.0001, field=name, where=None if n is None else {"n": n})
            assert set(near.ids) >= {id for d, id in want if d <= radius * 0.9999}


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_random(seed: int, compact: bool) -> None:
    twin = Twin(seed)
    with hither.connect(":memory:") as db:
        c = db.collection("c", dim=2, metric="l2", fields=FIELDS)
        for _ in range(4):
            ids = twin.random.choice(80, 40, replace=False).tolist()
            twin.write(c, ids)
            there = [id for id in twin.random.choice(80, 20, replace=False).tolist() if id in twin.rows]
            twin.write(c, there, update=["title"])
            twin.write(c, there[:5], update=["body", "tokens", "terms"])
            gone = [id for id in twin.random.choice(80, 6, replace=False).tolist() if id in twin.rows]
            c.delete(gone)
            for id in gone:
                del twin.rows[id]
            if compact:
                c.compact()
            check(c, twin)


def test_kept(tmp_path: Any) -> None:
    twin = Twin(3)
    with hither.connect(tmp_path / "a.hither") as db:
        c = db.collection("c", dim=2, metric="l2", fields=FIELDS)
        twin.write(c, list(range(300)))
        c.set_ttl(0)
        c.upsert([1000], [[0, 0]], metadata=[{"_expires": 1}], fields={"title": [np.zeros(40)]})
        assert 1000 not in c.search(np.zeros(40), 400, field="title").ids
        db.backup(tmp_path / "b.hither")
        db.pack(tmp_path / "c.pack")
    hither.repair(tmp_path / "b.hither", tmp_path / "d.hither")
    for name in ("a.hither", "b.hither", "c.pack", "d.hither"):
        with hither.connect(tmp_path / name) as db:
            check(db["c"], twin)
            db.verify()


def test_other_searches() -> None:
    rows = [[0.0], [1.0], [2.0], [9.0]]
    with hither.connect(":memory:") as db:
        c = db.collection("c", dim=1, metric="l2", fields={"other": hither.Field(1, metric="l2")})
        turned: list[Any] = [*rows[::-1], None]
        texts = ["a hawk", "an owl", "a wren", "a hawk and an owl", "a rook"]
        c.add(range(5), [*rows, [3.0]], metadata=[{"of": i % 2} for i in range(5)], documents=texts,
              fields={"other": turned})  # fmt: skip
        assert c.search([0.0], field="other").ids == [3, 2, 1, 0]
        assert c.similar(0, field="other").ids == [0, 1, 2, 3]
        assert c.recommend([3], [0], k=2, field="other").ids == [2, 1]
        assert c.recommend([3], k=2, strategy="best", field="other").ids == [2, 1]
        assert c.search([0.0], group_by="of", field="other").ids == [3, 2]
        assert c.search([0.0], 2, diversity=1.0, field="other").ids == [3, 0]
        assert c.search([0.0], text="hawk", field="other").ids[0] == 3
        assert set(c.search([0.0], 10, text="rook", field="other").ids) == {0, 1, 2, 3, 4}
        assert [hits.ids[0] for hits in c.search_many([[9.0], [0.0]], field="other")] == [0, 3]
        assert [hit.fields["other"] is None for hit in c.scan(include="other")] == [False] * 4 + [True]
        assert c.page(2, include="fields").fields["other"][1].tolist() == [2.0]
        with pytest.raises(hither.NotFoundError, match="no vector in field 'other'"):
            c.similar(4, field="other")


def test_refused() -> None:
    with hither.connect(":memory:") as db:
        with pytest.raises(hither.InvalidError, match="kind is 'no'"):
            db.collection("c", dim=1, fields={"a": hither.Field(1, kind="no")})
        c = db.collection("c", dim=1, fields=FIELDS)
        assert db.collection("c", fields=FIELDS).info()["fields"][2] == {
            "name": "tokens", "kind": "multi", "dim": 4, "metric": "dot", "most": 5,
        }  # fmt: skip
        for fields, message in (
            ({"nope": [[1]]}, "no vector field 'nope'"),
            ({"title": [[1, 2]]}, "2 dimensions, the field has 40"),
            ({"tokens": [[1, 2, 3, 4]]}, "several vectors"),
            ({"tokens": [np.zeros((6, 4))]}, "6 vectors in field 'tokens', which has room for 5"),
            ({"terms": [{-1: 1}]}, "whole numbers"),
            ({"terms": [([1, 1], [1, 2])]}, "index 1 twice"),
            ({"terms": [dict.fromkeys(range(7), 1.0)]}, "7 entries"),
            ({"terms": [3]}, "a dict from index"),
        ):
            with pytest.raises(hither.Error, match=message):
                c.upsert([1], [[1]], fields=fields)
        assert len(c) == 0
        with pytest.raises(hither.InvalidError, match="include names 'nope'"):
            c.get([1], include="nope")


def max_sim(query: Any, row: Any) -> float:
    return -float((np.asarray(query, np.float64) @ np.asarray(row, np.float64).T).max(axis=1).sum())


def sparse_dot(query: dict[int, float], row: dict[int, float]) -> float:
    return -sum(float(np.float32(value)) * row.get(index, 0.0) for index, value in sorted(query.items()))


def check_blocks(c: hither.Collection, twin: Twin) -> None:
    """Searches of the multi and the sparse field."""
    for name, score in (("tokens", max_sim), ("terms", sparse_dot)):
        for n in (None, 1):
            query = None
            while query is None or not len(query):
                query = twin.value(name)
            want = sorted(
                (score(query, row[name]), id)
                for id, row in twin.rows.items()
                if row[name] is not None and len(row[name]) and n in (None, row["n"])
            )
            where = None if n is None else {"n": n}
            hits = c.search(query, 9, field=name, where=where)
            assert len(hits) == min(9, len(want)), name
            assert close(hits.distances, [d for d, _ in want[:9]], rtol=1e-6, atol=1e-7), name
            for hit, (d, _) in zip(hits, want, strict=False):
                assert np.isclose(score(query, twin.rows[hit.id][name]), d, rtol=1e-6, atol=1e-7)
            if want:
                middle = want[len(want) // 2][0]
                near = c.within(query, middle + 1e-6, field=name, where=where)
                assert set(near.ids) >= {id for d, id in want if d <= middle}
            many = c.search_many([query, query], 3, field=name, where=where)
            assert [m.ids for m in many] == [hits.ids[:3]] * 2


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_random_blocks(seed: int) -> None:
    twin = Twin(seed)
    with hither.connect(":memory:") as db:
        c = db.collection("c", dim=2, metric="l2", fields=FIELDS)
        for step in range(4):
            twin.write(c, twin.random.choice(200, 80, replace=False).tolist())
            there = [id for id in twin.random.choice(200, 30, replace=False).tolist() if id in twin.rows]
            twin.write(c, there, update=["tokens", "terms"])
            gone = [id for id in there[:4] if id in twin.rows]
            c.delete(gone)
            for id in gone:
                del twin.rows[id]
            check_blocks(c, twin)
            if step == 2:
                c.compact()
                check_blocks(c, twin)


def test_fused() -> None:
    """Dense, sparse and words together: the formulas of the guide."""
    with hither.connect(":memory:") as db:
        c = db.collection("c", dim=1, metric="l2", fields={"terms": hither.Field(kind="sparse")})
        c.add([1, 2, 3, 4], [[0.0], [1.0], [2.0], [3.0]], documents=["a wren", "an owl", "a hawk", "a hawk owl"],
              fields={"terms": [{1: 1.0}, {2: 1.0}, {1: 2.0, 2: 1.0}, None]})  # fmt: skip
        hits = c.search([0.0], 4, beside={"terms": {1: 1.0}})
        ranks = {1: (1, 2), 2: (2, None), 3: (3, 1), 4: (4, None)}

        def rrf(*places: int | None, weights: tuple[float, ...]) -> float:
            parts = zip(places, weights, strict=True)
            return len(places) * sum(w / (60 + place) for place, w in parts if place)

        want = {id: rrf(*place, weights=(0.5, 0.5)) for id, place in ranks.items()}
        assert hits.ids == sorted(want, key=lambda id: (-want[id], id))
        assert close(hits.scores, [want[id] for id in hits.ids])
        three = c.search([0.0], 4, text="hawk", beside={"terms": {1: 1.0}}, vector_weight=0.5)
        words = {hit["id"]: hit for hit in c.search("hawk", mode="keyword").to_dicts()}
        place = {id: rank for rank, id in enumerate(words, 1)}
        want = {id: rrf(*ranks[id], place.get(id), weights=(0.25, 0.25, 0.5)) for id in ranks}
        assert three.ids == sorted(want, key=lambda id: (-want[id], id))
        assert close(three.scores, [want[id] for id in three.ids])
        weighted = c.search([0.0], 4, beside={"terms": {1: 1.0}}, fusion="weighted")
        # distances 0, 1, 4, 9 and -1, 0, -2, none
        want = {1: 0.5 * 1 + 0.5 * 0.5, 2: 0.5 * 8 / 9, 3: 0.5 * 5 / 9 + 0.5, 4: 0.0}
        assert weighted.ids == sorted(want, key=lambda id: (-want[id], id))
        assert close(weighted.scores, [want[id] for id in weighted.ids])
        sparse = c.search({1: 1.0}, 4, field="terms", text="owl")
        assert sparse.ids[0] == 3 or sparse.ids[0] == 2
        with pytest.raises(hither.InvalidError, match="one field"):
            c.search([0.0], beside={"terms": {1: 1.0}, "other": {1: 1.0}})
