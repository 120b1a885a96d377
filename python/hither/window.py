"""Window: the newest records of a stream, and how new each one was when it came."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core, _search
from .arrays import (
    F32,
    PACKED_AND_ALIGNED,
    Metadata,
    Text,
    Where,
    matrix,
    metadata_column,
    text_column as document_column,
    texts as text_column,
    where_text,
)
from .embed import Embedder
from .errors import DimensionError, InvalidError
from .hits import Hits


class Match(NamedTuple):
    """A standing query that a record is near to."""

    query: Any  #: the text, or the number of the vector, from 0
    distance: float


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What each pushed record was worth, judged by the window before it. Every array has shape (n,).

    Attributes
    ----------
    novelty : ndarray of float32
        rarity + 2 * distance: 0 for the commonest form, larger is newer.
    rarity : ndarray of float32
        How rare the masked form is in the window, 0 to 1.
    distance : ndarray of float32
        Cosine distance to the nearest other form; 0 when the form itself is in the window.
    centroid : ndarray of float32
        Cosine similarity to the mean of the window; 1 for the first record.
    seen : ndarray of int64
        Records of the same form in the window before it.
    record : ndarray of int64
        The record's number, counted from 0, for `Window.get`.
    nearest : ndarray of int64
        Number of the nearest record of another form; -1 if there is none.
    level : ndarray of int64
        The level the record states itself: 0 none, 1 trace, 2 debug, 3 info, 4 warning, 5 error, 6 fatal.
    severity : ndarray of float32
        How rare records of that level or above are in the window, 0 to 1; 0 below a warning.
    matches : list of list of Match
        A list a record: the standing queries it is near to, nearest first; an empty list where `Window.watch` was
        never called.
    """

    novelty: NDArray[np.float32]
    rarity: NDArray[np.float32]
    distance: NDArray[np.float32]
    centroid: NDArray[np.float32]
    seen: NDArray[np.int64]
    record: NDArray[np.int64]
    nearest: NDArray[np.int64]
    level: NDArray[np.int64]
    severity: NDArray[np.float32]
    matches: list[list[Match]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.novelty)

    def __repr__(self) -> str:
        if not len(self):
            return "Scores([])"
        top = int(self.novelty.argmax())
        return f"<hither.Scores of {len(self)}, largest novelty {self.novelty[top]:.3f} at {top}>"


class Window:
    """The newest `capacity` records of a stream, in memory only. Any number of threads may push and search.

    Records are texts, or vectors. The variable parts of a text (numbers, addresses, times) are masked before it is
    compared, so that ten thousand lines which differ in a number are one form; equal vectors are one form too. It finds
    what is new and rare, which is not the same as what is bad.

    Parameters
    ----------
    dim : int, optional
        Dimensions of the vectors. Without an embedder, the window then takes vectors only.
    capacity : int
        Records kept.
    age : float or timedelta, optional
        Records older than this many seconds leave too.
    embedder : Embedder, optional
        The built-in one if both this and `dim` are left out.
    shards : int
        Accepted, 1 or more, for those who come from a window that is split by it; this one is not.
    metric : str
        "cosine", the only one.
    track_centroid : bool
        False: scores have no centroid (it is NaN), and pushing costs less.
    half_life : float, optional
        The centroid forgets: a record counts half after so many further ones.
    novelty : bool
        False: records are not compared with others (novelty is NaN), and threads push side by side without a lock.
    rules : str, optional
        Mask rules of your own, one a line: NAME PATTERN.

    Examples
    --------
    >>> import hither
    >>> window = hither.Window(capacity=1000)
    >>> lines = [f"GET /item/{n} 200" for n in range(100)] + ["disk failure on sda"]
    >>> scores = window.push(lines)
    >>> int(scores.novelty[50:].argmax())
    50
    >>> window.search("disk failed", k=1)[0].document
    'disk failure on sda'
    >>> window.outliers(1).documents
    ['disk failure on sda']
    """

    __slots__ = ("__weakref__", "_capacity", "_dim", "_embedder", "_handle", "_queries", "_ready")

    def __init__(
        self,
        dim: int | None = None,
        *,
        capacity: int = 16384,
        age: float | timedelta | None = None,
        shards: int = 16,
        metric: str = "cosine",
        embedder: Embedder | None = None,
        track_centroid: bool = True,
        half_life: float | None = None,
        novelty: bool = True,
        rules: str | None = None,
    ) -> None:
        if operator.index(shards) < 1:
            raise InvalidError(f"shards is {shards}; 1 or more are possible")
        if metric != "cosine":
            raise InvalidError(f"metric is {metric!r}; a window compares by cosine")
        if embedder is None and dim is None:
            embedder = Embedder()
        if embedder is not None and not isinstance(embedder, Embedder):
            raise InvalidError(f"embedder is a {type(embedder).__name__}, not a hither.Embedder")
        if dim is not None and not 1 <= operator.index(dim) <= _core.UINT32_MAX:
            raise DimensionError(f"dim is {dim}; a vector has at least 1 dimension")
        self._embedder = embedder
        self._capacity = operator.index(capacity)
        if not 1 <= self._capacity <= _core.UINT32_MAX:
            raise InvalidError(f"capacity is {capacity}; a window keeps 1 to {_core.UINT32_MAX} records")
        age_ms = 0 if age is None else _milliseconds(age)
        if age is not None and age_ms < 1:
            raise InvalidError(f"age is {age}; a window keeps records for at least 0.001 seconds")
        handle = embedder._handle if embedder is not None else None
        self._handle = _core.window_new(
            _core.window_options(
                self._capacity, handle, dim or 0, age_ms, bool(track_centroid), half_life or 0.0, bool(novelty), rules
            )
        )
        self._dim = int(embedder.dim if embedder is not None else operator.index(dim or 0))
        self._queries: list[Any] | None = None
        self._ready: list[Any] = []  # lent to plain searches; append and pop are atomic

    @property
    def capacity(self) -> int:
        """Records kept."""
        return self._capacity

    @property
    def dim(self) -> int:
        """Dimensions of its vectors."""
        return self._dim

    @property
    def centroid(self) -> NDArray[np.float32]:
        """The mean of the records' vectors, each scaled to length 1 before; zeros when it is empty. Shape (dim,)."""
        return _core.window_centroid(self._handle, self._dim)

    def push(
        self,
        rows: Text | Iterable[Text] | ArrayLike,
        documents: Text | Iterable[Text | None] | None = None,
        metadata: Metadata | Iterable[Metadata | None] | None = None,
        times: Iterable[float] | None = None,
    ) -> Scores:
        """Score each record against the window before it, then take it in.

        Parameters
        ----------
        rows : str, iterable of str or bytes, or array of shape (n, dim) or (dim,)
            In the order they came. Of texts, what is not UTF-8 is taken as U+FFFD: a log must go on.
        documents : iterable of str, optional
            Texts to keep beside vectors.
        metadata : dict, JSON string, or a sequence of them, length n, optional
            To keep beside and to search by; at most 4,096 bytes of JSON each.
        times : iterable of float, optional
            When each came, in seconds: what an age goes by, and `since` and `until` of a search; else the machine's
            clock is used.
        """
        given: Any = rows
        if isinstance(rows, (str, bytes)):
            given = [rows]
        elif not isinstance(rows, np.ndarray):
            given = list(given)
        vectors, column = None, None
        if _is_texts(given) and len(given):
            column = text_column(given)
            if documents is not None:
                raise InvalidError("documents go beside vectors; these are texts already")
        elif len(given):
            vectors = matrix(given if np.ndim(given) != 1 else [given])
            column = document_column(documents, len(vectors), "documents")
        count = len(vectors) if vectors is not None else column.count if column is not None else 0
        moments = None
        if times is not None:
            moments = np.array([_milliseconds(time) for time in times], np.int64)
            if len(moments) != count:
                raise InvalidError(f"{len(moments)} times for {count} records")
        objects = metadata_column(metadata, count)
        queries = self._queries
        found, matches = _core.window_push(self._handle, column, vectors, moments, objects, queries is not None)
        return Scores(
            found["novelty"].copy(),
            found["rarity"].copy(),
            found["distance"].copy(),
            found["centroid"].copy(),
            found["seen"].astype(np.int64),
            found["record"].astype(np.int64),
            found["nearest"].astype(np.int64),  # the largest uint64, "none", wraps to -1
            found["level"].astype(np.int64),
            found["severity"].copy(),
            [[Match(queries[i] if queries and i < len(queries) else i, d) for i, d in each] for each in matches],
        )

    def watch(
        self,
        queries: Iterable[Text] | ArrayLike,
        radius: float | ArrayLike = 0.25,
        *,
        first_only: bool = False,
    ) -> None:
        """Hold each record pushed from now on against these standing queries, instead of those before.

        `push` then says in `matches` which of them each record is near to. All are looked at in one exact pass, be it
        10,000 of them. A push that runs in another thread meanwhile may take the old or the new ones.

        Parameters
        ----------
        queries : iterable of str, or array of shape (n, dim)
            None at all takes them away. Texts are masked as the records are.
        radius : float or array of shape (n,)
            The cosine distance up to which a record matches: one for all, or one each.
        first_only : bool
            A record whose form is in the window already matches nothing.

        Examples
        --------
        >>> import hither
        >>> window = hither.Window(capacity=100)
        >>> window.watch(["disk failure", "out of memory"], radius=0.4)
        >>> for found in window.push(["all is well", "disk failure on sda"]).matches:
        ...     print([match.query for match in found])
        []
        ['disk failure']
        """
        given: Any = [queries] if isinstance(queries, (str, bytes)) else queries
        given = given if isinstance(given, np.ndarray) else list(given)
        column, vectors = None, None
        if len(given) and _is_texts(given):
            column = text_column(given)
        elif len(given):
            vectors = matrix(given)
        count = len(given)
        each = np.broadcast_to(np.asarray(radius, np.float32), (count,)) if np.ndim(radius) == 0 else radius
        limits = np.ascontiguousarray(each, np.float32)
        if limits.shape != (count,):
            raise InvalidError(f"{limits.size} radii for {count} queries")
        _core.window_queries_set(self._handle, column, vectors, limits, bool(first_only))
        self._queries = list(given) if column is not None else list(range(count))

    @property
    def queries(self) -> list[Any]:
        """The standing queries: texts, or the numbers of vectors."""
        return list(self._queries or [])

    def search(
        self,
        query: Text | ArrayLike,
        k: int = 10,
        *,
        where: Where | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> Hits:
        """The k nearest records of the window, exactly, by cosine distance; equally near ones in order of coming.

        Parameters
        ----------
        query : str, or array of shape (dim,)
            A text is masked as the records are.
        k : int
            How many; fewer if the window holds fewer.
        where : dict or JSON string, optional
            Conditions on the metadata, as in a collection.
        since, until : float, optional
            Only records of these times, in seconds.

        Returns
        -------
        Hits
            The numbers of the records as ids, and their texts as documents.

        Examples
        --------
        >>> import hither
        >>> window = hither.Window(capacity=100)
        >>> _ = window.push(["disk full", "disk fine", "net down"], metadata=[{"host": h} for h in "aba"])
        >>> window.search("disk", where={"host": "b"}).documents
        ['disk fine']
        """
        count = operator.index(k)
        if not 1 <= count <= _core.UINT32_MAX:
            raise InvalidError(f"k is {k}; ask for at least 1 record")
        if type(query) is np.ndarray and where is None and since is None and until is None:
            if query.dtype is F32 and query.ndim == 1 and query.flags.num & PACKED_AND_ALIGNED == PACKED_AND_ALIGNED:
                block = _search.search_plain(_search.plain_window, self._handle, self._ready, query, count)
                return Hits._closed(block, "cosine")
        return self._find(query, count, None, where, since, until)

    def within(
        self,
        query: Text | ArrayLike,
        radius: float,
        *,
        where: Where | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> Hits:
        """All records whose cosine distance to the query is at most `radius`, nearest first; else as `search`."""
        return self._find(query, 0, float(radius), where, since, until)

    def _find(
        self,
        query: Text | ArrayLike,
        k: int,
        radius: float | None,
        where: Where | None,
        since: float | None,
        until: float | None,
    ) -> Hits:
        vectors, column = None, None
        if isinstance(query, (str, bytes)):
            column = text_column([query])
        else:
            rows = np.asarray(query)
            if rows.ndim != 1:
                raise DimensionError(f"a query is a text or one vector of shape (dim,), not of shape {rows.shape}")
            vectors = matrix(rows[None])
        first = 0 if since is None else _milliseconds(since)
        last = 0 if until is None else _milliseconds(until)
        conditions = where_text(where, None)
        found = _core.window_find(self._handle, vectors, column, k, radius, conditions, first, last)
        return Hits(found, metric="cosine")

    def snapshot(self) -> Window:
        """The window as it is now, as one that stays so: to search at leisure while others push into this one.

        Examples
        --------
        >>> import hither
        >>> window = hither.Window(capacity=100)
        >>> _ = window.push(["disk full"])
        >>> before = window.snapshot()
        >>> _ = window.push(["disk fine"])
        >>> len(before), len(window)
        (1, 2)
        """
        return self._of(_core.window_snapshot(self._handle), self._embedder)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the window into one file, whole or not at all, from which `Window.open` goes on."""
        _core.window_save(self._handle, os.fsencode(path))

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, embedder: Embedder | None = None) -> Window:
        """A window as it was saved. `embedder` is the one it had; the built-in one need not be given."""
        handle = _core.window_open(os.fsencode(path), embedder._handle if embedder is not None else None)
        return cls._of(handle, embedder)

    @classmethod
    def _of(cls, handle: Any, embedder: Embedder | None) -> Window:
        self = cls.__new__(cls)
        self._handle = handle
        self._embedder = embedder
        self._queries = None
        self._ready = []
        facts = self.info()
        self._capacity, self._dim = int(facts["capacity"]), int(facts["dim"])
        return self

    def outliers(self, n: int | None = None, *, threshold: float | None = None) -> Hits:
        """The records least like the centroid, farthest first.

        Parameters
        ----------
        n : int, optional
            How many at most; all if left out.
        threshold : float, optional
            Only records whose cosine similarity to the centroid is below this.
        """
        most = _core.MAX_K if n is None else operator.index(n)
        if not 1 <= most <= _core.UINT32_MAX:
            raise InvalidError(f"n is {n}; ask for at least 1 record")
        return Hits(_core.window_outliers(self._handle, most, 2.0 if threshold is None else threshold), metric="cosine")

    def get(self, records: Iterable[int]) -> Hits:
        """The texts of records by number, as documents with the numbers as ids; those that left are left out."""
        numbers = np.array([operator.index(number) for number in records], np.int64)
        if numbers.size and int(numbers.min()) < 0:
            numbers = numbers[numbers >= 0]  # -1 is "no such record"
        return Hits(_core.window_get(self._handle, numbers.view(np.uint64)))

    def info(self) -> dict[str, Any]:
        """Facts: capacity, dim, records (in it), forms (distinct ones among them), pushed (records ever), busy
        (pushes that found no room)."""
        return dict(Hits(_core.window_info(self._handle))[0].metadata)

    def __len__(self) -> int:
        """Records in the window."""
        return int(self.info()["records"])

    def __bool__(self) -> bool:
        """True, empty or not: a window is a thing, not an answer."""
        return True

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Window lives in the memory of its process and cannot be pickled; make one in the other")

    def __repr__(self) -> str:
        return f"<hither.Window of {self._capacity} records>"


def _is_texts(rows: Any) -> bool:
    if isinstance(rows, np.ndarray):
        return rows.dtype.kind in "USO" and rows.ndim == 1
    return not rows or isinstance(rows[0], (str, bytes))


def _milliseconds(seconds: float | timedelta) -> int:
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if not -9e15 < seconds < 9e15:
        raise InvalidError(f"{seconds} seconds is no time")
    return round(seconds * 1000)
