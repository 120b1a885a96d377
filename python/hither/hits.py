"""Answers: `Hits`, a sequence of `Hit`, over columns that are decoded when somebody looks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, overload

import numpy as np
from numpy.typing import NDArray

from . import _core, _search
from .arrays import Id, Strings
from .errors import InvalidError
from .fields import Column

# What json.loads ends in; a JSON object that begins at once needs nothing of what comes before that.
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class Plan(dict[str, Any]):
    """What a search did: how, through how many rows, in how many milliseconds. The guide has its members.

    Examples
    --------
    >>> import hither
    >>> with hither.connect(":memory:") as db:
    ...     c = db.collection("points", dim=2, metric="l2")
    ...     _ = c.add([1, 2], [[0.0, 0.0], [3.0, 4.0]], metadata=[{"n": 1}, {"n": 2}])
    ...     plan = c.search([0.0, 0.0], k=1, where={"n": {"$gt": 1}}).plan
    >>> plan["filter"]["rows_matched"], [stage["stage"] for stage in plan["stages"]]
    (1, ['filter', 'search', 'payload'])
    >>> print(plan)  # doctest: +ELLIPSIS
    exact               ... ms  2 rows, 1 returned
    |- filter   rows    ... ms  2 -> 1 rows, 2 estimated
    |- search   ...     ... ms  1 -> 1 rows, ... scanned, ... scored exactly
    `- payload          ... ms  1 -> 1 rows
    """

    def __str__(self) -> str:
        if not self:
            return "no plan"
        stages = self.get("stages", [])
        lines = [("", self["kind"], self.get("ms"), f"{self['rows']} rows, {self.get('rows_returned', 0)} returned")]
        for number, stage in enumerate(stages):
            mark = "`- " if number == len(stages) - 1 else "|- "
            what = f"{stage['rows_in']} -> {stage['rows_out']} rows"
            if stage["stage"] == "filter":
                what += f", {self['filter']['rows_estimated']} estimated"
            if stage["stage"] == "search" and "rows_scanned" in self:
                what += f", {self['rows_scanned']} scanned, {self['rows_rescored']} scored exactly"
            lines.append((mark, f"{stage['stage']:8} {stage.get('how', '')}", stage["ms"], what))
        width = max(len(mark + name) for mark, name, _, _ in lines)
        return "\n".join(
            f"{mark + name:{width}}" + ("" if ms is None else f"  {ms:9.3f} ms") + f"  {what}"
            for mark, name, ms, what in lines
        )


class Hit:
    """One record of an answer. It cannot be changed.

    Examples
    --------
    >>> import hither
    >>> with hither.connect(":memory:") as db:
    ...     c = db.collection("points", dim=2, metric="l2")
    ...     _ = c.upsert([7], [[3.0, 4.0]], metadata=[{"name": "far"}])
    ...     hit = c.search([0.0, 0.0], k=1)[0]
    >>> hit.id, hit.distance, hit.metadata["name"], hit.document
    (7, 25.0, 'far', None)
    """

    __slots__ = ("_hits", "_row")
    _hits: Hits
    _row: int

    def __init__(self, hits: Hits, row: int) -> None:
        _set_hits(self, hits)
        _set_row(self, row)

    @property
    def id(self) -> Id:
        """The record's id, an int or a str."""
        found: Id = self._hits.ids[self._row]
        return found

    @property
    def distance(self) -> float | None:
        """Distance to the query, smaller is nearer; None where nothing was searched for, NaN by keywords alone."""
        distances = self._hits.distances
        return None if distances is None else float(distances[self._row])

    @property
    def score(self) -> float | None:
        """The score of a search by keywords, larger is better; None where there are none."""
        scores = self._hits.scores
        return None if scores is None else float(scores[self._row])

    @property
    def similarity(self) -> float:
        """The other view of the distance, larger is nearer (cosine and dot)."""
        return float(self._hits.similarities[self._row])

    @property
    def metadata(self) -> Any:
        """The metadata as a dict, parsed anew at each look; None where the record has none or it was not asked for."""
        column = self._hits._metadata
        text = None if column is None else column.get(self._row)
        if text is None:
            return None
        return _scan(text, 0)[0] if text[0] == "{" else json.loads(text)

    @property
    def document(self) -> str | None:
        """The text; None where the record has none or it was not asked for."""
        column = self._hits._documents
        return None if column is None else column.get(self._row)

    @property
    def vector(self) -> NDArray[np.float32] | None:
        """The stored vector, shape (dim,); None where it was not asked for."""
        vectors = self._hits.vectors
        return None if vectors is None else vectors[self._row]

    @property
    def fields(self) -> dict[str, Any]:
        """What the record has in the vector fields that were asked for, by name; None where it has nothing.

        A vector of shape (dim,), or vectors of shape (m, dim), or a dict from index to value.
        """
        return {name: column.get(self._row) for name, column in self._hits._fields.items()}

    def to_dict(self) -> dict[str, Any]:
        """What there is of id, distance, score, metadata, document, vector and fields, as a dict."""
        parts = {
            "id": self.id,
            "distance": self.distance,
            "score": self.score,
            "metadata": self.metadata,
            "document": self.document,
            "vector": self.vector,
            "fields": self.fields or None,
        }
        return {name: value for name, value in parts.items() if value is not None}

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Hit cannot be changed: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Hit cannot be changed: {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (Hit, (self._hits, self._row))

    def __repr__(self) -> str:
        parts = self.to_dict()
        parts.pop("vector", None)
        parts.pop("fields", None)
        return f"Hit({', '.join(f'{name}={_short(value)}' for name, value in parts.items())})"


_set_hits = Hit.__dict__["_hits"].__set__
_set_row = Hit.__dict__["_row"].__set__


class Hits(Sequence[Hit]):
    """An answer: records nearest first (of a search), or in the order asked (of a get).

    Attributes
    ----------
    ids : list of int or list of str
    distances : ndarray of float32, shape (n,), or None where nothing was searched for
    scores : ndarray of float64, shape (n,), of a search by keywords, larger is better; else None
    vectors : ndarray of float32, shape (n, dim), or None where they were not asked for
    next : str, or None
        Of a page: the token to go on with, where there are more rows.
    """

    __slots__ = (
        "_block",
        "_documents",
        "_fields",
        "_ids",
        "_metadata",
        "_metric",
        "_plan",
        "distances",
        "next",
        "scores",
        "vectors",
    )

    def __init__(
        self,
        records: _core.Records,
        *,
        metric: str | None = None,
        plan: str | bytes = "",
        empty_dim: int | None = None,
        next: str | None = None,
        scored: bool = False,
    ) -> None:
        self._ids = records.ids
        self._metadata = records.metadata
        self._documents = records.documents
        self._fields = {column.field: Column(column) for column in records.named}
        self._metric = metric
        self._plan = plan
        self.next = next
        self.distances: NDArray[np.float32] | None = records.distances
        if metric is not None and records.distances is None:
            self.distances = np.empty(0, np.float32)
        self.scores: NDArray[np.float64] | None = records.scores
        if scored and records.scores is None:
            self.scores = np.empty(0, np.float64)
        self.vectors: NDArray[np.float32] | None = records.vectors
        if empty_dim is not None and records.vectors is None:
            self.vectors = np.empty((0, empty_dim), np.float32)
        # What is still to be opened: nothing, and no other thread finds so before all of the above is there.
        self._block: bytearray | None = None

    @classmethod
    def _closed(cls, block: bytearray, metric: str) -> Hits:
        """A plain search's answer, not yet looked at: `__getattr__` opens it."""
        hits = cls.__new__(cls)
        hits._block = block
        hits._metric = metric
        return hits

    if not TYPE_CHECKING:  # it would accept any name

        def __getattr__(self, name: str) -> Any:
            """What is not set yet. Two threads may open one answer at once: they find the same in it."""
            if name == "_block" or name not in Hits.__slots__:
                raise AttributeError(f"'Hits' object has no attribute {name!r}")
            block = self._block
            if block is not None:
                records, plan = _search.opened(block)
                Hits.__init__(self, records, metric=self._metric, plan=plan)
            return object.__getattribute__(self, name)

    @property
    def ids(self) -> list[Any]:  # ints or strs, one kind; a union would make every user cast
        """The ids, ints or strings."""
        if isinstance(self._ids, Strings):
            self._ids = [self._ids.get(row) or "" for row in range(len(self._ids.offsets) - 1)]  # type: ignore[misc]
        return self._ids

    @property
    def similarities(self) -> NDArray[np.float32]:
        """Similarity to the query, larger is nearer: 1 - distance for cosine, -distance for dot. Shape (n,)."""
        if self.distances is None or self._metric not in ("cosine", "dot"):
            raise InvalidError(f"there are no similarities here: {self._metric or 'no search'}; use distances")
        return np.float32(1) - self.distances if self._metric == "cosine" else -self.distances

    @property
    def metadata(self) -> list[Any]:
        """The metadata of each record as a dict, or None."""
        if self._metadata is None:
            return [None] * len(self)
        # Each is a whole JSON object, so together they are an array: one call of the parser for all of them.
        parts = ["null" if text is None else text for text in self._metadata.all()]
        found: list[Any] = json.loads(f"[{','.join(parts)}]")
        return found

    @property
    def documents(self) -> list[str | None]:
        """The text of each record, or None."""
        return [None] * len(self) if self._documents is None else self._documents.all()

    @property
    def fields(self) -> dict[str, list[Any]]:
        """Of each vector field that was asked for, what each record has in it; see `Hit.fields`."""
        return {name: column.all() for name, column in self._fields.items()}

    @property
    def plan(self) -> Plan:
        """What the search did, stage by stage: a dict, and printed a tree. Empty where nothing was searched for."""
        return Plan(json.loads(self._plan)) if self._plan else Plan()

    def to_dicts(self) -> list[dict[str, Any]]:
        """The records as dicts, ready for a data frame or JSON (vectors stay arrays)."""
        return [hit.to_dict() for hit in self]

    def to_arrow(self) -> Any:
        """The answer as a `pyarrow.Table`: what there is of id, distance, score, metadata (JSON), document, vector.

        ``to_pandas()`` and ``to_polars()`` are the same as their data frames. Needs pyarrow.

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("points", dim=1, metric="l2")
        ...     _ = c.add([7, 8], [[0.0], [2.0]], metadata=[{"n": 1}, None])
        ...     c.search([0.0], k=2).to_arrow().to_pylist()[1]
        {'id': 8, 'distance': 4.0, 'metadata': None, 'document': None}
        """
        return _arrow().hits_table(self)

    def to_pandas(self) -> Any:
        """The answer as a `pandas.DataFrame`, see `to_arrow`; metadata are dicts. Needs pandas and pyarrow."""
        frame = self.to_arrow().to_pandas()
        if "metadata" in frame:
            frame["metadata"] = self.metadata
        return frame

    def to_polars(self) -> Any:
        """The answer as a `polars.DataFrame`, see `to_arrow`. Needs polars and pyarrow."""
        import polars

        return polars.from_arrow(self.to_arrow())

    def __len__(self) -> int:
        return len(self._ids) if isinstance(self._ids, list) else len(self._ids.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> list[Hit]: ...
    def __getitem__(self, index: int | slice) -> Hit | list[Hit]:
        if isinstance(index, slice):
            return [Hit(self, row) for row in range(*index.indices(len(self)))]
        row = index + len(self) if index < 0 else index
        if not 0 <= row < len(self):
            raise IndexError(f"hit {index} of {len(self)}")
        return Hit(self, row)

    def __iter__(self) -> Iterator[Hit]:
        return (Hit(self, row) for row in range(len(self)))

    def _repr_html_(self) -> str:
        """A table, for notebooks: the first 20 hits."""
        import html

        rows = [hit.to_dict() for hit in self[:20]]
        names = [
            name for name in ("id", "distance", "score", "metadata", "document") if any(name in row for row in rows)
        ]
        head = "".join(f"<th>{name}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_shown(row.get(name)))}</td>" for name in names) + "</tr>"
            for row in rows
        )
        more = f"<caption>{len(rows)} of {len(self)} hits</caption>" if len(self) > len(rows) else ""
        return f"<table>{more}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __repr__(self) -> str:
        if not len(self):
            return "Hits([])"
        lines = [f"  {hit!r}" for hit in self[:10]]
        if len(self) > 10:
            lines.append(f"  ... {len(self) - 10} more")
        return f"Hits of {len(self)}:\n" + "\n".join(lines)


class Scan(Iterator[Hit]):
    """Rows of a collection as they were when the scan began, in order of writing. Use it in one thread."""

    __slots__ = ("__weakref__", "_batch", "_handle", "_hits", "_include", "_row")

    def __init__(self, handle: _core.Handle, batch: int, include: int) -> None:
        self._handle = handle
        self._batch = batch
        self._include = include
        self._hits: Hits | None = None
        self._row = 0

    def _spent(self) -> bool:
        """Whether the rows fetched so far have all been given out, and there may be more."""
        return self._hits is None or 0 < len(self._hits) == self._row

    def _fetch(self) -> None:
        """Fetches the next rows; at the end, none."""
        found = Hits(_core.cursor_next(self._handle, self._batch, self._include))
        self._hits, self._row = found, 0
        if not len(found):
            self._handle.close()

    def __next__(self) -> Hit:
        if self._spent():
            self._fetch()
        if self._hits is None or self._row == len(self._hits):
            raise StopIteration
        self._row += 1
        return Hit(self._hits, self._row - 1)

    def close(self) -> None:
        """Let the version of the rows go that this scan holds on to. Reaching the end does it as well."""
        self._handle.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a scan cannot be pickled; scan again in the other process")


def _arrow() -> Any:
    """The module of tables, which imports this one."""
    from . import arrow

    return arrow


def _shown(value: object) -> str:
    """A part of a hit in a table's cell."""
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 200 else text[:199] + "…"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
