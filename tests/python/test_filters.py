"""Filters against an evaluator that knows only their documentation, and searches with filters against brute force."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import hither
import numpy as np
import pytest
from filter_reference import matches

ROOT = Path(__file__).parents[2]
COMMAND = os.environ.get("HITHER_COMMAND") or str(ROOT / "build" / "bin" / "hither")
SEED = 20261121

SCALARS: list[Any] = [
    0, 1, 2, -1, 1.0, 0.5, -0.0, 2.5, 1e300, -1e300, 5e-324, True, False, None, "", "a", "ab", "b", "1", "ä", "B",
    2**53 + 1, float(2**53), 2**63 - 1, -(2**63), float(2**63), 3, 7, "abc", "日本", "2026-11-21", "2026-01-01",
]  # fmt: skip
ORDERED = [one for one in SCALARS if one is not None and not isinstance(one, bool)]
FIELDS = ["x", "y", "o.x", "o", r"p\.q", "o.x.x", "none"]


def random_value(rng: random.Random, depth: int) -> Any:
    kind = rng.random()
    if kind < 0.72 or depth == 0:
        return rng.choice(SCALARS)
    if kind < 0.9:
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {key: random_value(rng, depth - 1) for key in ("x", "y") if rng.random() < 0.6}


def random_row(rng: random.Random) -> tuple[dict[str, Any] | None, str | None]:
    metadata = {key: random_value(rng, 2) for key in ("x", "y", "o", "p.q") if rng.random() < 0.75}
    document = " ".join(rng.choice(["owl", "sea", "ä", "x"]) for _ in range(3))
    return (metadata if rng.random() < 0.95 else None), (document if rng.random() < 0.9 else None)


def random_condition(rng: random.Random) -> Any:
    kind = rng.randrange(9)
    if kind == 0:
        return rng.choice(SCALARS)
    if kind <= 2:
        return {rng.choice(["$eq", "$ne"]): rng.choice(SCALARS)}
    if kind == 3:
        return {"$exists": rng.random() < 0.5}
    if kind == 4:
        return {rng.choice(["$in", "$nin"]): rng.sample(SCALARS, rng.randrange(6))}
    if kind == 5:
        return {rng.choice(["$contains", "$not_contains"]): rng.choice(["", "a", "b", "ä", "26"])}
    if kind == 6:
        return {"$gte": rng.choice(ORDERED), "$lt": rng.choice(ORDERED)}
    return {rng.choice(["$gt", "$gte", "$lt", "$lte"]): rng.choice(ORDERED)}


def random_filter(rng: random.Random, depth: int = 3) -> dict[str, Any]:
    kind = rng.random()
    if depth == 0 or kind < 0.5:
        fields = rng.sample(FIELDS, 1 + (rng.random() < 0.3))
        return {field: random_condition(rng) for field in fields}
    if kind < 0.6:
        return {"$not": random_filter(rng, depth - 1)}
    if kind < 0.7:
        return {"$document": {rng.choice(["$contains", "$not_contains"]): rng.choice(["owl", "sea x", "ä", ""])}}
    return {rng.choice(["$and", "$or"]): [random_filter(rng, depth - 1) for _ in range(1 + rng.randrange(3))]}


Row = tuple[dict[str, Any] | None, str | None]


def fill(c: hither.Collection, rows: dict[int, Row], vectors: np.ndarray) -> None:
    c.upsert(
        list(rows),
        vectors,
        metadata=[row[0] for row in rows.values()],
        documents=[row[1] for row in rows.values()],
    )


@pytest.mark.parametrize("count", [40, 700])  # looked at one by one; in columns
def test_pairs(db: hither.Database, count: int) -> None:
    rng = random.Random(SEED + count)
    c = db.collection("rows", dim=1)
    rows = {i: random_row(rng) for i in range(count)}
    fill(c, rows, np.zeros((count, 1), np.float32))
    pairs = 0
    while pairs < 100_000 * count // 700:
        where = random_filter(rng)
        wanted = [i for i, (metadata, document) in rows.items() if matches(metadata, document, where)]
        assert [hit.id for hit in c.scan(where=where)] == wanted, where
        assert c.count(where=where) == len(wanted)
        some = rng.sample(range(count), 10)
        assert c.get(some, where=where).ids == [i for i in some if i in wanted], where
        pairs += count


def test_pairs_through_the_command(tmp_path: Path) -> None:
    if not shutil.which(COMMAND):
        pytest.skip("the command is not built")
    rng = random.Random(SEED)
    path = tmp_path / "a.hither"
    rows = {i: random_row(rng) for i in range(1000)}
    with hither.connect(path) as db:
        fill(db.collection("rows", dim=1), rows, np.zeros((1000, 1), np.float32))
    for _ in range(100):  # 1,000 rows each: 100,000 pairs
        where = random_filter(rng)
        wanted = [i for i, (metadata, document) in rows.items() if matches(metadata, document, where)]
        run = [COMMAND, "export", str(path), "rows", "--format", "jsonl", "--id", "key", "--where", json.dumps(where)]
        lines = subprocess.run(run, check=True, capture_output=True, text=True).stdout.splitlines()
        assert [json.loads(line)["key"] for line in lines] == wanted, where
    for _ in range(5):
        where = random_filter(rng)
        total = sum(matches(metadata, document, where) for metadata, document in rows.values())
        run = [COMMAND, "count", str(path), "rows", "--where", json.dumps(where)]
        assert int(subprocess.run(run, check=True, capture_output=True, text=True).stdout) == total, where


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_searches_against_brute_force(db: hither.Database, metric: str) -> None:
    """Random filters, searches, updates and deletes: always the min(k, matches) nearest."""
    rng = random.Random(SEED)
    numbers = np.random.default_rng(SEED)
    c = db.collection("rows", dim=8, metric=metric)
    rows: dict[int, Row] = {}
    vectors: dict[int, np.ndarray] = {}
    for _ in range(60):
        batch = {rng.randrange(400): random_row(rng) for _ in range(60)}
        x = numbers.integers(-2, 3, (len(batch), 8)).astype(np.float32)
        fill(c, batch, x)
        rows.update(batch)
        vectors.update(zip(batch, x, strict=True))
        if rng.random() < 0.5:
            where = random_filter(rng)
            gone = [i for i, (metadata, document) in rows.items() if matches(metadata, document, where)]
            if len(gone) < 60:
                ids = None if rng.random() < 0.5 else rng.sample(range(400), 100)
                gone = [i for i in gone if ids is None or i in ids]
                assert c.delete(ids, where=where) == len(gone), where
                for i in gone:
                    del rows[i], vectors[i]
        for _ in range(5):
            where, k = random_filter(rng), rng.choice([1, 3, 10, 1000])
            query = numbers.integers(-2, 3, 8).astype(np.float32)
            allowed = [i for i, (metadata, document) in rows.items() if matches(metadata, document, where)]
            hits = c.search(query, k=k, where=where, include=())
            assert len(hits) == min(k, len(allowed)), where
            assert set(hits.ids) <= set(allowed)
            if not allowed:
                continue
            _, distances = hither.knn(np.stack([vectors[i] for i in allowed]), query[None], k=len(hits), metric=metric)
            assert np.array_equal(distances[0], hits.distances)
            for hit_id, distance in zip(hits.ids, hits.distances, strict=True):
                assert hither.knn(vectors[hit_id][None], query[None], k=1, metric=metric)[1][0, 0] == distance
    assert c.count() == len(rows)


class Twin:
    """The rows of a collection, and brute force over them."""

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.walks = 0  # searches that an index answered
        self.rows: dict[int, Row] = {}
        self.vectors: dict[int, np.ndarray] = {}

    def put(self, c: hither.Collection, batch: dict[int, Row], x: np.ndarray) -> None:
        fill(c, batch, x)
        self.rows.update(batch)
        self.vectors.update(zip(batch, x, strict=True))

    def delete(self, c: hither.Collection, where: dict[str, Any], most: int) -> None:
        gone = self.matching(where)
        if len(gone) > most:
            gone = gone[:most]
            assert c.delete(gone) == len(gone)
        else:
            assert c.delete(where=where) == len(gone), where
        for i in gone:
            del self.rows[i], self.vectors[i]

    def matching(self, where: dict[str, Any]) -> list[int]:
        return [i for i, (metadata, document) in self.rows.items() if matches(metadata, document, where)]

    def check(self, c: hither.Collection, where: dict[str, Any], query: np.ndarray, k: int, recall: float) -> None:
        """min(k, matches) rows that match, at their distances, in order; with a recall of 1 the nearest there are."""
        allowed = self.matching(where)
        hits = c.search(query, k=k, where=where, recall=recall, include=())
        self.walks += "walk" in hits.plan
        assert len(hits) == len(set(hits.ids)) == min(k, len(allowed)), where
        assert set(hits.ids) <= set(allowed), where
        if not allowed:
            return
        base = np.stack([self.vectors[i] for i in allowed])
        labels, distances = hither.knn(base, query[None], k=len(allowed), metric=self.metric)
        of = {allowed[label]: float(d) for label, d in zip(labels[0], distances[0], strict=True)}
        assert [of[i] for i in hits.ids] == list(hits.distances), where
        assert list(hits.distances) == sorted(hits.distances)
        if recall == 1:
            assert list(hits.distances) == [float(d) for d in distances[0, : len(hits)]], where
            radius = float(distances[0, len(hits) - 1])
            near = c.within(query, radius, where=where, include=())
            assert sorted(near.ids) == sorted(i for i, d in of.items() if d <= radius), where


# Every kind of index there is; "exact" is none.
INDEXES = sorted(set(hither._core.KINDS) - {"auto"})


@pytest.mark.parametrize("kind", INDEXES)
@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
def test_searches_of_every_index(kind: str, metric: str) -> None:
    """Random filters, searches, updates and deletes beside an index that is built meanwhile."""
    rng = random.Random(SEED + INDEXES.index(kind))
    numbers = np.random.default_rng(SEED)
    db = hither.connect(":memory:")
    c = db.collection("rows", dim=8, metric=metric)
    twin = Twin(metric)
    twin.put(c, {i: random_row(rng) for i in range(2400)}, numbers.standard_normal((2400, 8), np.float32))
    try:
        c.create_index(kind)
    except hither.UnsupportedError:
        pytest.skip(f"{kind} takes no {metric}")
    asked = 0
    for _ in range(6):
        batch = {rng.randrange(3000): random_row(rng) for _ in range(150)}
        twin.put(c, batch, numbers.standard_normal((len(batch), 8), np.float32))
        twin.delete(c, random_filter(rng), 100)
        for _ in range(8):
            where = random_filter(rng) if rng.random() < 0.6 else {"$not": {"none": 1}}  # all rows
            query = numbers.standard_normal(8, np.float32)
            twin.check(c, where, query, rng.choice([1, 3, 10, 50, 1000]), rng.choice([0.8, 0.95, 1]))
            asked += 1
        one = rng.choice(list(twin.rows))  # down to one row
        c.update([one], metadata=[{"only": asked}])
        twin.rows[one] = ((twin.rows[one][0] or {}) | {"only": asked}, twin.rows[one][1])
        for recall in (0.9, 1):
            twin.check(c, {"only": asked}, numbers.standard_normal(8, np.float32), 10, recall)
    assert c.count() == len(twin.rows)
    assert twin.walks >= 5 or kind == "exact"
    db.close()


def test_every_plan_selects_the_same(db: hither.Database) -> None:
    """A filter asked again and again goes from a scan of columns to bitmaps; asked word for word, it is remembered."""
    rng = random.Random(SEED)
    count = 9000
    c = db.collection("rows", dim=1)
    rows: dict[int, Row] = {
        i: (
            {"kind": i % 50, "n": i * 7919 % 10007, "x": rng.choice(SCALARS), "y": random_value(rng, 1)},
            f"row {i}" + (" owl" if i % 3 == 0 else "") + (" rare" if i % 2500 == 7 else ""),
        )
        for i in range(count)
    }
    fill(c, rows, np.arange(count, dtype=np.float32)[:, None])
    filters = [
        {"kind": 3, "n": {"$lt": 5000}},
        {"kind": {"$in": [1, 2, 49]}},
        {"y": {"$gt": 0}, "kind": {"$lt": 4}},
        {"x": {"$ne": 1}},
        {"x": {"$contains": "a"}, "y": {"$exists": True}},
    ]
    filters += [random_filter(rng, 2) for _ in range(4)]
    for change in range(2):
        seen: set[str] = set()
        for where in filters:
            wanted = [i for i, (metadata, document) in rows.items() if matches(metadata, document, where)]
            for again in range(6):
                text = " " * again + json.dumps(where)
                assert [hit.id for hit in c.scan(where=text)] == wanted, (where, again)
                plan = c.search([0], where=text).plan["filter"]
                assert plan["rows_matched"] == len(wanted)
                assert plan["plan"] == "kept"
            hits = c.search([0], where="\t" + json.dumps(where))
            seen.add(hits.plan["filter"]["plan"])
        assert seen >= {"columns", "bitmap"}
        if not change:  # then there are rows that no bitmap knows, and dead ones that it does
            more = {i: random_row(rng) for i in range(100, 8000, 31)}
            fill(c, more, np.zeros((len(more), 1), np.float32))
            for i, row in more.items():
                del rows[i]
                rows[i] = row
            c.delete(range(5000, 5500))
            for i in range(5000, 5500):
                del rows[i]


def test_documents_of_near_rows_first(db: hither.Database) -> None:
    count = 6000
    c = db.collection("rows", dim=1, metric="l2")
    texts = [f"row {i}" + (" owl" if i % 3 == 0 else "") + (" rare" if i % 2500 == 7 else "") for i in range(count)]
    c.add(range(count), np.arange(count)[:, None], documents=texts, metadata=[{"half": i % 2} for i in range(count)])
    owls = {"$contains": "owl"}
    for query in (0, 2999.6, 9000):
        nearest = sorted(range(0, count, 3), key=lambda i: (abs(i - query), i))
        hits = c.search([query], k=10, where_document=owls)
        assert hits.ids == nearest[:10]
        plan = hits.plan["filter"]
        assert plan["plan"] == "candidates"
        assert plan["rows_matched"] == 10
        assert plan["rows_checked"] < 200
        assert 1000 < plan["rows_estimated"] < 3000
        even = c.search([query], k=10, where={"half": 0}, where_document=owls)
        assert even.ids == [i for i in nearest if i % 2 == 0][:10]
    assert c.search([0], k=10, where_document={"$contains": "rare"}).ids == [7, 2507, 5007]
    assert c.search([0], k=2500, where_document=owls).ids == list(range(0, count, 3))
    many = c.search_many([[0], [3000]], k=3, where_document=owls)
    assert [hits.ids for hits in many] == [[0, 3, 6], [3000, 2997, 3003]]
    # half of the nearest rows do not match: it looks further, then selects
    c.update(range(0, 3000, 3), documents=["gone"] * 1000)
    assert c.search([0], k=5, where_document=owls).ids == [3000, 3003, 3006, 3009, 3012]


def test_every_door(points: hither.Collection) -> None:
    where = {"n": {"$gte": 1}}
    assert points.search([0, 0], where=where).ids == ["a", "b"]
    assert [hits.ids for hits in points.search_many([[0, 0], [9, 0]], where=where)] == [["a", "b"], ["b", "a"]]
    assert points.similar("a", where={"n": 2}).ids == ["b"]
    assert points.search([0, 0], where=json.dumps(where)).ids == ["a", "b"]
    assert points.search([0, 0], where_document={"$contains": "dritte"}).ids == ["c"]
    assert points.search([0, 0], where=where, where_document={"$not": {"$contains": "first"}}).ids == ["b"]
    assert points.count(where={"deep.list": "ä"}) == 1
    assert points.get(["b", "a", "d"], where={"n": 1}).ids == ["a"]
    plan = points.search([0, 0], where=where).plan
    assert plan["filter"] == {
        "plan": "rows",
        "rows_estimated": 4,
        "rows_matched": 2,
        "rows_checked": 4,
        "rows_parsed": 0,
    }
    scan = points.scan(1, where=where)
    assert points.delete(["a", "c"], where=where) == 1
    assert points.delete(where=where) == 1
    assert [hit.id for hit in scan] == ["a", "b"]  # as they were when it began
    assert points.count() == 2
    with pytest.raises(hither.InvalidError, match="neither ids nor where"):
        points.delete()


def test_values_of_numpy(points: hither.Collection) -> None:
    assert points.count(where={"n": np.int64(2)}) == 1
    assert points.count(where={"n": {"$in": np.array([1, 2])}}) == 2


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({}, "where: expected at least one condition"),
        ({"n": {"$gt": [1]}}, r"where\.n\.\$gt: expected a number or a string, found an array"),
        ({"n": {"$lt": float("nan")}}, "where cannot be written as JSON"),
        ({"n": {1, 2}}, "where cannot be written as JSON"),
        ({"n": object()}, "where cannot be written as JSON"),
        (7, "where is a int"),
        ("{}\0", "where has a NUL"),
        ("{", "where: "),
        ({"n": {"$in": [{"$in": []}]}}, r"where\.n\.\$in\[0\]: expected"),
        ({"n": 2**64}, "where: "),
        ({"n": "\ud800"}, "where: "),
    ],
)
def test_refusals(points: hither.Collection, where: Any, message: str) -> None:
    for call in (points.count, points.scan, points.delete):
        with pytest.raises((hither.InvalidError, hither.SyntaxError), match=message):
            call(where=where)
    with pytest.raises((hither.InvalidError, hither.SyntaxError), match=message):
        points.search([0, 0], where=where)
    assert points.count() == 4


def test_hostile_filters(points: hither.Collection) -> None:
    """Refused, or answered, without much memory."""
    deep: Any = {"n": 1}
    for _ in range(60):
        deep = {"$not": deep}
    hostile: list[Any] = [
        deep,
        "{" * 100_000,
        '{"n":' + "[" * 1_000_000,
        '{"n":{"$in":[' + ",".join(["[]"] * 340_000) + "]}}",
        {"n": {"$in": list(range(70_000))}},
        {"$and": [{"n": 1}] * 2000},
        {"n": "x" * 2_000_000},
        {".".join("k" * 100): 1},
    ]
    points.count(where={"n": 1})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for where in hostile:
        with pytest.raises(hither.TooLargeError, match="where"):
            points.count(where=where)
    assert points.count(where={"n": {"$in": list(range(60_000))}}) == 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def test_columns_follow_writes_and_are_read_once(db: hither.Database) -> None:
    c = db.collection("rows", dim=1)
    c.add(range(200), np.zeros((200, 1)), metadata=[{"n": i} for i in range(200)])

    def parsed() -> int:
        return int(c.search([0], where={"n": {"$lt": 150}}).plan["filter"]["rows_parsed"])

    assert (parsed(), parsed()) == (200, 0)
    c.update([3, 170], metadata=[{"n": 1000}, {"n": 5}])
    assert parsed() == 2
    assert c.count(where={"n": {"$lt": 150}}) == 150
    c.delete([170])
    assert (parsed(), c.count(where={"n": {"$lt": 150}})) == (0, 149)


def test_readers_beside_a_writer(tmp_path: Path) -> None:
    """Each batch moves rows between two values; every reader sees all of them on one side or the other."""
    with hither.connect(tmp_path / "a.hither") as db:
        c = db.collection("rows", dim=1)
        ids = list(range(100))
        c.add(ids, np.zeros((100, 1)), metadata=[{"side": 0}] * 100)
        stop = threading.Event()
        wrong: list[object] = []

        def read() -> None:
            while not stop.is_set():
                found = len(c.search([0], k=1000, where={"side": {"$in": [0, 2, 4]}}, include=()))
                if found not in (0, 100):
                    wrong.append(found)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for thread in readers:
            thread.start()
        for side in range(1, 40):
            c.upsert(ids, np.zeros((100, 1)), metadata=[{"side": side % 6}] * 100)
        stop.set()
        for thread in readers:
            thread.join()
        assert not wrong


def test_the_page_on_filters() -> None:
    page = (ROOT / "docs" / "filters.md").read_text()
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)


def test_the_table_of_the_page(db: hither.Database) -> None:
    page = (ROOT / "docs" / "filters.md").read_text()
    lines = page[page.index("| x |") :].split("\n\n")[0].splitlines()
    conditions = [json.loads(cell.strip(" `")) for cell in lines[0].split("|")[2:-1]]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    metadata = [{} if row[0] == "not there" else {"x": json.loads(row[0].strip("`"))} for row in rows]
    c = db.collection("rows", dim=1)
    c.add(range(len(rows)), np.zeros((len(rows), 1)), metadata=metadata)
    assert len(rows) == 11
    assert len(conditions) == 8
    for column, condition in enumerate(conditions, 1):
        wanted = [i for i, row in enumerate(rows) if row[column] == "●"]
        assert [hit.id for hit in c.scan(where={"x": condition})] == wanted, condition
        assert [i for i, one in enumerate(metadata) if matches(one, None, {"x": condition})] == wanted, condition
