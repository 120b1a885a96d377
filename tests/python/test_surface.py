"""Pages, facets, groups, diversity, recommendations and ranges against brute force in numpy, on random rows."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import hither
import numpy as np
import pytest
from filter_reference import matches

SEED = 20261122
DIM = 4
METRICS = ["cosine", "l2", "dot", "l1"]

VALUES: list[Any] = [0, 1, 1.0, 2, -3, 0.5, 2**53, float(2**53), 2**53 + 1, 1e300, True, False, "a", "b", "ä", "", None]


def distances(metric: str, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Exact for the small integers these tests are made of, but for cosine, whose ties the tests avoid."""
    x, q = rows.astype(np.float64), query.astype(np.float64)
    if metric == "l2":
        return ((x - q) ** 2).sum(1)
    if metric == "l1":
        return np.abs(x - q).sum(1)
    if metric == "dot":
        return -(x @ q)
    norms = np.sqrt((q @ q) * (x * x).sum(1))
    similarity = np.divide(x @ q, norms, out=np.zeros(len(x)), where=norms > 0)
    return np.clip(1 - similarity, 0, 2)


class Twin:
    """What the collection should hold: rows in order of writing."""

    def __init__(self, c: hither.Collection) -> None:
        self.c = c
        self.rows: dict[int, tuple[np.ndarray, dict[str, Any] | None]] = {}

    def write(self, ids: list[int], vectors: np.ndarray, metadata: list[dict[str, Any] | None]) -> None:
        self.c.upsert(ids, vectors, metadata=metadata)
        for i, vector, row in zip(ids, vectors, metadata, strict=True):
            self.rows.pop(i, None)
            self.rows[i] = (vector, row)

    def delete(self, ids: list[int]) -> None:
        self.c.delete(ids)
        for i in ids:
            self.rows.pop(i, None)

    def matching(self, where: dict[str, Any] | None) -> list[int]:
        return [i for i, (_, row) in self.rows.items() if where is None or matches(row, None, where)]

    def ranked(self, query: np.ndarray, where: dict[str, Any] | None) -> list[tuple[float, int]]:
        """(distance, id), nearest first, ties in order of writing."""
        ids = self.matching(where)
        if not ids:
            return []
        d = distances(self.c.metric, np.array([self.rows[i][0] for i in ids]), query)
        order = np.argsort(d, kind="stable")
        return [(float(d[j]), ids[j]) for j in order]


def random_metadata(rng: random.Random) -> dict[str, Any] | None:
    if rng.random() < 0.05:
        return None
    row: dict[str, Any] = {"of": rng.choice(["red", "green", "blue", 7, True])}
    if rng.random() < 0.8:
        row["x"] = rng.choice(VALUES)
    if rng.random() < 0.5:
        row["o"] = {"tags": [rng.choice(VALUES) for _ in range(rng.randrange(4))]}
    return row


def random_where(rng: random.Random) -> dict[str, Any] | None:
    return rng.choice(
        [
            None,
            {"of": "red"},
            {"x": {"$gte": 1}},
            {"o.tags": {"$in": ["a", 1, True]}},
            {"of": {"$nin": ["red", 7]}, "x": {"$exists": True}},
            {"none": 1},
        ]
    )


def random_vectors(rng: random.Random, n: int) -> np.ndarray:
    return np.array([[rng.randrange(-9, 10) for _ in range(DIM)] for _ in range(n)], np.float32)


@pytest.fixture(params=METRICS)
def twin(request: pytest.FixtureRequest, db: hither.Database) -> Twin:
    rng = random.Random(SEED)
    twin = Twin(db.collection("rows", dim=DIM, metric=request.param))
    for _ in range(6):
        ids = rng.sample(range(300), 60)
        twin.write(ids, random_vectors(rng, 60), [random_metadata(rng) for _ in ids])
        twin.delete(rng.sample(range(300), 15))
    return twin


def same_distances(hits: hither.Hits, wanted: list[float]) -> None:
    assert np.allclose(hits.distances, wanted, rtol=1e-6, atol=1e-6)


def plain(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str))


def field(row: dict[str, Any] | None, path: str) -> Any:
    at: Any = row
    for key in path.split("."):
        if not isinstance(at, dict) or key not in at:
            return None
        at = at[key]
    return at


def kind(value: Any) -> tuple[bool, Any]:
    """Values as hither tells them apart: True is not 1, 1.0 is."""
    return isinstance(value, bool), value


def test_thresholds_and_ranges(twin: Twin) -> None:
    rng = random.Random(SEED + 1)
    for _ in range(60):
        query, where = random_vectors(rng, 1)[0], random_where(rng)
        ranked = twin.ranked(query, where)
        cut = rng.choice([d for d, _ in ranked] or [0.0]) + rng.choice([0.01, 1.0])
        wanted = [(d, i) for d, i in ranked if d <= cut]
        hits = twin.c.within(query, cut, where=where, include=())
        same_distances(hits, [d for d, _ in wanted])
        assert sorted(hits.ids) == sorted(i for _, i in wanted)
        k = rng.choice([1, 5, 1000])
        hits = twin.c.search(query, k, max_distance=cut, where=where, include=())
        same_distances(hits, [d for d, _ in wanted[:k]])
        if twin.c.metric != "cosine":
            assert hits.ids == [i for _, i in wanted[:k]]


def grouped(ranked: list[tuple[float, int]], of: dict[int, Any], k: int, size: int) -> list[tuple[float, int]]:
    groups: dict[Any, list[tuple[float, int]]] = {}
    for d, i in ranked:
        if not plain(of[i]):
            continue
        key = kind(of[i])
        if key in groups or len(groups) < k:
            group = groups.setdefault(key, [])
            if len(group) < size:
                group.append((d, i))
    return [hit for group in groups.values() for hit in group]


@pytest.mark.parametrize("path", ["of", "x", "o.tags", "none"])
def test_groups(twin: Twin, path: str) -> None:
    rng = random.Random(SEED + 2)
    of = {i: field(row, path) for i, (_, row) in twin.rows.items()}
    for _ in range(25):
        query, where = random_vectors(rng, 1)[0], random_where(rng)
        k, size = rng.choice([1, 2, 5, 50]), rng.choice([1, 2, 7])
        wanted = grouped(twin.ranked(query, where), of, k, size)
        hits = twin.c.search(query, k, group_by=path, group_size=size, where=where, include=())
        same_distances(hits, [d for d, _ in wanted])
        if twin.c.metric != "cosine":
            assert hits.ids == [i for _, i in wanted]


def diverse(metric: str, pool: list[tuple[float, np.ndarray]], k: int, weight: float) -> list[int]:
    chosen: list[int] = []
    nearest = [np.inf] * len(pool)
    while len(chosen) < min(k, len(pool)):
        if chosen:
            last = pool[chosen[-1]][1]
            apart = distances(metric, np.array([row for _, row in pool]), last)
            nearest = [min(a, float(b)) for a, b in zip(nearest, apart, strict=True)]
        left = [j for j in range(len(pool)) if j not in chosen]
        score = [pool[j][0] if not chosen else (1 - weight) * pool[j][0] - weight * nearest[j] for j in left]
        chosen.append(left[int(np.argmin(score))])
    return chosen


def test_diversity(twin: Twin) -> None:
    rng = random.Random(SEED + 3)
    if twin.c.metric == "cosine":  # near ties: this twin does not round as the library does
        return
    for _ in range(25):
        query, where = random_vectors(rng, 1)[0], random_where(rng)
        k, weight, candidates = rng.choice([1, 3, 10]), rng.choice([0.25, 0.5, 1.0]), rng.choice([10, 20, 1000])
        pool = twin.ranked(query, where)[:candidates]
        order = diverse(twin.c.metric, [(d, twin.rows[i][0]) for d, i in pool], k, weight)
        hits = twin.c.search(query, k, diversity=weight, candidates=candidates, where=where, include=())
        assert hits.ids == [pool[j][1] for j in order]
        same_distances(hits, [pool[j][0] for j in order])


def test_recommendations(twin: Twin) -> None:
    rng = random.Random(SEED + 4)
    for _ in range(25):
        where, k = random_where(rng), rng.choice([1, 5, 1000])
        examples = rng.sample(list(twin.rows), rng.randrange(1, 6))
        positive, negative = examples[:-1], examples[-1:]
        others = [i for i in twin.matching(where) if i not in examples]
        if positive:
            hits = twin.c.recommend(positive, negative, k, where=where, include=())
            assert len(hits) == min(k, len(others)) and set(hits.ids) <= set(others)
        rows = np.array([twin.rows[i][0] for i in others]).reshape(-1, DIM)
        near = [distances(twin.c.metric, rows, twin.rows[i][0]) for i in positive]
        p = np.min(near, axis=0) if near else np.full(len(others), np.inf)
        n = distances(twin.c.metric, rows, twin.rows[negative[0]][0])
        if twin.c.metric == "cosine":
            continue
        order = sorted(range(len(others)), key=lambda j: (p[j] > n[j], p[j] if p[j] <= n[j] else -n[j]))
        hits = twin.c.recommend(positive, negative, k, strategy="best", where=where, include=())
        assert hits.ids == [others[j] for j in order[:k]]
        same_distances(hits, [p[j] if positive else -n[j] for j in order[:k]])


def test_the_average_is_one_search(db: hither.Database) -> None:
    c = db.collection("rows", dim=2, metric="cosine")
    c.add([1, 2, 3, 4], [[2, 0], [0, 5], [1, 1.1], [-1, -1]])
    assert c.recommend([1, 2], k=9).ids == [3, 4]  # lengths do not count
    mean = np.array([0.5, 0.5])
    assert c.recommend([1, 2], k=1).distances[0] == c.search(mean, 2)[0].distance


def test_facets(twin: Twin) -> None:
    for path in ("of", "x", "o.tags", "o", "none"):
        for where in (None, {"of": "red"}, {"x": {"$gte": 1}}):
            counts: Counter[tuple[bool, Any]] = Counter()
            for i in twin.matching(where):
                value = field(twin.rows[i][1], path)
                some = value if isinstance(value, list) else [value]
                counts.update({kind(one) for one in some if plain(one)})
            found = twin.c.facets(path, where=where)
            assert sum(found.values()) == sum(counts.values())
            assert list(found.values()) == sorted(found.values(), reverse=True) or {True, False} & set(found)
            for value, count in found.items():
                both = counts[(False, value)] + counts[(True, value)]
                assert count == both, (path, value)
            assert len(twin.c.facets(path, 2, where=where)) <= 2


def place(value: Any, descending: bool) -> tuple[Any, ...]:
    if not plain(value):
        return (3,)
    order = 0 if isinstance(value, bool) else 2 if isinstance(value, str) else 1
    return (order, value.encode() if isinstance(value, str) else value)


def ordered(rows: list[tuple[int, Any]], descending: bool) -> list[int]:
    some = [row for row in rows if plain(row[1])]
    some.sort(key=lambda row: place(row[1], descending))
    if descending:  # stable: equal ones stay in order of writing
        groups: list[list[tuple[int, Any]]] = []
        for row in some:
            if groups and place(groups[-1][0][1], False) == place(row[1], False):
                groups[-1].append(row)
            else:
                groups.append([row])
        some = [row for group in reversed(groups) for row in group]
    return [i for i, _ in some] + [i for i, value in rows if not plain(value)]


@pytest.mark.parametrize(("path", "descending"), [(None, False), ("x", False), ("x", True), ("o.tags", False)])
def test_pages(twin: Twin, path: str | None, descending: bool) -> None:
    """All pages of a listing are one version, whatever is written between them."""
    rng = random.Random(SEED + 5)
    for number in range(4):
        where = random_where(rng)
        rows = [(i, field(twin.rows[i][1], path) if path else None) for i in twin.matching(where)]
        wanted = ordered(rows, descending) if path else [i for i, _ in rows]
        asked: dict[str, Any] = {"where": where, "order_by": path, "descending": descending}
        assert twin.c.page(5, offset=7, **asked).ids == wanted[7:12]
        then = {i: twin.rows[i] for i in wanted}
        got: list[int] = []
        token: str | None = None
        while True:
            page = twin.c.page(rng.choice([1, 9, 40]), after=token, include=("metadata", "vector"), **asked)
            for hit in page:
                assert np.array_equal(hit.vector, then[hit.id][0])
                assert hit.metadata == then[hit.id][1]
            got += page.ids
            token = page.next
            if token is None:
                break
            some = rng.sample(range(300), 10)
            twin.write(some, random_vectors(rng, 10), [random_metadata(rng) for _ in some])
            twin.delete(rng.sample(range(300), 5))
        assert got == wanted, number


def test_a_token_outlives_the_process(tmp_path: Path) -> None:
    with hither.connect(tmp_path / "a.hither") as db:
        c = db.collection("rows", dim=1)
        c.add(list(range(10)), np.zeros((10, 1)))
        first = c.page(4)
    with hither.connect(tmp_path / "a.hither") as db:
        c = db["rows"]
        c.delete([5])
        c.add([77], [[0.0]])
        second = c.page(4, after=first.next)
        assert first.ids + second.ids == list(range(8))
        assert c.page(4, after=second.next).ids == [8, 9]
        for bad in ("", "h1-1-2", first.next + "0", first.next.replace("h1", "h2"), "x" * 1000):
            with pytest.raises(hither.InvalidError):
                c.page(after=bad)
        with pytest.raises(hither.InvalidError, match="another filter or order"):
            c.page(after=first.next, where={"a": 1})
        db.drop("rows")
        c = db.collection("rows", dim=1)
        c.add(list(range(10)), np.zeros((10, 1)))
        with pytest.raises(hither.StaleError):
            c.page(after=first.next)


def test_update_merges_and_removes(db: hither.Database) -> None:
    rng = random.Random(SEED + 6)
    c = db.collection("rows", dim=1)
    keys = ["a", "b", "ü", 'q"', "c.d"]
    rows: dict[int, dict[str, Any] | None] = {}
    for i in range(20):
        rows[i] = None if i == 0 else {key: rng.choice(VALUES) for key in keys if rng.random() < 0.6}
    c.add(list(rows), np.zeros((20, 1)), metadata=list(rows.values()))
    for _ in range(60):
        ids = rng.sample(range(20), 5)
        remove = rng.sample(keys, rng.randrange(3))
        given = [None if rng.random() < 0.3 else {rng.choice(keys): rng.choice(VALUES)} for _ in ids]
        c.update(ids, metadata=given, remove=remove)
        for i, patch in zip(ids, given, strict=True):
            left = None if rows[i] is None else {k: v for k, v in rows[i].items() if k not in remove}
            rows[i] = left if patch is None else {**(left or {}), **patch}
    assert [hit.metadata for hit in c.get(list(rows))] == list(rows.values())
    with pytest.raises(hither.InvalidError, match="only an update"):
        hither._core.collection_put(  # type: ignore[attr-defined]
            c._handle, hither._core.UPSERT, np.array([1]), np.zeros((1, 1), np.float32), None, None,
            hither.arrays.texts(["a"], "remove"),
        )  # fmt: skip


def test_many_fields_have_no_columns_of_their_own(db: hither.Database) -> None:
    c = db.collection("rows", dim=1)
    c.add(list(range(80)), np.zeros((80, 1)), metadata=[{f"f{j}": i % (j + 1) for j in range(70)} for i in range(80)])
    for j in range(70):
        assert c.facets(f"f{j}")[0] == len(range(0, 80, j + 1))
        assert c.page(3, order_by=f"f{j}", descending=True, include="metadata")[0].metadata[f"f{j}"] == min(j, 79)
        assert len(c.search([1.0], 100, group_by=f"f{j}", include=())) == j + 1


def test_what_makes_no_sense_is_refused(db: hither.Database) -> None:
    c = db.collection("rows", dim=1)
    c.add([1], [[0.0]])
    for bad in (
        lambda: c.search([0.0], max_distance=float("nan")),
        lambda: c.search([0.0], group_by="a", diversity=0.5),
        lambda: c.search([0.0], group_size=2),
        lambda: c.search([0.0], group_by="$a"),
        lambda: c.search([0.0], group_by="a\\b"),
        lambda: c.search([0.0], group_by=7),
        lambda: c.search([0.0], diversity=1.5),
        lambda: c.search([0.0], diversity=float("nan")),
        lambda: c.search([0.0], candidates=9),
        lambda: c.within([0.0], float("nan")),
        lambda: c.within([[0.0]], 1.0),
        lambda: c.recommend([], []),
        lambda: c.recommend(None, [1]),
        lambda: c.recommend([1], strategy="worst"),
        lambda: c.page(0),
        lambda: c.page(10, descending=True),
        lambda: c.page(10, offset=3, after="x"),
        lambda: c.page(10, order_by="a" * (2**20 + 1)),
        lambda: c.page(2**17),
        lambda: c.facets("a" + ".a" * 64),
        lambda: c.facets("\ud800"),
        lambda: c.search([0.0], 60000, group_by="a", group_size=2),
    ):
        with pytest.raises(hither.Error):
            bad()
    with pytest.raises(hither.NotFoundError):
        c.recommend([2])
    assert c.recommend([1]).ids == []
    assert c.recommend(None, [1], strategy="best").ids == []


def test_plans(db: hither.Database) -> None:
    c = db.collection("rows", dim=2)
    c.add(list(range(500)), np.ones((500, 2)), metadata=[{"n": i % 10} for i in range(500)])
    hits = c.search([1.0, 2.0], 3, where={"n": {"$lt": 5}})
    plan = hits.plan
    assert plan["filter"]["plan"] == "columns" and plan["filter"]["rows_matched"] == 250
    assert 200 <= plan["filter"]["rows_estimated"] <= 300
    assert [(stage["stage"], stage["rows_in"], stage["rows_out"]) for stage in plan["stages"]] == [
        ("filter", 500, 250),
        ("search", 250, 3),
        ("payload", 3, 3),
    ]
    assert sum(stage["ms"] for stage in plan["stages"]) <= plan["ms"]
    assert json.loads(json.dumps(plan)) == plan
    lines = str(plan).split("\n")
    assert len(lines) == 4 and lines[1].startswith("|- filter") and "250 rows" in lines[1]
    assert [s["stage"] for s in c.search([1.0, 2.0], group_by="n").plan["stages"]] == ["groups", "search", "payload"]
    assert c.recommend([1]).plan["kind"] == "recommend"
    assert c.page().plan["kind"] == "page"
    assert str(c.get([1]).plan) == "no plan"


def test_a_schema_is_set_shown_and_kept(tmp_path: Path) -> None:
    schema = {"fields": {"n": {"type": "int", "unique": True}, "tags": "string[]"}}
    with hither.connect(tmp_path / "a.hither") as db:
        c = db.collection("c", dim=1, schema=schema)
        assert c.upsert([1, 2], [[1], [2]], metadata=[{"n": 1, "tags": ["a"]}, {"n": 2}]) == 2
        with pytest.raises(hither.ExistsError, match="'n' is 1, as in the row with id 1"):
            c.update([2], metadata=[{"n": 1}])
        with pytest.raises(hither.InvalidError, match="element 0 of 'tags'"):
            c.upsert([3], [[3]], metadata=[{"tags": [1]}])
        with pytest.raises(hither.InvalidError, match="schema"):
            c.set_schema([])  # type: ignore[arg-type]
    with hither.connect(tmp_path / "a.hither") as db:
        c = db.collection("c", schema=json.dumps(schema))
        assert c.info()["schema"] == schema
        with pytest.raises(hither.InvalidError, match="another schema"):
            db.collection("c", schema={"fields": {}})
        c.set_schema(None)
        assert "schema" not in c.info()
        assert c.upsert([3], [[3]], metadata=[{"n": 1, "tags": 1}]) == 1


def test_columns_of_an_answer_are_its_hits() -> None:
    with hither.connect(":memory:") as db:
        c = db.collection("c", dim=1)
        texts = ["plain", "", None, 'ä,b"', "語"]
        for present in (texts[:2], texts, [None, None]):
            ids = list(range(len(present)))
            payloads = [{"t": t, "n": [1, {"x": 1e300}]} if t != "" else None for t in present]
            c.upsert(ids, [[1]] * len(ids), documents=present, metadata=payloads)
            got = c.get(ids)
            assert got.documents == [hit.document for hit in got] == present
            assert got.metadata == [hit.metadata for hit in got] == payloads
            bare = c.get(ids, ())
            assert bare.documents == bare.metadata == [None] * len(ids)
            c.delete(ids)
