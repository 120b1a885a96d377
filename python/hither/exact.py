"""knn and within: the nearest rows of an array, exactly, with no index to build."""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core, _index
from .arrays import Stored, allow_words, stored
from .errors import DimensionError, InvalidError

Answers = _index.Answers


def knn(
    base: ArrayLike,
    queries: ArrayLike,
    k: int = 10,
    metric: str | None = None,
    *,
    dtype: str | None = None,
    allow: ArrayLike | None = None,
    recall: float | None = None,
    threads: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k nearest rows of `base` to each query, exactly: what brute force finds, ties by row number.

    Parameters
    ----------
    base : array_like, shape (rows, dim)
        An array of float32, float64, float16 or int8 with contiguous rows (any row stride) is read where it lies, and
        searched exactly for the numbers it holds; other numbers are copied and become float64.
    queries : array_like, shape (n, dim) or (dim,)
        Numbers; rounded to float32 once, unless `base` is float64. For bits: as `base`, or numbers, of which those
        above 0 are 1.
    k : int
        How many neighbours; where `base` has fewer, the rest is label -1 at distance +inf.
    metric : {"cosine", "dot", "l2", "l1", "hamming"}
        Smaller is nearer: 1 - similarity (1 for a zero vector), -<q, x>, squared Euclidean, sum of differences. Bits
        take "hamming", the number that differ, and only they. None: "cosine", or "hamming" for bits.
    dtype : {"bf16", "b1"}, optional
        For what numpy has no type for: "bf16" reads a base of uint16 as the upper halves of float32, "b1" one of uint8
        as bits packed by `np.packbits`, or one of bool. metric="hamming" implies "b1".
    allow : array_like, optional
        The rows that may be answers: one bool a row (rows past its end may not), or row numbers.
    recall : float, optional
        None: exact. Below 1: the share of the true answers that is enough, on average, for less time.
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
    rows, asked_rows, single, asked = _prepare(base, queries, metric, dtype, allow, recall, threads)
    labels, distances = _index.knn(rows, asked_rows, check_k(k), asked)
    return (labels[0], distances[0]) if single else (labels, distances)


def within(
    base: ArrayLike,
    queries: ArrayLike,
    radius: float,
    metric: str | None = None,
    *,
    dtype: str | None = None,
    allow: ArrayLike | None = None,
    threads: int | None = None,
) -> Answers | list[Answers]:
    """All rows of `base` whose distance to a query is at most `radius`, nearest first, ties by row number.

    Parameters are those of `knn`.

    Returns
    -------
    (labels, distances), or a list of such pairs, one a query
        A pair for a one-dimensional query. Queries find different numbers of rows, hence the list.

    Examples
    --------
    >>> import numpy as np, hither
    >>> base = np.array([[1, 0], [0, 1], [5, 5]], np.float32)
    >>> labels, distances = hither.within(base, [1.0, 1.0], radius=1, metric="l2")
    >>> labels.tolist(), distances.tolist()
    ([0, 1], [1.0, 1.0])
    """
    rows, asked_rows, single, asked = _prepare(base, queries, metric, dtype, allow, None, threads)
    found = _index.within(rows, asked_rows, check_radius(radius), asked)
    return found[0] if single else found


def _prepare(
    base: ArrayLike,
    queries: ArrayLike,
    metric: str | None,
    dtype: str | None,
    allow: ArrayLike | None,
    recall: float | None,
    threads: int | None,
) -> tuple[Stored, Stored, bool, _index.Asked]:
    """Rows and queries as the library reads them, whether there is one query, and what else is asked for."""
    if dtype not in (None, "bf16", "b1"):
        raise InvalidError(f'dtype is {dtype!r}; it is for "bf16" and "b1", numpy\'s own types speak for themselves')
    rows = stored(base, "base", "b1" if metric == "hamming" else dtype)[0]
    if dtype is not None and rows.dtype != dtype:
        wanted = "uint16" if dtype == "bf16" else "packed uint8, or bool"
        raise InvalidError(f"base is {rows.rows.dtype}; {dtype} is {wanted}")
    bits = rows.dim if rows.dtype == "b1" else None
    if bits and isinstance(queries, np.ndarray) and queries.dtype == bool and queries.ndim and len(queries):
        bits = queries.shape[-1] if (queries.shape[-1] + 7) // 8 * 8 == bits else bits  # packing filled the last byte
    asked, single = stored(queries, "queries", "b1" if bits else "f32", bits)
    if len(asked.rows) and asked.dim != rows.dim and not (bits and asked.dtype == "b1"):
        raise DimensionError(f"queries have {asked.dim} dimensions, base has {rows.dim}")
    asked = Stored(asked.rows, asked.dtype, rows.dim)
    words = None if allow is None else allow_words(allow, len(rows.rows))
    number = 0 if metric is None else metric_number(metric)
    return rows, asked, single, _index.Asked(number, check_threads(threads), words, check_recall(recall))


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


def check_radius(radius: float) -> float:
    """radius as a number; it may be infinite."""
    try:
        number = float(radius)
    except (TypeError, ValueError):
        raise InvalidError(f"radius is a {type(radius).__name__}, not a number") from None
    if number != number:
        raise InvalidError("radius is not a number; give a distance")
    return number


def check_recall(recall: float | None) -> float:
    """recall, with 0 for None."""
    if recall is None:
        return 0.0
    try:
        number = float(recall)
    except (TypeError, ValueError):
        raise InvalidError(f"recall is a {type(recall).__name__}, not a number") from None
    if not 0 < number <= 1:
        raise InvalidError(f"recall is {number}; it is a share of the true answers, above 0 and up to 1")
    return number


def check_threads(threads: int | None) -> int:
    """threads, with 0 for None."""
    if threads is None:
        return 0
    number = operator.index(threads)
    if number < 1:
        raise InvalidError(f"threads is {number}; give at least 1, or None")
    return min(number, _core.UINT32_MAX)
