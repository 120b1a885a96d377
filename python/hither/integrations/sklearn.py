"""Nearest neighbours with the estimator's face of scikit-learn, over one index. Needs scikit-learn.

What must stay true: the distances given back are computed in double precision from the rows as they were fitted, so a
row is at distance 0 from itself whatever the index stores; the index only decides which rows they are.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from ..index import Index

_METRICS = {
    "euclidean": "l2",
    "l2": "l2",
    "sqeuclidean": "l2",
    "cosine": "cosine",
    "manhattan": "l1",
    "cityblock": "l1",
    "l1": "l1",
}
_CHUNK = 1 << 22  # numbers of rows in memory at once, while distances are computed


class HitherNeighbors(BaseEstimator):
    """`sklearn.neighbors.NearestNeighbors` over a hither index: exact, or by a graph.

    Parameters
    ----------
    n_neighbors : int
        For `kneighbors`.
    radius : float
        For `radius_neighbors`.
    metric : {"euclidean", "sqeuclidean", "manhattan", "cosine"} or their synonyms "l2", "l1", "cityblock"
    kind : {"auto", "exact", "hnsw"}
        How the index searches. "hnsw" finds about `recall` of the neighbours, sooner.
    recall : float, optional
        Above 0 and up to 1; None is the index's own: 1, or 0.95 of "hnsw".
    n_jobs : int, optional
        Threads of a search; None or -1 is all cores.

    Attributes
    ----------
    n_features_in_, n_samples_fit_ : int
    index_ : hither.Index

    Examples
    --------
    >>> from hither.integrations.sklearn import HitherNeighbors
    >>> distances, indices = HitherNeighbors(n_neighbors=2).fit([[0.0], [1.0], [3.0]]).kneighbors([[2.5]])
    >>> distances.tolist(), indices.tolist()
    ([[0.5, 1.5]], [[2, 1]])
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn reads it from the class
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "radius": [Interval(Real, 0, None, closed="both")],
        "metric": [StrOptions(set(_METRICS))],
        "kind": [StrOptions({"auto", "exact", "hnsw"})],
        "recall": [Interval(Real, 0, 1, closed="right"), None],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        *,
        n_neighbors: int = 5,
        radius: float = 1.0,
        metric: str = "euclidean",
        kind: str = "auto",
        recall: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.radius = radius
        self.metric = metric
        self.kind = kind
        self.recall = recall
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: object = None) -> HitherNeighbors:  # noqa: N803 - scikit-learn's name
        """Put the rows into an index. `y` is ignored."""
        self._validate_params()
        rows = _validated(self, X)
        self._fit_X = rows
        self.n_samples_fit_ = len(rows)
        self._build()
        return self

    def _build(self) -> None:
        rows = self._fit_X
        self.index_ = Index(rows.shape[1], self.kind, _METRICS[self.metric])
        self.index_.add(_narrowed(rows), wait=False)
        if self.index_.kind != "exact":
            self.index_.build()

    def __getstate__(self) -> dict[str, Any]:
        kept: Any = super().__getstate__()
        state: dict[str, Any] = dict(kept)
        state.pop("index_", None)  # made again from the rows, in the other process
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "_fit_X"):
            self._build()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fit_X")

    # ---- asking

    def kneighbors(
        self,
        X: ArrayLike | None = None,  # noqa: N803
        n_neighbors: int | None = None,
        return_distance: bool = True,
    ) -> Any:
        """The nearest rows to each row of X, or to each fitted row, itself left out.

        Returns
        -------
        (distances, indices), or indices alone, each of shape (n, n_neighbors)
        """
        check_is_fitted(self)
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        if not isinstance(k, Integral) or isinstance(k, bool):
            raise TypeError(f"n_neighbors does not take {type(k)} value, enter integer value")
        if k <= 0:
            raise ValueError(f"Expected n_neighbors > 0. Got {k}")
        queries = self._queries(X)
        most = self.n_samples_fit_ - (X is None)
        if k > most:
            raise ValueError(
                f"Expected n_neighbors {'<' if X is None else '<='} n_samples_fit, but n_neighbors = {k}, "
                f"n_samples_fit = {self.n_samples_fit_}, n_samples = {len(queries)}"
            )
        indices = self._nearest(queries, k + (X is None))
        if X is None:
            indices = _without_self(indices)
        distances = self._distances(queries, indices)
        order = np.argsort(distances, axis=1, kind="stable")  # near ties may stand the other way round in float32
        indices = np.take_along_axis(indices, order, 1)
        return (np.take_along_axis(distances, order, 1), indices) if return_distance else indices

    def radius_neighbors(
        self,
        X: ArrayLike | None = None,  # noqa: N803
        radius: float | None = None,
        return_distance: bool = True,
        sort_results: bool = False,
    ) -> Any:
        """All rows within `radius` of each row of X, or of each fitted row, itself left out.

        Returns
        -------
        (distances, indices), or indices alone
            Object arrays of arrays, nearest first whatever `sort_results` says.
        """
        check_is_fitted(self)
        radius = self.radius if radius is None else radius
        queries = self._queries(X)
        # A little farther than asked, so that rounding to float32 loses none; distances in full decide.
        within = radius * radius if self.metric in ("euclidean", "l2") else radius
        scale = float(np.abs(self._fit_X).max(initial=0) + np.abs(queries).max(initial=0))
        slack = 1e-5 * (within + (1 if self.metric == "cosine" else (scale * queries.shape[1])))
        found = self.index_.within(_narrowed(queries), min(within + slack, 3.4e38), threads=self._threads())
        indices, distances = np.empty(len(queries), object), np.empty(len(queries), object)
        assert isinstance(found, list)  # one a query
        for row, (labels, _) in enumerate(found):
            near = labels if X is not None else labels[labels != row]
            exact = self._distances(queries[row : row + 1], near[None, :])[0]
            order = np.argsort(exact, kind="stable")[: int((exact <= radius).sum())]
            indices[row], distances[row] = near[order], exact[order]
        return (distances, indices) if return_distance else indices

    def kneighbors_graph(
        self,
        X: ArrayLike | None = None,  # noqa: N803
        n_neighbors: int | None = None,
        mode: str = "connectivity",
    ) -> csr_matrix:
        """The neighbours as a sparse matrix of ones ("connectivity") or distances ("distance")."""
        if mode not in ("connectivity", "distance"):
            raise ValueError(f'Unsupported mode, must be one of "connectivity", or "distance" but got "{mode}"')
        distances, indices = self.kneighbors(X, n_neighbors)
        data = np.ones(indices.size) if mode == "connectivity" else distances.ravel()
        starts = np.arange(0, indices.size + 1, indices.shape[1])
        return csr_matrix((data, indices.ravel(), starts), shape=(len(indices), self.n_samples_fit_))

    # ---- inside

    def _queries(self, X: ArrayLike | None) -> NDArray[Any]:  # noqa: N803
        if X is None:
            return self._fit_X
        return _validated(self, X, reset=False)

    def _threads(self) -> int | None:
        return None if self.n_jobs is None or self.n_jobs < 1 else int(self.n_jobs)

    def _nearest(self, queries: NDArray[Any], k: int) -> NDArray[np.int64]:
        recall = None if self.recall is None else float(self.recall)
        return self.index_.search(_narrowed(queries), k, recall=recall, threads=self._threads())[0]

    def _distances(self, queries: NDArray[Any], indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """From the numbers as they were given, in double precision, some rows at a time."""
        out = np.empty(indices.shape, np.float64)
        step = max(1, _CHUNK // max(1, indices.shape[1] * queries.shape[1]))
        for begin in range(0, len(queries), step):
            q = queries[begin : begin + step, None, :].astype(np.float64)
            rows = self._fit_X[indices[begin : begin + step]].astype(np.float64)
            if self.metric == "cosine":
                lengths = np.sqrt((rows**2).sum(2) * (q**2).sum(2))
                dots = (rows * q).sum(2)
                similar = np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0)
                far = np.where((rows == q).all(2), 0.0, np.clip(1 - similar, 0, 2))
            elif _METRICS[self.metric] == "l1":
                far = np.abs(rows - q).sum(2)
            else:
                with np.errstate(over="ignore"):  # infinitely far is far
                    far = ((rows - q) ** 2).sum(2)
                far = far if self.metric == "sqeuclidean" else np.sqrt(far)
            out[begin : begin + step] = far
        return out

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags


class HitherNeighborsTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, HitherNeighbors):
    """`sklearn.neighbors.KNeighborsTransformer` over a hither index: rows in, the sparse graph of neighbours out.

    For pipelines with an estimator of ``metric="precomputed"``, or ``neighbors="precomputed"``: `TSNE`, `DBSCAN`,
    `SpectralClustering`, `KNeighborsClassifier` and others. Parameters are those of `HitherNeighbors`, and:

    Parameters
    ----------
    mode : {"distance", "connectivity"}
        "distance" finds one neighbour more, as each row is its own first.

    Examples
    --------
    >>> from hither.integrations.sklearn import HitherNeighborsTransformer
    >>> graph = HitherNeighborsTransformer(n_neighbors=1, mode="distance").fit_transform([[0.0], [1.0], [3.0]])
    >>> graph.toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    """

    _parameter_constraints = {  # noqa: RUF012
        **HitherNeighbors._parameter_constraints,
        "mode": [StrOptions({"distance", "connectivity"})],
    }

    def __init__(
        self,
        *,
        mode: str = "distance",
        n_neighbors: int = 5,
        radius: float = 1.0,
        metric: str = "euclidean",
        kind: str = "auto",
        recall: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(n_neighbors=n_neighbors, radius=radius, metric=metric, kind=kind, recall=recall, n_jobs=n_jobs)
        self.mode = mode

    def fit(self, X: ArrayLike, y: object = None) -> HitherNeighborsTransformer:  # noqa: N803
        """Put the rows into an index. `y` is ignored."""
        super().fit(X, y)
        self._n_features_out = self.n_samples_fit_
        return self

    def transform(self, X: ArrayLike) -> csr_matrix:  # noqa: N803
        """The graph from each row of X to its nearest fitted rows."""
        check_is_fitted(self)
        return self.kneighbors_graph(X, self.n_neighbors + (self.mode == "distance"), self.mode)

    def fit_transform(self, X: ArrayLike, y: object = None, **fit_params: Any) -> csr_matrix:  # noqa: N803
        """`fit`, and `transform` of the same rows."""
        return self.fit(X, y, **fit_params).transform(X)


def _validated(estimator: BaseEstimator, X: ArrayLike, reset: bool = True) -> NDArray[Any]:  # noqa: N803
    """As scikit-learn wants input checked; `reset`: its features are those of the estimator from now on."""
    check: Any = validate_data  # whose defaults say less than it takes
    rows: NDArray[Any] = check(estimator, X, dtype=[np.float64, np.float32], order="C", reset=reset)
    return rows


def _narrowed(rows: NDArray[Any]) -> NDArray[np.float32]:
    """As the index keeps them; what float32 cannot hold is cut to its largest."""
    limit = np.finfo(np.float32).max
    return np.ascontiguousarray(np.clip(rows, -limit, limit), np.float32)


def _without_self(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each row's neighbours without the row itself, or without the last where it was not among them."""
    own = indices == np.arange(len(indices))[:, None]
    own[~own.any(axis=1), -1] = True
    return indices[~own].reshape(len(indices), -1)
