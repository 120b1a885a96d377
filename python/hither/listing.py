"""What a collection answers besides a plain search: pages, counts of values, all within a distance, recommendations."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core, _search
from .arrays import PACKED_AND_ALIGNED, Id, Ids, Texts, Where, array, ids as id_column, matrix, texts, where_text
from .errors import DimensionError, InvalidError
from .exact import check_k
from .fields import Shape
from .hits import Hits

Include = str | Iterable[str]
DEFAULT_INCLUDE = ("metadata", "document")


def field_path(path: object, what: str) -> bytes:
    """A metadata field's path as the library reads it."""
    if not isinstance(path, str):
        raise InvalidError(f"{what} is a {type(path).__name__}; give a metadata field by its path, a string")
    return _core._c_string(path, what)


def _number(value: int, what: str, least: int) -> int:
    number = operator.index(value)
    if not least <= number <= _core.UINT32_MAX:
        raise InvalidError(f"{what} is {number}; it is a whole number from {least} on")
    return number


def _distance(value: float, what: str) -> float:
    number = float(value)
    if math.isnan(number):
        raise InvalidError(f"{what} is not a number")
    return max(-3.4028234663852886e38, min(3.4028234663852886e38, number))


def search_options(
    where: Where | None,
    where_document: Where | None,
    include: int,
    threads: int = 0,
    max_distance: float | None = None,
    group_by: str | None = None,
    group_size: int = 1,
    diversity: float = 0.0,
    candidates: int | None = None,
    fusion: int = 0,
    vector_weight: float = 0.0,
    recall: float | None = None,
    ef: int | None = None,
    nprobe: int | None = None,
    field: str | None = None,
) -> _search.Options:
    """The options of a search, checked as far as Python can."""
    if group_by is None and group_size != 1:
        raise InvalidError(f"group_size is {group_size}, but there is no group_by")
    return _search.Options(
        include,
        where_text(where, where_document),
        threads,
        None if max_distance is None else _distance(max_distance, "max_distance"),
        None if group_by is None else field_path(group_by, "group_by"),
        0 if group_by is None else _number(group_size, "group_size", 1),
        float(diversity),
        0 if candidates is None else _number(candidates, "candidates", 1),
        fusion,
        vector_weight,
        0.0 if recall is None else _share(recall),
        0 if ef is None else _number(ef, "ef", 1),
        0 if nprobe is None else _number(nprobe, "nprobe", 1),
        None if field is None else field_path(field, "field"),
    )


def _share(recall: float) -> float:
    if not 0 < recall <= 1:
        raise InvalidError(f"recall is {recall:g}; it is a share, above 0 and at most 1")
    return float(recall)


def fusion_of(mode: str, fusion: str | None, vector_weight: float | None) -> tuple[int, float]:
    """Fusion and weight as the library takes them: 0 for what was not said."""
    if mode != "hybrid" and (fusion is not None or vector_weight is not None):
        raise InvalidError('fusion and vector_weight are for mode="hybrid"')
    if fusion is not None and fusion not in _search.FUSIONS:
        raise InvalidError(f'fusion is {fusion!r}; there are "rrf" and "weighted"')
    weight = 0.5 if vector_weight is None else float(vector_weight)
    if not 0 < weight < 1:
        raise InvalidError(f"vector_weight is {weight:g}; it is between 0 and 1")
    return (_search.FUSIONS[fusion or "rrf"], weight) if mode == "hybrid" else (0, 0.0)


def mode_of(mode: str | None, text: object) -> str:
    """The mode that was asked for, or that follows from what else was given."""
    if mode is None:
        return "vector" if text is None else "hybrid"
    if mode not in ("vector", "keyword", "hybrid"):
        raise InvalidError(f'mode is {mode!r}; there are "vector", "keyword" and "hybrid"')
    if mode == "vector" and text is not None:
        raise InvalidError('text is for mode="keyword" and mode="hybrid"')
    return mode


def words_of(query: object, text: str | None, mode: str) -> Texts | None:
    """The words of one search, in a column; None by vectors alone."""
    if mode == "vector":
        return None
    if mode == "keyword" and text is not None and query is not None:
        raise InvalidError('mode="keyword" takes its words as the query or as text, not both')
    words = query if text is None else text
    if not isinstance(words, (str, bytes)):
        raise InvalidError(f'mode="{mode}" needs words: a text as the query, or text=')
    return texts([words], "text")


class Listing:
    """The part of a `Collection` that lists, counts and recommends."""

    __slots__ = ()

    _handle: _core.Handle
    _dim: int
    _metric: str
    _ready: list[Any]
    _shape: Shape

    def _include(self, include: Include) -> int:
        """Names of parts of a record as the library's flags."""
        flags = 0
        for name in [include] if isinstance(include, str) else include:
            flag = _core.INCLUDES.get(name) or self._shape.flags(name)
            if not flag:
                fields = [field["name"] for field in self._shape.fields]
                there = ", ".join(map(repr, [*_core.INCLUDES, *fields]))
                raise InvalidError(f"include names {name!r}; there are {there}")
            flags |= flag
        return flags or _core.INCLUDE_NOTHING

    def _empty_dim(self, flags: int) -> int | None:
        return self._dim if flags & _core.INCLUDES["vector"] else None

    def _hits(self, found: tuple[list[_core.Records], str], asked: _search.Options, scored: bool = False) -> list[Hits]:
        groups, plan = found
        dim = self._empty_dim(asked.include)
        metric = self._metric if asked.field is None else self._shape.find(asked.field.decode())["metric"]
        return [Hits(records, metric=metric, plan=plan, empty_dim=dim, scored=scored) for records in groups]

    def _plain(self, query: NDArray[np.float32], k: int, where: bytes | None) -> Hits:
        """The search that most searches are: one vector, perhaps a filter."""
        if query.flags.num & PACKED_AND_ALIGNED != PACKED_AND_ALIGNED:
            query = np.array(query, np.float32)
        wanted = _search.NO_FILTER if where is None else where
        block = _search.search_plain(_search.plain_run, self._handle, self._ready, query, k, wanted)
        return Hits._closed(block, self._metric)

    def within(
        self,
        query: ArrayLike | str,
        radius: float,
        *,
        where: Where | None = None,
        where_document: Where | None = None,
        include: Include = DEFAULT_INCLUDE,
        field: str | None = None,
    ) -> Hits:
        """All rows at most `radius` from one vector or text, nearest first, ties in order of writing.

        Parameters
        ----------
        query : array_like, shape (dim,), or str
        radius : float
            A distance, smaller is nearer; see `Collection.metric`.
        where, where_document : dict or JSON string, optional
            Which rows may be hits; see `count`.

        Raises
        ------
        TooLargeError
            More than 2**20 rows are within. Ask for `search(..., k, max_distance=radius)` instead.

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("points", dim=1, metric="l2")
        ...     _ = c.add([1, 2, 3], [[0.0], [1.0], [2.0]])
        ...     c.within([0.0], 1.0).ids
        [1, 2]
        """
        options = search_options(where, where_document, self._include(include), field=field)
        limit = _distance(radius, "radius")
        if self._shape.blocks(field):
            named = self._shape.column(str(field), [query])
            found = _search.collection_search(self._handle, None, options, named=named, radius=limit)
        elif isinstance(query, (str, bytes)):
            column = texts([query], "query")
            found = _search.collection_search(self._handle, None, options, texts=column, radius=limit)
        else:
            vector = array(query, "query")
            if vector.ndim != 1:
                raise DimensionError(f"query has shape {vector.shape}; within takes one vector")
            rows = matrix(vector.reshape(1, -1), "query")
            found = _search.collection_search(self._handle, None, options, vectors=rows, radius=limit)
        return self._hits(found, options)[0]

    def recommend(
        self,
        positive: Ids | None = None,
        negative: Ids | None = None,
        k: int = 10,
        *,
        strategy: str = "average",
        where: Where | None = None,
        where_document: Where | None = None,
        include: Include = DEFAULT_INCLUDE,
        max_distance: float | None = None,
        field: str | None = None,
    ) -> Hits:
        """Rows like some rows and unlike others, which are not among them.

        Parameters
        ----------
        positive, negative : ids, optional
        strategy : {"average", "best"}
            "average" searches for twice the mean of the positive ones less that of the negative ones (of vectors of
            length 1 where the metric is cosine). "best" compares every row with every example: those nearer to some
            positive one than to any negative one come first.
        where, where_document : dict or JSON string, optional
            Which rows may be hits; see `count`.

        Raises
        ------
        NotFoundError
            An id is unknown.

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("points", dim=1, metric="l2")
        ...     _ = c.add([1, 2, 3, 4], [[0.0], [1.0], [2.0], [9.0]])
        ...     c.recommend([1, 3], k=2).ids, c.recommend([1], [2], k=1, strategy="best").ids
        ([2, 4], [4])
        """
        if strategy not in _search.STRATEGIES:
            raise InvalidError(f"strategy is {strategy!r}; there are {', '.join(map(repr, _search.STRATEGIES))}")
        options = search_options(where, where_document, self._include(include), 0, max_distance, field=field)
        columns = [None if ids is None else id_column(ids) for ids in (positive, negative)]
        found = _search.collection_recommend(
            self._handle, columns[0], columns[1], _search.STRATEGIES[strategy], check_k(k), options
        )
        return self._hits(found, options)[0]

    def page(
        self,
        limit: int = 100,
        *,
        after: str | None = None,
        offset: int = 0,
        where: Where | None = None,
        where_document: Where | None = None,
        order_by: str | None = None,
        descending: bool = False,
        include: Include = DEFAULT_INCLUDE,
    ) -> Hits:
        """Some of the rows, in order of writing or of a field; `next` of the answer leads to the ones after them.

        The pages of one listing show the rows as they were when the first was made, each once, whatever is written
        meanwhile. The token is text: it may be kept, and used by another process.

        Parameters
        ----------
        limit : int
            Rows of a page, at most 65,536.
        after : str, optional
            `next` of the page before; the filter and the order must be the same again.
        offset : int
            Rows to pass over first.
        order_by : str, optional
            A metadata field, by its path: false, true, numbers, strings, then rows where it is none of these.
        descending : bool
            Largest first; rows without a value stay last.

        Raises
        ------
        StaleError
            The version the listing began with is gone.

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("points", dim=1)
        ...     _ = c.add([1, 2, 3], [[0.0], [1.0], [2.0]], metadata=[{"n": 5}, {"n": 7}, {"n": 6}])
        ...     first = c.page(2, order_by="n", descending=True)
        ...     _ = c.delete([1])
        ...     first.ids, c.page(2, order_by="n", descending=True, after=first.next).ids
        ([2, 3], [1])
        """
        flags = self._include(include)
        if not 0 <= operator.index(offset) < 2**63:
            raise InvalidError(f"offset is {offset}; it is a whole number from 0 on")
        records, plan, token = _search.collection_page(
            self._handle,
            flags,
            where_text(where, where_document),
            None if order_by is None else field_path(order_by, "order_by"),
            bool(descending),
            _number(limit, "limit", 1),
            operator.index(offset),
            None if after is None else field_path(after, "after"),
        )
        return Hits(records, plan=plan, empty_dim=self._empty_dim(flags), next=token or None)

    def facets(
        self,
        field: str,
        limit: int = 100,
        *,
        where: Where | None = None,
        where_document: Where | None = None,
    ) -> dict[Any, int]:
        """How often each value of a metadata field stands in the rows that match, most frequent first.

        Values are strings, numbers and bools; a row with an array counts once for each of those in it. As keys of a
        dict, Python holds True and 1 (and False and 0) for one: where a field has both, their counts are added.

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("points", dim=1)
        ...     _ = c.add([1, 2], [[0.0], [1.0]], metadata=[{"tags": ["a", "b"]}, {"tags": ["b"]}])
        ...     c.facets("tags")
        {'b': 2, 'a': 1}
        """
        conditions = where_text(where, where_document)
        records, _ = _search.collection_facets(
            self._handle, field_path(field, "field"), conditions, _number(limit, "limit", 1)
        )
        found: dict[Id | float, int] = {}
        for row in Hits(records).metadata:
            found[row["value"]] = found.get(row["value"], 0) + row["count"]
        return found
