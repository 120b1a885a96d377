"""Windows: filters, snapshots, saving; the stream as context for a question."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import hither
import numpy as np
import pytest


def test_ten_lines_of_a_stream() -> None:
    """What imesde's first example does, here."""
    window = hither.Window(embedder=hither.Embedder(), track_centroid=True)
    scores = window.push([f"user {n} logged in from 10.0.0.{n}" for n in range(50)] + ["kernel panic: disk sda failed"])
    assert int(scores.centroid.argmin()) == 50 and scores.centroid[50] < 0.5 < scores.centroid[49]
    best = window.search("disk failed", k=1)[0]
    assert best.document == "kernel panic: disk sda failed" and best.distance < 0.7
    assert window.outliers(1).documents == ["kernel panic: disk sda failed"]
    assert window.centroid.shape == (384,)


def test_context_for_a_question() -> None:
    """A question is answered from the newest records that bear on it, and only those: live retrieval."""
    window = hither.Window(capacity=1000)
    for n in range(300):
        window.push([f"shard {n % 7} answered in {n} ms"], metadata={"source": "db"}, times=[float(n)])
    window.push(["payment gateway refuses cards"], metadata={"source": "shop"}, times=[301.0])
    window.push(["payment gateway timed out"], metadata={"source": "shop"}, times=[5.0 + 301])
    hits = window.search("why does the payment gateway fail?", k=2, where={"source": "shop"}, since=300)
    context = "\n".join(hits.documents)
    assert context.splitlines() == sorted(context.splitlines()) or len(hits) == 2
    assert set(hits.documents) == {"payment gateway refuses cards", "payment gateway timed out"}
    assert window.search("payment gateway", k=5, until=302, where={"source": "shop"}).documents == [
        "payment gateway refuses cards"
    ]


def test_within_and_snapshot() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(500, 16)).astype(np.float32)
    window = hither.Window(16, capacity=200, novelty=False)
    scores = window.push(rows)
    assert np.isnan(scores.novelty).all() and scores.record.tolist() == list(range(500))
    kept = rows[300:].astype(np.float64)
    query = rows[0].astype(np.float64)
    distances = 1 - kept @ query / np.linalg.norm(kept, axis=1) / np.linalg.norm(query)
    hits = window.within(rows[0], 0.8)
    assert sorted(hits.ids) == (np.flatnonzero(distances <= 0.8) + 300).tolist()
    copy = window.snapshot()
    window.push(rows[:150])
    assert sorted(copy.within(rows[0], 0.8).ids) == sorted(hits.ids)
    assert np.allclose(copy.centroid, (kept / np.linalg.norm(kept, axis=1)[:, None]).mean(axis=0), atol=1e-6)
    with pytest.raises(hither.Error):
        copy.push(rows[:1])


def test_a_plain_search_finds_what_any_search_finds() -> None:
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(300, 24)).astype(np.float32)
    window = hither.Window(24, capacity=200)
    assert window.search(rows[0], k=3).ids == []
    window.push(rows, [f"record {n}" if n % 3 else None for n in range(300)], metadata=[{"n": n} for n in range(300)])
    for query in (*rows[:5], rows.T.copy().T[250]):  # the last lies apart
        plain, other = window.search(query, k=9), window.search(query.astype(np.float64), k=9)
        assert plain.ids == other.ids and plain.documents == other.documents and plain.plan == other.plan == {}
        assert np.array_equal(plain.distances, other.distances) and plain.similarities[0] == other.similarities[0]
        assert plain[0].metadata == {"n": plain.ids[0]} and len(plain) == 9
    assert len(window.search(rows[0], k=1000)) == 200
    for wrong in (rows[0, :5], rows[0].copy()):
        wrong[0] = np.nan if len(wrong) == 24 else 0
        with pytest.raises(hither.DimensionError if len(wrong) == 5 else hither.Error):
            window.search(wrong, k=1)
    copy = window.snapshot()
    assert copy.search(rows[250], k=1).ids == [250]


def test_saved(tmp_path: Path) -> None:
    window = hither.Window(capacity=50, half_life=10, rules="order ORD-{num}\n")
    window.push([f"order ORD-{n} of {n % 5} things" for n in range(80)])
    window.save(tmp_path / "state")
    again = hither.Window.open(tmp_path / "state")
    assert again.capacity == 50 and len(again) == 50
    for line in ("order ORD-81 of 2 things", "nothing like it"):
        assert window.push([line]).novelty[0] == again.push([line]).novelty[0]


def test_threads_push_side_by_side() -> None:
    window = hither.Window(32, capacity=4000, novelty=False)
    rows = np.random.default_rng(4).normal(size=(3000, 32)).astype(np.float32)

    def push() -> None:
        for at in range(0, 3000, 50):
            window.push(rows[at : at + 50])

    threads = [threading.Thread(target=push) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        assert len(window.search(rows[0], k=5)) <= 5
    for thread in threads:
        thread.join()
    assert window.info()["pushed"] == 9000 and len(window) == 4000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_told() -> None:
    window, embedder = hither.Window(capacity=10), hither.Embedder()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            window.push(["a"])
        except hither.Error:
            code = 0 if embedder(["a"]).shape == (1, 384) else 2  # it holds nothing but constants
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(window.push(["a"])) == 1


def test_standing_queries_against_numpy() -> None:
    rng = np.random.default_rng(8)
    queries = rng.normal(size=(2000, 48)).astype(np.float32)
    radius = rng.uniform(0.3, 0.8, size=2000).astype(np.float32)
    unit = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    for novelty in (True, False):
        window = hither.Window(48, capacity=200, novelty=novelty)
        assert window.queries == [] and window.push(queries[:3]).matches == []
        window.watch(queries, radius)
        assert len(window.queries) == 2000
        rows = rng.normal(size=(150, 48)).astype(np.float32)
        found = window.push(rows).matches
        assert len(found) == 150 and sum(map(len, found)) > 100
        for row, matches in zip(rows, found, strict=True):
            distances = 1 - unit @ (row / np.linalg.norm(row))
            clear = np.abs(distances - radius) > 1e-5  # others may fall to either side here
            got = {match.query for match in matches}
            assert {int(i) for i in np.flatnonzero((distances <= radius) & clear)} <= got
            assert all(distances[i] <= radius[i] + 1e-5 for i in got)
            assert [match.distance for match in matches] == sorted(match.distance for match in matches)
        window.watch([])
        assert window.queries == [] and window.push(rows[:2]).matches == [[], []]


def test_standing_queries_of_texts() -> None:
    window = hither.Window(capacity=100)
    window.watch(["disk failure", "out of memory"], 0.4, first_only=True)
    scores = window.push(["disk failure on sda", "all is well", "disk failure on sda", "out of memory"])
    assert [[match.query for match in each] for each in scores.matches] == [["disk failure"], [], [], ["out of memory"]]
    with pytest.raises(hither.InvalidError, match="2 radii for 1"):
        window.watch(["disk"], [0.1, 0.2])
    with pytest.raises(hither.DimensionError):
        window.watch(np.zeros((2, 5), np.float32))
    with pytest.raises(hither.UnsupportedError, match="no_novelty"):
        hither.Window(capacity=10, novelty=False).watch(["a"], first_only=True)
