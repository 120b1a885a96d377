"""The part of a `Collection` that becomes tables of Arrow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from . import _core
from .arrays import Where, where_text
from .hits import Hits, _arrow


class Tables:
    """Rows as tables."""

    __slots__ = ()

    _handle: _core.Handle
    _adopt: Callable[[_core.Handle], None]
    info: Callable[[], dict[str, Any]]
    count: Callable[..., int]
    _include: Callable[..., int]

    def _batches(self, wanted: Any, where: Where | None, where_document: Where | None) -> Iterator[Any]:
        """All rows as record batches of this schema, as they are when the first is asked for."""
        conditions = where_text(where, where_document)
        include = self._include(("vector", "metadata", "document", "fields"))
        handle = _core.collection_scan(self._handle, conditions, include)
        self._adopt(handle)
        try:
            while len(hits := Hits(_core.cursor_next(handle, _arrow().BATCH, include))):
                yield _arrow().record_batch(hits, wanted)
        finally:
            handle.close()

    def to_arrow(self, *, where: Where | None = None, where_document: Where | None = None) -> Any:
        """The rows as a `pyarrow.Table`, in order of writing, with everything in them.

        Its columns are ``id``, ``vector`` (a fixed-size list of float32), ``metadata`` (JSON text), ``document``, and
        ``fields.NAME`` for each vector field.
        ``.to_pandas()`` and ``polars.from_arrow`` take it from there, and `Database.import_arrow` takes it back. Needs
        pyarrow.

        Parameters
        ----------
        where, where_document : dict or JSON string, optional
            Which rows; see `count`.

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("points", dim=2)
        ...     _ = c.add([1, 2], [[0.0, 1.0], [1.0, 0.0]], metadata=[{"n": 1}, {"n": 2}])
        ...     table = c.to_arrow()
        ...     db.import_arrow("again", table)
        ...     table.column_names, db["again"][2].metadata
        2
        (['id', 'vector', 'metadata', 'document'], {'n': 2})
        """
        wanted = _arrow().schema(self.info())
        batches = list(self._batches(wanted, where, where_document))
        return _arrow().pyarrow().Table.from_batches(batches, wanted)

    def to_parquet(
        self,
        path: str | os.PathLike[str],
        *,
        where: Where | None = None,
        where_document: Where | None = None,
        progress: _core.Progress | None = None,
    ) -> int:
        """Write the rows into a Parquet file, as `to_arrow` has them, a few thousand at a time. Returns how many.

        The file takes the place of `path` only when it is complete. Needs pyarrow.

        Parameters
        ----------
        where, where_document : dict or JSON string, optional
            Which rows; see `count`.
        progress : callable, optional
            Called as ``progress(rows, total)`` now and then; ``False``, or an exception, stops it: no file is made.
        """
        total = self.count(where=where, where_document=where_document)
        wanted = _arrow().schema(self.info())
        return int(_arrow().write_parquet(path, wanted, self._batches(wanted, where, where_document), progress, total))
