"""Window: scores, search against numpy, age, what it refuses."""

from __future__ import annotations

import hither
import numpy as np
import pytest


def test_window_scores() -> None:
    w = hither.Window(capacity=64)
    lines = [f"GET /item/{n} took {n * 7} ms" for n in range(100)]
    scores = w.push(lines)
    assert len(scores) == 100
    for name in ("novelty", "rarity", "distance", "centroid"):
        values = getattr(scores, name)
        assert (values.shape, values.dtype) == ((100,), np.float32)
        assert np.isfinite(values).all()
    assert scores.record.tolist() == list(range(100))
    assert scores.seen.tolist() == [min(n, 64) for n in range(100)]
    assert scores.nearest.tolist() == [-1] * 100
    odd = w.push("kernel panic: not syncing")
    assert odd.novelty[0] > scores.novelty[10:].max()
    assert odd.seen[0] == 0
    assert odd.nearest[0] >= 0
    assert w.get([0, 99, 100, -1]).ids == [99, 100]
    assert w.get(odd.record).documents == ["kernel panic: not syncing"]
    assert w.push([]).novelty.shape == (0,)
    w.push([b"broken \xff bytes", "lone \udc80 surrogate"])  # a log must go on
    assert w.capacity == 64
    assert "64" in repr(w)
    assert "novelty" in repr(odd)


def test_window_search_against_numpy() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(300, 40)).astype(np.float32)
    vectors[50:80] = vectors[:30]  # equal ones come in order
    w = hither.Window(40, capacity=200)
    assert len(w) == 0
    assert w
    assert not w.centroid.any()
    for start in range(0, 300, 60):
        scores = w.push(vectors[start : start + 60], [f"record {n}" for n in range(start, start + 60)])
    assert np.isfinite(scores.centroid).all()
    assert len(w) == 200
    unit = vectors[100:].astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    for query in rng.normal(size=(5, 40)):
        distances = 1 - unit @ (query / np.linalg.norm(query))
        order = np.lexsort((np.arange(200), np.round(distances, 9)))
        hits = w.search(query, k=7)
        assert hits.ids == (order[:7] + 100).tolist()
        assert hits.documents == [f"record {n}" for n in hits.ids]
        np.testing.assert_allclose(hits.distances, distances[order[:7]], atol=1e-6)
    mean = unit.mean(axis=0)
    np.testing.assert_allclose(w.centroid, mean, atol=1e-6)
    similarities = unit @ (mean / np.linalg.norm(mean))
    found = w.outliers(9)
    assert found.ids == (np.argsort(similarities)[:9] + 100).tolist()
    np.testing.assert_allclose(found.similarities, np.sort(similarities)[:9], atol=1e-5)
    assert len(w.outliers(threshold=0)) == (similarities < 0).sum()
    assert len(w.outliers()) == 200
    assert w.push(np.zeros((0, 40))).novelty.shape == (0,)
    assert np.isnan(hither.Window(40, track_centroid=False).push(vectors[0]).centroid[0])


def test_window_age() -> None:
    w = hither.Window(capacity=10, age=60)
    w.push(["a line", "another", "a third"], times=[0, 30, 61])
    assert sorted(w.search("line", 9).ids) == [1, 2]
    assert w.info()["pushed"] == 3


def test_window_arguments() -> None:
    e = hither.Embedder()
    assert hither.Window(e.dim, embedder=e).dim == e.dim
    with pytest.raises(hither.DimensionError, match="dim is 3"):
        hither.Window(3, embedder=e)
    with pytest.raises(hither.DimensionError, match="dim is 0"):
        hither.Window(0)
    with pytest.raises(hither.InvalidError, match="age is 0"):
        hither.Window(age=0)
    with pytest.raises(hither.ModelError, match="no embedder"):
        hither.Window(3).push("text")
    with pytest.raises(hither.DimensionError, match="2 dimensions"):
        hither.Window(3).push([[1, 2]])
    with pytest.raises(hither.InvalidError, match="documents go beside vectors"):
        hither.Window().push(["a"], ["b"])
    with pytest.raises(hither.InvalidError, match="1 times for 2"):
        hither.Window(age=1).push(["a", "b"], times=[1])
    with pytest.raises(hither.InvalidError, match="k is 0"):
        hither.Window().search("x", 0)
    with pytest.raises(hither.InvalidError, match="capacity is 0"):
        hither.Window(capacity=0)
    with pytest.raises(hither.InvalidError, match="embedder is a str"):
        hither.Window(embedder="x")  # type: ignore[arg-type]
