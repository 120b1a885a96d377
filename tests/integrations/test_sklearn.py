"""scikit-learn's own checks of estimators, all of them and unmodified, and answers against its own neighbours."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from hither.integrations.sklearn import HitherNeighbors, HitherNeighborsTransformer
from sklearn.cluster import DBSCAN
from sklearn.neighbors import KNeighborsClassifier, KNeighborsTransformer, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

RNG = np.random.default_rng(5)
ROWS = RNG.standard_normal((400, 8))
QUERIES = RNG.standard_normal((50, 8))


@parametrize_with_checks(
    [
        HitherNeighbors(),
        HitherNeighbors(metric="cosine"),
        HitherNeighborsTransformer(),
        HitherNeighborsTransformer(mode="connectivity", metric="manhattan"),
    ]
)
def test_estimator_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "manhattan", "cosine"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_neighbours_are_scikit_learns(metric: str, dtype: type) -> None:
    rows, queries = ROWS.astype(dtype), QUERIES.astype(dtype)
    ours = HitherNeighbors(metric=metric, n_neighbors=7).fit(rows)
    theirs = NearestNeighbors(metric=metric, n_neighbors=7, algorithm="brute").fit(rows)
    for given in (queries, None):
        (d, i), (want_d, want_i) = ours.kneighbors(given), theirs.kneighbors(given)
        assert (i == want_i).all() and np.allclose(d, want_d, rtol=1e-5, atol=1e-6)
        radius = float(np.median(want_d))
        found, wanted = ours.radius_neighbors(given, radius), theirs.radius_neighbors(given, radius)
        for row in range(len(wanted[1])):
            order = np.argsort(wanted[0][row], kind="stable")
            assert found[1][row].tolist() == wanted[1][row][order].tolist()
        for mode in ("connectivity", "distance"):
            ours_graph, theirs_graph = (one.kneighbors_graph(given, mode=mode) for one in (ours, theirs))
            assert np.allclose(ours_graph.toarray(), theirs_graph.toarray(), rtol=1e-5, atol=1e-6)


def test_transformer_in_pipelines() -> None:
    labels = (ROWS[:, 0] > 0).astype(int)
    ours = make_pipeline(
        HitherNeighborsTransformer(n_neighbors=9), KNeighborsClassifier(n_neighbors=9, metric="precomputed")
    ).fit(ROWS, labels)
    theirs = KNeighborsClassifier(n_neighbors=9).fit(ROWS, labels)
    assert (ours.predict(QUERIES) == theirs.predict(QUERIES)).all()
    graphs = [cls(n_neighbors=9).fit_transform(ROWS) for cls in (HitherNeighborsTransformer, KNeighborsTransformer)]
    assert np.allclose(graphs[0].toarray(), graphs[1].toarray(), atol=1e-6)
    clusters = DBSCAN(eps=1.6, metric="precomputed").fit(
        HitherNeighborsTransformer(n_neighbors=200).fit_transform(ROWS)
    )
    assert (clusters.labels_ == DBSCAN(eps=1.6).fit(ROWS).labels_).all()


def test_far_and_equal_rows() -> None:
    ours = HitherNeighbors(n_neighbors=2).fit(np.array([[1e300], [0.0], [0.0], [0.0]]))
    distances, indices = ours.kneighbors()
    assert (indices[1:] != np.arange(1, 4)[:, None]).all() and (distances[1:] == 0).all()
    big = HitherNeighbors(radius=0.5).fit(ROWS * 1000)
    assert [row.tolist() for row in big.radius_neighbors(ROWS * 1000)[1]] == [[n] for n in range(400)]


def test_a_graph_and_a_pickle() -> None:
    rows = RNG.standard_normal((6000, 16))
    ours = HitherNeighbors(kind="hnsw", recall=0.9, n_neighbors=10, n_jobs=2).fit(rows)
    exact = HitherNeighbors(n_neighbors=10).fit(rows).kneighbors(rows[:200], return_distance=False)
    found = pickle.loads(pickle.dumps(ours)).kneighbors(rows[:200], return_distance=False)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)]) > 0.85
