"""Indexes of each kind against a naive twin: whatever happens, and in whatever order, nothing that is there is lost."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import hither
import numpy as np
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

DIM = 8
CENTRES = np.random.default_rng(5).standard_normal((30, DIM), np.float32)


def some_rows(count: int, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    spread = 0.4 * rng.standard_normal((count, DIM), np.float32)
    return np.asarray(CENTRES[rng.integers(len(CENTRES), size=count)] + spread, np.float32)


class Kinds(RuleBasedStateMachine):
    """An index and a dict of rows by label that everything is done to as well."""

    kind = "exact"
    metric = "l2"

    @initialize(seed=st.integers(0, 2**32 - 1))
    def begin(self, seed: int) -> None:
        self.index = hither.Index(DIM, kind=self.kind, metric=self.metric)
        self.twin: dict[int, NDArray[np.float32]] = {}
        self.saved: Any = None
        self.add(2200, seed, True)

    @rule(count=st.integers(1, 600), seed=st.integers(0, 2**32 - 1), wait=st.booleans())
    def add(self, count: int, seed: int, wait: bool) -> None:
        rows = some_rows(count, seed)
        for label, row in zip(self.index.add(rows, wait=wait).tolist(), rows, strict=True):
            self.twin[label] = row

    @rule(part=st.integers(2, 12), from_=st.integers(0, 5000))
    def remove(self, part: int, from_: int) -> None:
        labels = [label for label in self.twin if label >= from_][::part][:800]
        assert self.index.remove(labels) == len(labels)
        for label in labels:
            del self.twin[label]

    @rule()
    def build(self) -> None:
        self.index.build()

    @rule()
    def tune(self) -> None:
        self.index.tune()

    @rule()
    def save_and_open(self) -> None:
        path = Path("states.hi")
        self.index.save(path)
        self.index.close()
        self.index = hither.Index.open(path)
        self.index.verify()

    @rule(seed=st.integers(0, 2**32 - 1), k=st.sampled_from([1, 10, 50]), keep=st.sampled_from([1, 2, 15, 400]))
    def search(self, seed: int, k: int, keep: int) -> None:
        queries = some_rows(30, seed)
        labels = np.array(sorted(self.twin), np.int64)
        labels = labels[labels % keep == 0]
        allow = None if keep == 1 else labels
        found, distances = self.index.search(queries, k, allow=allow)
        if not len(labels):
            assert (found == -1).all()
            return
        rows = np.array([self.twin[label] for label in labels.tolist()])
        truth = ((queries[:, None].astype(np.float64) - rows[None]) ** 2).sum(2)
        there = min(k, len(labels))
        assert (found[:, there:] == -1).all() and (found[:, :there] >= 0).all()
        hits = 0
        for query in range(len(queries)):
            at = np.searchsorted(labels, found[query, :there])
            assert labels[at].tolist() == found[query, :there].tolist()
            assert np.allclose(truth[query, at], distances[query, :there], rtol=1e-5, atol=1e-6)
            assert (np.diff(distances[query, :there]) >= 0).all()
            limit = np.sort(truth[query])[there - 1]
            hits += int((truth[query, at] <= limit * (1 + 1e-9)).sum())
        assert hits / (there * len(queries)) >= (1 if self.kind == "exact" else 0.88)

    @invariant()
    def counted(self) -> None:
        if not hasattr(self, "index"):
            return
        facts = self.index.info()
        assert facts["rows"] == len(self.twin)
        if self.kind != "exact":
            assert facts["built"] - facts["stray"] + facts["waiting"] >= len(self.twin)

    def teardown(self) -> None:
        if hasattr(self, "index"):
            self.index.close()
            Path("states.hi").unlink(missing_ok=True)


@pytest.mark.parametrize("kind", ["exact", "ivf", "hnsw"])
def test_kinds_against_a_twin(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    machine = type("Machine", (Kinds,), {"kind": kind})
    case = machine.TestCase
    case.settings = settings(max_examples=8, stateful_step_count=10, deadline=None)
    case().runTest()


def test_options_that_make_no_sense() -> None:
    for options in ({"m": 2}, {"m": 1000}, {"bits": 5}, {"ef_build": -1}, {"m": 1.5}):
        with pytest.raises(hither.InvalidError):
            hither.Index(4, kind="hnsw", **options)  # type: ignore[arg-type]
    with pytest.raises(hither.InvalidError):
        hither.Index(4, kind="hnsw").search([0.0, 0, 0, 1], ef=0)
    with pytest.raises(hither.InvalidError):
        hither.Index(4, kind="ivf").search([0.0, 0, 0, 1], nprobe=0)
    with pytest.raises(hither.InvalidError):
        hither.Index(4, kind="ivf", lists=70000)
    with pytest.raises(hither.InvalidError):
        hither.Index(4, kind="hnsw").search(np.ones(4, np.float32), recall=1.5)


@pytest.mark.parametrize("rows", ["sentences", "clustered", "gaussian", "duplicates", "tiny clusters"])
def test_the_recall_asked_for_is_had(rows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "bench"))
    measure = importlib.import_module("recall").measure
    for had in measure(rows, 4000, 32, 150, 0.99):
        assert had.mean >= 0.99, had
        assert had.worst >= 0.85, had
    for had in measure(rows, 4000, 32, 150, 0.95, places=("index",)):
        assert had.mean >= 0.94, had
        assert had.worst >= 0.6, had
