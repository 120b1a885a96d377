"""Index: rows of numbers kept in memory or in one mapped file, searched exactly or by a graph."""

from __future__ import annotations

import json
import operator
import os
from types import TracebackType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core, _index
from .arrays import F32, PACKED_AND_ALIGNED, Ids, Stored, Texts, allow_words, ids as id_column, own_dtype, stored
from .errors import DimensionError, InvalidError, TooLargeError
from .exact import Answers, check_k, check_radius, check_recall, check_threads, metric_number
from .tensors import from_elsewhere

_MAX_K = _core.MAX_K
_TUNED_MOST = 64
_ALLOW_BITS_MAX = 2**33  # a GiB of bits

# The names other engines use for the width of a number.
_SYNONYMS = {"f8": "i8"}


class Index:
    """Rows of numbers under integer labels, searched exactly (the answer of brute force, faster) or by a graph.

        Index(dim, kind, metric, dtype)    an empty index in memory
        Index.wrap(array)                  over an array that stays yours, nothing copied
        Index.open(path)                   a saved one, mapped: at once, whatever its size
        add(vectors, labels)               copies rows in; returns their labels
        build()                            brings the graph up to the rows
        remove(labels)                     returns how many were there
        search(queries, k)                 labels and distances, nearest first
        within(queries, radius)            all rows that near
        explain(queries, k)                what a search did, as a dict
        tune()                             what recall costs, measured
        save(path), verify(), close()
        info(), len(), dim, metric, dtype, kind

    Any number of threads may use it: searches run together, a writer waits for them. Rows live in memory, or in the
    file they were opened from; changes reach a file by `save` alone, which writes a whole new one. For rows with
    texts and metadata, and durable at every write, see `hither.connect`.

    Parameters
    ----------
    dim : int
        Dimensions of a row, 1 to 65,535.
    kind : {"auto", "exact", "ivf", "hnsw"}
        How it searches. "auto" is exact unless a search asks for a recall below 1, and picks what answers those with
        the least work: `build` makes a graph of 10,000 rows and more, or lists where they take more than half of the
        memory there is. You may say yourself: once there are a few thousand rows, "hnsw" walks a graph of them, and
        "ivf" looks into the nearest of the lists it cuts them into: what they find has exact distances, and which rows
        they find is right for the share that `search(recall=)` asks for. They take cosine, dot and l2 of all types but
        b1; all else is searched exactly.
    metric : {"cosine", "dot", "l2", "l1", "hamming"}
        Of searches that do not name another. None: "cosine", or "hamming" for bits, which take no other.
    dtype : {"f32", "f64", "f16", "bf16", "i8", "b1"}
        How a number is stored. "i8" is one byte a dimension with a scale a row ("f8" of other engines), "b1" one bit:
        whether the number is above 0. Searches are exact for what is stored.
    m, ef_build, bits : int, optional
        Of a graph: links of a node (16), candidates looked at for a new node's links (100), bits of the codes that are
        walked by (4 or 8; 4).
    lists : int, optional
        Of "ivf": how many (eight times the square root of the rows, if they hold 64 rows each).
    seed : int
        The same rows, options and seed give the same index, whatever the threads.

    Examples
    --------
    >>> import numpy as np, hither
    >>> index = hither.Index(2, metric="l2")
    >>> index.add(np.array([[0, 0], [3, 4], [6, 8]], np.float32)).tolist()
    [0, 1, 2]
    >>> labels, distances = index.search([3.0, 3.0], k=2)
    >>> labels.tolist(), distances.tolist()
    ([1, 0], [1.0, 18.0])
    """

    __slots__ = ("__weakref__", "_calls", "_cdata", "_dim", "_dtype", "_kind", "_metric", "_shape", "_tuned")

    def __init__(
        self,
        dim: int,
        kind: str = "auto",
        metric: str | None = None,
        dtype: str = "f32",
        *,
        m: int | None = None,
        ef_build: int | None = None,
        bits: int | None = None,
        lists: int | None = None,
        seed: int = 0,
    ) -> None:
        number = 0 if metric is None else metric_number(metric)
        made = _index.Made(
            _dtype_number(dtype),
            number,
            _kind_number(kind),
            _whole(m, "m"),
            _whole(ef_build, "ef_build"),
            _whole(bits, "bits"),
            _whole(lists, "lists"),
            seed=operator.index(seed) % 2**64,
        )
        self._take(_index.index_new(_dim(dim), made))

    def _take(self, cdata: Any) -> None:
        self._cdata = cdata  # None once closed; a call in the library has a reference of its own
        facts = json.loads(_index.index_info(cdata))
        self._dim: int = facts["dim"]
        self._dtype: str = facts["dtype"]
        self._metric: str = facts["metric"]
        self._kind: str = facts["kind"]
        self._shape = (self._dim,)
        self._calls: list[_index.IndexCall] = []  # lent to searches of one query; append and pop are atomic
        self._tuned: dict[Any, list[_index.IndexCall]] = {}  # the same by (recall, ef, nprobe)

    @classmethod
    def _of(cls, cdata: Any) -> Index:
        made = cls.__new__(cls)
        made._take(cdata)
        return made

    @classmethod
    def wrap(cls, array: NDArray[Any], metric: str | None = None, dtype: str | None = None) -> Index:
        """An index over an array that stays yours; it is referenced, not copied, until the index is closed.

        Parameters
        ----------
        array : ndarray or tensor of float32, float64, float16 or int8, shape (rows, dim)
            In C order, with any stride between rows; it must not change while the index is in use. An array in Fortran
            order, or with gaps between the numbers of a row, is copied once into C order, and the copy is what is kept.
        metric : str, optional
            As for `Index`.
        dtype : {"bf16", "b1"}, optional
            For what numpy has no type for: "bf16" wraps uint16, the upper halves of float32; "b1" wraps uint8, bits as
            `np.packbits` packs them, eight dimensions a byte.

        Returns
        -------
        Index
            Its labels are the row numbers. Rows can be removed from it, not added.

        Examples
        --------
        >>> import numpy as np, hither
        >>> rows = np.array([[1, 0], [0, 1]], np.float32)
        >>> labels, distances = hither.Index.wrap(rows).search([5.0, 0.0], k=1)
        >>> labels.tolist(), distances.tolist()
        ([0], [0.0])
        """
        if hasattr(array, "__dlpack__") and not isinstance(array, np.ndarray):
            array = from_elsewhere(array, "vectors")
        name = own_dtype(array, dtype) if isinstance(array, np.ndarray) else None
        if name is None or dtype not in (None, name):
            what = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise InvalidError(f"a {what} cannot be wrapped, an ndarray of float32 can; Index(dim).add copies others")
        if array.ndim != 2:
            raise DimensionError(f"the array has shape {array.shape}; give two dimensions, one row a vector")
        dim = array.shape[1] * (8 if name == "b1" else 1)
        number = 0 if metric is None else metric_number(metric)
        return cls._of(_index.index_wrap(Stored(_rows_apart(array), name, dim), number))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Index:
        """Open a saved index by mapping its file: at once, whatever its size, from any number of processes.

        Its bytes are checked as they are first read. Rows added later live in memory until the next `save`.

        Examples
        --------
        >>> import hither
        >>> index = hither.Index(2)
        >>> _ = index.add([[1.0, 2.0], [3.0, 4.0]])
        >>> index.save("points.hi")
        >>> with hither.Index.open("points.hi") as again:
        ...     again
        <hither.Index of 2 rows, 2 dimensions, f32, cosine, auto>
        """
        return cls._of(_index.index_open(os.fsencode(path)))

    def add(self, vectors: ArrayLike, labels: Ids | None = None, *, wait: bool = True) -> NDArray[np.int64]:
        """Copy rows in, all or none. They are found from now on.

        Parameters
        ----------
        vectors : array_like, shape (n, dim) or (dim,)
            Finite numbers. Of the index's own type they are stored as they are (float16; int8 for "i8", with scale 1;
            uint16 for "bf16"; packed uint8 or bool for "b1"), all others are rounded to it.
        labels : array_like of int, optional
            Labels of the rows, 0 or more and not in use; left out, they count on from the largest so far.
        wait : bool
            Whether to build the graph on once enough rows wait for that (one in 64, and at least 1,024): they are
            searched exactly until then. False: only `build` does.

        Returns
        -------
        ndarray of int64, shape (n,)
            The labels.
        """
        rows = self._rows(vectors, "vectors")[0]
        given = None if labels is None else _labels(labels)
        count = len(rows.rows)
        if given is not None and len(given) != count:
            raise InvalidError(f"{count} vectors but {len(given)} labels: give one for each")
        cdata = self._open()
        first = _index.index_add(cdata, rows, given)
        if wait and self._kind != "exact":
            _index.index_build(cdata, 0, True)
        return np.arange(first, first + count, dtype=np.int64) if given is None else given.copy()

    def build(
        self, *, threads: int | None = None, memory: int | None = None, progress: _core.Progress | None = None
    ) -> None:
        """Build all rows into the graph or the lists, take removed ones out, and measure what recall costs.

        Searches and changes from other threads go on meanwhile. Nothing to do for "exact", and for a few thousand rows.

        Parameters
        ----------
        threads : int, optional
            None: all cores.
        memory : int, optional
            Bytes that it may take beside the rows; where that is too little, `TooLargeError` says how many it wants.
        progress : callable or True, optional
            Called now and then with the rows done and the rows there are; False, or an exception, stops it. True: a
            `Bar`.

        Examples
        --------
        >>> import numpy as np, hither
        >>> rows = np.random.default_rng(1).standard_normal((5000, 16), np.float32)
        >>> index = hither.Index(16, kind="hnsw")
        >>> _ = index.add(rows, wait=False)
        >>> index.build()
        >>> index.info()["built"]
        5000
        """
        _index.index_build(self._open(), check_threads(threads), False, _whole(memory, "memory"), progress)

    def tune(self) -> dict[str, Any]:
        """Measure again what recall costs, with some of the last queries beside rows of the index.

        Returns
        -------
        dict
            `effort` ("ef" or "nprobe"), `own` and `asked` (queries measured with) and `curve`: for each effort the rows
            a search compares (`visited`) and the shares of the 10 and 100 nearest it finds, less one standard error.
        """
        measured: dict[str, Any] = json.loads(_index.index_tune(self._open()))
        return measured

    def remove(self, labels: Ids) -> int:
        """Remove rows by label; unknown labels are passed over. Returns how many there were.

        Their memory comes back with the next `save` and `open`. Once one row in eight of a graph is gone, those that
        are left are linked anew.
        """
        cdata = self._open()
        removed = _index.index_remove(cdata, _labels(labels))
        if removed and self._kind != "exact":
            _index.index_build(cdata, 0, True)
        return removed

    def search(
        self,
        queries: ArrayLike,
        k: int = 10,
        *,
        allow: ArrayLike | None = None,
        metric: str | None = None,
        recall: float | None = None,
        ef: int | None = None,
        nprobe: int | None = None,
        threads: int | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k nearest rows to each query by their distance, ties in the order the rows were added.

        Parameters
        ----------
        queries : array_like, shape (n, dim) or (dim,)
            Fastest as float32.
        k : int
            How many; where the index has fewer, the rest is label -1 at distance +inf.
        allow : array_like, optional
            The rows that may be answers: one bool a label, from 0 on (labels past its end may not), or labels.
        metric : str, optional
            Another one than the index's own.
        recall : float, optional
            The share of the true answers that is enough, on average; 1 is exact. None: 1, or 0.95 of kind "hnsw" and
            "ivf". They, and "auto", find out by themselves how much work that takes.
        ef : int, optional
            Of kind "hnsw", in the place of a recall: how many candidates are kept on the walk.
        nprobe : int, optional
            Of kind "ivf", in the place of a recall: how many lists are looked into.
        threads : int, optional
            None: one for a single query, all cores for more.

        Returns
        -------
        labels : ndarray of int64, shape (n, k), or (k,) for a one-dimensional query
        distances : ndarray of float32, same shape
            Smaller is nearer under every metric: 1 - similarity, -<q, x>, squared Euclidean, sum of differences.
        """
        cdata = self._cdata
        if (
            type(queries) is np.ndarray
            and queries.dtype is F32
            and queries.shape == self._shape
            and queries.flags.num & PACKED_AND_ALIGNED == PACKED_AND_ALIGNED
            and type(k) is int
            and 0 < k <= _MAX_K
            and allow is None
            and metric is None
            and threads is None
            and cdata is not None
        ):
            plain = recall is None and ef is None and nprobe is None
            calls = self._calls if plain else self._calls_for(recall, ef, nprobe)
            try:
                call = calls.pop()
            except IndexError:
                call = _index.IndexCall(self._dim, check_recall(recall), _whole(ef, "ef"), _whole(nprobe, "nprobe"))
            try:
                return _index.index_search_one(cdata, call, queries, k)
            finally:
                calls.append(call)
        rows, single = self._rows(queries, "queries", True)
        asked = self._asked(allow, metric, threads, recall, ef, nprobe)
        labels, distances = _index.index_search(self._open(), rows, check_k(k), asked)
        return (labels[0], distances[0]) if single else (labels, distances)

    def within(
        self,
        queries: ArrayLike,
        radius: float,
        *,
        allow: ArrayLike | None = None,
        metric: str | None = None,
        threads: int | None = None,
    ) -> Answers | list[Answers]:
        """All rows whose distance to a query is at most `radius`, nearest first, ties in the order they were added.

        Parameters are those of `search`.

        Returns
        -------
        (labels, distances), or a list of such pairs, one a query
            A pair for a one-dimensional query. Queries find different numbers of rows, hence the list.

        Examples
        --------
        >>> import numpy as np, hither
        >>> index = hither.Index.wrap(np.array([[1, 0], [0, 1], [5, 5]], np.float32), metric="l2")
        >>> labels, distances = index.within([1.0, 1.0], radius=1)
        >>> labels.tolist(), distances.tolist()
        ([0, 1], [1.0, 1.0])
        """
        rows, single = self._rows(queries, "queries", True)
        asked = self._asked(allow, metric, threads)
        found, _ = _index.index_within(self._open(), rows, check_radius(radius), asked)
        return found[0] if single else found

    def explain(
        self,
        queries: ArrayLike,
        k: int = 10,
        *,
        allow: ArrayLike | None = None,
        metric: str | None = None,
        recall: float | None = None,
        ef: int | None = None,
        nprobe: int | None = None,
        threads: int | None = None,
    ) -> dict[str, Any]:
        """Run a search and say what it did: rows looked at by their codes, rows scored in full, threads.

        Examples
        --------
        >>> import numpy as np, hither
        >>> plan = hither.Index.wrap(np.eye(4, dtype=np.float32)).explain(np.ones((1, 4)), k=2)
        >>> plan["kind"], plan["rows"], plan["rows_scanned"]
        ('exact', 4, 4)
        """
        rows, _ = self._rows(queries, "queries", True)
        asked = self._asked(allow, metric, threads, recall, ef, nprobe)
        plan: dict[str, Any] = json.loads(_index.index_explain(self._open(), rows, check_k(k), asked))
        return plan

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a whole new file, synced to disk, that takes the place of `path` only when it is complete."""
        _index.index_save(self._open(), os.fsencode(path))

    def verify(self) -> None:
        """Read every byte, mapped or not, and check it; raises `CorruptError` naming the place of the first damage."""
        _index.index_verify(self._open())

    def info(self) -> dict[str, Any]:
        """kind, dim, dtype, metric, rows, bytes_rows, bytes_extra (what searching adds), mapped, borrowed.

        Of kinds "hnsw" and "ivf" also built, waiting and stray (rows in what was built, beside it, and removed ones
        still in it), levels, links and lists, bytes_built, and recall: the ef or nprobe that finds that share of the 10
        nearest, 0 where none does.
        """
        facts: dict[str, Any] = json.loads(_index.index_info(self._open()))
        return facts

    @property
    def dim(self) -> int:
        """Dimensions of a row."""
        return self._dim

    @property
    def metric(self) -> str:
        """The metric of searches that do not name another."""
        return self._metric

    @property
    def dtype(self) -> str:
        """How a number is stored, e.g. "f32"."""
        return self._dtype

    @property
    def kind(self) -> str:
        """How it searches: "exact", "ivf" or "hnsw"."""
        return self._kind

    def close(self) -> None:
        """Give back memory, file and wrapped array; searches still running end first. Closing twice is harmless."""
        self._cdata = None

    def _open(self) -> Any:
        cdata = self._cdata
        if cdata is None:
            raise InvalidError("this index is closed")
        return cdata

    def _rows(self, values: ArrayLike, what: str, queries: bool = False) -> tuple[Stored, bool]:
        """Rows of the index's dimension, and whether they came as one vector."""
        dtype = self._dtype if not queries or self._dtype == "b1" else "f32"
        rows, single = stored(values, what, dtype, self._dim if dtype == "b1" else None)
        if rows.dim != self._dim:
            if len(rows.rows):
                raise DimensionError(f"{what} have {rows.dim} dimensions, the index has {self._dim}")
            rows = Stored(np.empty((0, self._dim), np.float32), "f32", self._dim)
        return rows, single

    def _calls_for(self, recall: float | None, ef: int | None, nprobe: int | None) -> list[_index.IndexCall]:
        """Calls to lend to searches that ask for this; for a few of them."""
        calls = self._tuned.get((recall, ef, nprobe))
        if calls is None:
            calls = []
            if len(self._tuned) < _TUNED_MOST:
                self._tuned[recall, ef, nprobe] = calls
        return calls

    def _asked(
        self,
        allow: ArrayLike | None,
        metric: str | None,
        threads: int | None,
        recall: float | None = None,
        ef: int | None = None,
        nprobe: int | None = None,
    ) -> _index.Asked:
        """What is asked for as numbers the library takes."""
        number = 0 if metric is None else metric_number(metric)
        words = None if allow is None else _allow(allow)
        asked = (check_threads(threads), words, check_recall(recall), _whole(ef, "ef"), _whole(nprobe, "nprobe"))
        return _index.Asked(number, *asked)

    def __len__(self) -> int:
        return int(self.info()["rows"])

    def __enter__(self) -> Index:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Index cannot be pickled: save(path) it, and Index.open(path) it in the other process")

    def __repr__(self) -> str:
        if self._cdata is None:
            return "<hither.Index, closed>"
        facts = f"{len(self)} rows, {self._dim} dimensions, {self._dtype}, {self._metric}, {self._kind}"
        return f"<hither.Index of {facts}>"


def _dim(dim: int) -> int:
    try:
        number = operator.index(dim)
    except TypeError:
        raise InvalidError(f"dim is a {type(dim).__name__}, not an integer") from None
    if not 0 < number <= _core.UINT32_MAX:
        raise DimensionError(f"dim is {number}; 1 to 65,535 are possible")
    return number


def _whole(value: int | None, name: str) -> int:
    """A number of something, with 0 for None."""
    if value is None:
        return 0
    try:
        number = operator.index(value)
    except TypeError:
        raise InvalidError(f"{name} is a {type(value).__name__}, not an integer") from None
    if not 0 < number <= _core.UINT32_MAX:
        raise InvalidError(f"{name} is {number}; 1 and more are possible")
    return number


def _dtype_number(dtype: str) -> int:
    try:
        return _core.DTYPES[_SYNONYMS.get(dtype, dtype)]
    except (KeyError, TypeError):
        known = ", ".join([*_core.DTYPES, *_SYNONYMS])
        raise InvalidError(f"dtype {dtype!r} is unknown; there are {known}") from None


def _kind_number(kind: str) -> int:
    try:
        return _core.KINDS[kind]
    except (KeyError, TypeError):
        raise InvalidError(f"kind {kind!r} is unknown; there are {', '.join(_core.KINDS)}") from None


def _labels(labels: Ids) -> NDArray[np.int64]:
    column = id_column(labels)
    if isinstance(column, Texts):
        raise InvalidError("labels are strings; an index has integers, a collection (hither.connect) takes both")
    return column


def _allow(allow: ArrayLike) -> tuple[NDArray[np.uint64], int]:
    """A bool a label, or labels, as the library's bits."""
    values = np.asarray(allow)
    bits = 0
    if values.size and values.dtype.kind in "iu":
        bits = int(values.max()) + 1
        if bits > _ALLOW_BITS_MAX:
            raise TooLargeError(f"allow has the label {bits - 1}; it takes a bit a label, up to {_ALLOW_BITS_MAX - 1}")
    return allow_words(values, bits)


def _rows_apart(rows: NDArray[Any]) -> NDArray[Any]:
    """The array itself where the library can read it where it lies, else a copy in C order."""
    item = rows.itemsize
    packed = rows.shape[1] <= 1 or rows.strides[1] == item
    apart = len(rows) <= 1 or (rows.strides[0] >= rows.shape[1] * item and rows.strides[0] % item == 0)
    return rows if packed and apart and rows.flags.aligned else np.array(rows, order="C")
