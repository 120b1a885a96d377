"""knn: the nearest rows of an array, exactly, with no index to build."""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from .arrays import allow_words, array, matrix
from .errors import DimensionError, InvalidError


def knn(
    base: ArrayLike,
    queries: ArrayLike,
    k: int = 10,
    metric: str = "cosine",
    *,
    allow: ArrayLike | None = None,
    threads: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k nearest rows of `base` to each query, exactly: what brute force finds, ties by row number.

    Parameters
    ----------
    base : array_like, shape (rows, dim)
        Best float32 with contiguous rows (any row stride), which is read where it lies; other numbers are copied and
        rounded to float32 first.
    queries : array_like, shape (n, dim) or (dim,)
    k : int
        How many neighbours; where `base` has fewer, the rest is label -1 at distance +inf.
    metric : {"cosine", "dot", "l2", "l1"}
        Smaller is nearer: 1 - similarity (1 for a zero vector), -<q, x>, squared Euclidean, sum of differences.
    allow : array_like, optional
        The rows that may be answers: one bool a row (rows past its end may not), or row numbers.
    threads : int, optional
        None: one for a single query, all cores for more.

    Returns
    -------
    labels : ndarray of int64, shape (n, k), or (k,) for a one-dimensional query
        Row numbers of `base`, nearest first.
    distances : ndarray of float32, same shape

    Examples
    --------
    >>> import numpy as np, hither
    >>> base = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    >>> labels, distances = hither.knn(base, [2.0, 1.0], k=2, metric="l2")
    >>> labels.tolist(), distances.tolist()
    ([2, 0], [1.0, 2.0])
    """
    rows = matrix(array(base, "base"), "base")
    if rows.dtype != np.float32:
        with np.errstate(over="ignore"):  # what overflows is found, by row, as an infinity
            rows = rows.astype(np.float32)
    asked = array(queries, "queries")
    single = asked.ndim == 1
    asked = matrix(asked.reshape(1, -1) if single else asked, "queries")
    if len(asked) and asked.shape[1] != rows.shape[1]:
        raise DimensionError(f"queries have {asked.shape[1]} dimensions, base has {rows.shape[1]}")
    words = None if allow is None else allow_words(allow, len(rows))
    labels, distances = _core.knn(rows, asked, check_k(k), metric_number(metric), check_threads(threads), words)
    return (labels[0], distances[0]) if single else (labels, distances)


def metric_number(metric: str) -> int:
    """The library's number of a metric."""
    try:
        return _core.METRICS[metric]
    except (KeyError, TypeError):
        raise InvalidError(f"metric {metric!r} is unknown; there are {', '.join(_core.METRICS)}") from None


def check_k(k: int) -> int:
    """k as a number the library can be asked with; it judges the rest."""
    try:
        number = operator.index(k)
    except TypeError:
        raise InvalidError(f"k is a {type(k).__name__}, not an integer") from None
    if number < 1:
        raise InvalidError(f"k is {number}; ask for at least 1")
    return min(number, _core.UINT32_MAX)


def check_threads(threads: int | None) -> int:
    """threads, with 0 for None."""
    if threads is None:
        return 0
    number = operator.index(threads)
    if number < 1:
        raise InvalidError(f"threads is {number}; give at least 1, or None")
    return min(number, _core.UINT32_MAX)
