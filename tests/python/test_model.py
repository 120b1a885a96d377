"""A collection against a dict twin: any order of calls, with reopening, gives what the dict says."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import hither
import numpy as np
import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from reference import brute

DIM = 3
METRICS = ("cosine", "dot", "l2", "l1")
SMALL = st.integers(-2, 2).map(float)  # few values: many ties, many zero vectors
VECTORS = st.lists(SMALL, min_size=DIM, max_size=DIM)
WORDS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")  # \0 is refused, as limits.md says
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(WORDS, max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(WORDS, max_size=3), inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.none() | st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)
DOCUMENTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INT_IDS = st.integers(0, 9) | st.sampled_from([-(2**63), 2**63 - 1])
STRING_IDS = st.sampled_from(["a", "b", "c", "ä", "a ", "A", "日本", "x" * 1024])

Row = dict[str, Any]


class Twin(RuleBasedStateMachine):
    """`rows` is the truth: id to row, in order of writing."""

    ids = Bundle("ids")

    @rule(target=ids, number=INT_IDS, string=STRING_IDS)
    def an_id(self, number: int, string: str) -> tuple[int, str]:
        return number, string

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="hither-model-"))
        self.rows: dict[Any, Row] = {}
        self.db = hither.connect(self.folder / "t.hither")
        self.metric: str | None = None
        self.kind = 0
        self.listing: list[tuple[Any, Row]] = []
        self.token: str | None = None

    @rule(metric=st.sampled_from(METRICS), kind=st.integers(0, 1))
    def create(self, metric: str, kind: int) -> None:
        if self.metric is None:
            self.metric, self.kind = metric, kind
            self.db.collection("c", dim=DIM, metric=metric)
            self.reopen()

    @property
    def c(self) -> hither.Collection:
        return self.db.collection("c", dim=DIM, metric=self.metric or "cosine")

    def batch(self, ids: list[tuple[int, str]]) -> list[Any]:
        if self.metric is None:
            self.create("cosine", 0)
        return [pair[self.kind] for pair in ids]

    def write(self, ids: list[Any], rows: list[Row]) -> None:
        last = dict(zip(ids, rows, strict=True))
        order = [id for at, id in enumerate(ids) if id not in ids[at + 1 :]]
        for id in order:
            self.rows.pop(id, None)
            self.rows[id] = last[id]

    @rule(ids=st.lists(ids, max_size=5), data=st.data(), mode=st.sampled_from(["add", "upsert", "update"]))
    def put(self, ids: list[tuple[int, str]], data: st.DataObject, mode: str) -> None:
        keys = self.batch(ids)
        n = len(keys)
        vectors = data.draw(st.lists(VECTORS, min_size=n, max_size=n))
        metadata = data.draw(st.none() | st.lists(OBJECTS, min_size=n, max_size=n))
        documents = data.draw(st.none() | st.lists(DOCUMENTS, min_size=n, max_size=n))
        given = data.draw(st.booleans()) if mode == "update" else True
        call = getattr(self.c, mode)
        arguments = {"metadata": metadata, "documents": documents}
        if (mode == "add" and (len(set(keys)) < n or set(keys) & set(self.rows))) or (
            mode == "update" and not set(keys) <= set(self.rows)
        ):
            with pytest.raises(hither.ExistsError if mode == "add" else hither.NotFoundError):
                call(keys, vectors, **arguments)
            return
        if mode == "update" and len(set(keys)) < n:
            return  # an id twice in one update: the contract does not say
        written = call(keys, vectors if given else None, **arguments)
        assert written == len(set(keys))
        new = []
        for at, key in enumerate(keys):
            row: Row = {"metadata": None, "document": None}
            if mode == "update":
                row = dict(self.rows[key])
            if given:
                row["vector"] = vectors[at]
            if metadata is not None and metadata[at] is not None:
                old = row["metadata"] if mode == "update" else None
                row["metadata"] = {**(old or {}), **metadata[at]}
            if documents is not None and documents[at] is not None:
                row["document"] = documents[at]
            new.append(row)
        self.write(keys, new)

    @rule(ids=st.lists(ids, max_size=4))
    def delete(self, ids: list[tuple[int, str]]) -> None:
        keys = self.batch(ids)
        assert self.c.delete(keys) == len(set(keys) & set(self.rows))
        for key in keys:
            self.rows.pop(key, None)

    @rule(ids=st.lists(ids, max_size=4))
    def get(self, ids: list[tuple[int, str]]) -> None:
        keys = self.batch(ids)
        hits = self.c.get(keys, ("vector", "metadata", "document"))
        assert hits.ids == [key for key in keys if key in self.rows]
        self.same(hits)
        for key in keys:
            assert (key in self.c) == (key in self.rows)

    @rule(queries=st.lists(VECTORS, min_size=1, max_size=3), k=st.integers(1, 12))
    def search(self, queries: list[list[float]], k: int) -> None:
        self.batch([])
        assert self.metric is not None
        keys = list(self.rows)
        base = np.array([row["vector"] for row in self.rows.values()], np.float32).reshape(-1, DIM)
        for query, hits in zip(queries, self.c.search_many(queries, k), strict=True):
            labels, distances = brute(self.metric, np.array(query, np.float32), base, k)
            found = int((labels >= 0).sum())
            assert hits.ids == [keys[label] for label in labels[:found]]
            assert hits.distances is not None
            assert hits.distances.tobytes() == distances[:found].tobytes()
            self.same(hits)

    @rule(size=st.integers(1, 4))
    def list_pages(self, size: int) -> None:
        """Begins a listing; later pages of it show the rows as they are now."""
        self.batch([])
        self.listing = [(key, dict(row)) for key, row in self.rows.items()]
        self.token = self.take(self.c.page(size, include=("vector", "metadata", "document")))

    @rule(size=st.integers(1, 4))
    def next_page(self, size: int) -> None:
        if self.token is not None:
            self.token = self.take(self.c.page(size, after=self.token, include=("vector", "metadata", "document")))

    def take(self, hits: hither.Hits) -> str | None:
        for hit in hits:
            key, row = self.listing.pop(0)
            assert hit.id == key and (hit.metadata, hit.document) == (row["metadata"], row["document"])
            assert hit.vector is not None and hit.vector.tolist() == row["vector"]
        assert (hits.next is None) == (not self.listing)
        return hits.next

    @rule(query=VECTORS, radius=st.sampled_from([-1.0, 0.0, 0.5, 1.0, 4.0]))
    def within(self, query: list[float], radius: float) -> None:
        self.batch([])
        assert self.metric is not None
        keys = list(self.rows)
        base = np.array([row["vector"] for row in self.rows.values()], np.float32).reshape(-1, DIM)
        labels, distances = brute(self.metric, np.array(query, np.float32), base, len(keys) + 1)
        found = int(((labels >= 0) & (distances <= np.float32(radius))).sum())
        hits = self.c.within(query, radius)
        assert hits.ids == [keys[label] for label in labels[:found]]
        assert self.c.search(query, 3, max_distance=radius).ids == hits.ids[:3]

    @rule()
    def reopen(self) -> None:
        self.db.close()
        self.db = hither.connect(self.folder / "t.hither")

    @rule()
    def verify(self) -> None:
        self.db.verify()

    def same(self, hits: hither.Hits) -> None:
        for hit in hits:
            row = self.rows[hit.id]
            assert (hit.metadata, hit.document) == (row["metadata"], row["document"])
            if hit.vector is not None:
                assert hit.vector.tolist() == row["vector"]

    @invariant()
    def scan_is_the_dict(self) -> None:
        if self.metric is None:
            return
        assert len(self.c) == len(self.rows)
        hits = list(self.c.scan(batch=3, include=("vector", "metadata", "document")))
        assert [hit.id for hit in hits] == list(self.rows)
        self.same(hits)  # type: ignore[arg-type]

    def teardown(self) -> None:
        self.db.close()
        shutil.rmtree(self.folder)


Twin.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestTwin = Twin.TestCase
