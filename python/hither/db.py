"""connect and Database: a folder, or nothing but memory, with collections in it."""

from __future__ import annotations

import json
import math
import os
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from . import _core
from ._named import FieldSpec
from .arrays import schema_text
from .collection import Collection
from .embed import Embedder
from .errors import Error, InvalidError, NotFoundError
from .exact import metric_number
from .fields import Fields, declared
from .hits import Hits, _arrow
from .progress import told

if TYPE_CHECKING:
    from .arrow import Columns, Source


def connect(
    path: str | os.PathLike[str],
    *,
    readonly: bool = False,
    timeout: float = 0.0,
    durability: Literal["full", "memory", "relaxed"] = "full",
    relaxed_ms: float = 100,
) -> Database:
    """Open the database folder at `path`, or make it.

    Parameters
    ----------
    path : str or path
        By convention ``NAME.hither``; ``":memory:"`` is a private one in RAM.
    readonly : bool
        Never write. It works beside a process that writes and follows its commits.
    timeout : float
        Seconds to wait for another process that has it open for writing; 0 does not wait.
    durability : "full", "memory" or "relaxed"
        With "full" a write that has returned survives a power cut. With "memory" nothing waits for the disk: a write
        survives the end of the process, however it ends, and a power cut may lose or damage what was written since
        the last `Database.flush` or `Database.close`. With "relaxed" an `upsert` returns once it is checked and
        queued; it is committed as with "full", and then found by searches, within `relaxed_ms`, or by
        `Database.flush`. A crash loses at most what is queued, never a part of a batch and never one from the middle.
    relaxed_ms : float
        Milliseconds an upsert may wait to be committed; for "relaxed" only.

    Raises
    ------
    BusyError
        Another process writes to it; the message names its pid.
    NotDatabaseError, FormatError, CorruptError, NotFoundError, PermissionError

    Examples
    --------
    >>> import hither
    >>> with hither.connect(":memory:") as db:
    ...     c = db.collection("points", dim=2)
    ...     list(db)
    ['points']
    """
    if not math.isfinite(timeout) or timeout < 0:
        raise InvalidError(f"timeout is {timeout}; give seconds, 0 or more")
    if durability not in _core.DURABILITIES:
        raise InvalidError(f"durability is {durability!r}; one of {', '.join(_core.DURABILITIES)}")
    if not 0 < relaxed_ms < _core.UINT32_MAX:
        raise InvalidError(f"relaxed_ms is {relaxed_ms}; give milliseconds, more than 0")
    timeout_ms = min(math.ceil(timeout * 1000), _core.UINT32_MAX)
    name = os.fsencode(path)
    flags = _core.OPEN_READONLY if readonly else 0
    return Database(_core.db_open(name, flags, timeout_ms, _core.DURABILITIES[durability], math.ceil(relaxed_ms)))


def repair(path: str | os.PathLike[str], to: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """Make a new database folder at `to` of every row at `path` whose checksums are right; `path` is only read.

    Returns
    -------
    list of (place, problem)
        What is lost, and why; empty where nothing is.

    Raises
    ------
    CorruptError
        The catalog cannot be opened at all; nothing was made.
    ExistsError, NotFoundError, NotDatabaseError, FormatError, FullError
    """
    return _core.db_repair(os.fsencode(path), os.fsencode(to))


class Database(Mapping[str, Collection]):
    """Collections by name: ``db["notes"]``, ``list(db)``, ``"notes" in db``, ``len(db)``. Made by `connect`.

    Any number of threads may use one. As a context manager it closes itself. A forked child must connect anew.
    """

    __slots__ = ("__weakref__", "_children", "_handle", "_lock")

    def __init__(self, handle: _core.Handle) -> None:
        """Use `connect`."""
        self._handle = handle
        self._lock = threading.Lock()
        self._children: weakref.WeakSet[_core.Handle] = weakref.WeakSet()

    # ---- collections

    def collection(
        self,
        name: str,
        dim: int | None = None,
        metric: str | None = None,
        dtype: str | None = None,
        embedder: Embedder | None = None,
        schema: Mapping[str, Any] | str | None = None,
        fields: Fields | None = None,
    ) -> Collection:
        """Open the named collection, or create it.

        Parameters
        ----------
        name : str
        dim : int, optional
            Dimensions, 1 to 65,535. Needed to create one, unless there is an embedder; otherwise it must agree.
        metric : {"cosine", "dot", "l2", "l1"}, optional
            New collections are "cosine". Given for an old one it must agree.
        dtype : {"f32"}, optional
            How a number of a vector is stored.
        embedder : Embedder, optional
            Turns documents and queries into vectors. An old collection finds the built-in one by itself.
        schema : mapping or str, optional
            What rows must be like, see `Collection.set_schema`. Given for an old collection it must agree.
        fields : mapping of str to Field or int, optional
            Vector fields that rows may have beside their own vectors; an int is the dimension of a dense one. Said when
            the collection is made; given for an old one they must agree.

        Examples
        --------
        >>> import hither
        >>> db = hither.connect(":memory:")
        >>> db.collection("notes", embedder=hither.Embedder())
        <hither.Collection "notes": 0 rows, 384 dimensions, cosine, builtin-1>
        >>> db.close()
        """
        if embedder is not None and not isinstance(embedder, Embedder):
            raise InvalidError(f"embedder is a {type(embedder).__name__}, not a hither.Embedder")
        if dim is not None and not 1 <= dim <= _core.UINT32_MAX:
            raise InvalidError(f"dim is {dim}; give 1 or more")
        if dtype is not None and dtype not in _core.DTYPES:
            raise InvalidError(f"dtype {dtype!r} is unknown; there are {', '.join(_core.DTYPES)}")
        return self._open(
            name,
            0,
            dim or 0,
            0 if dtype is None else _core.DTYPES[dtype],
            0 if metric is None else metric_number(metric),
            None if embedder is None else embedder._handle,
            None if schema is None else schema_text(schema),
            declared(fields),
        )

    def _open(
        self,
        name: str,
        flags: int,
        dim: int = 0,
        dtype: int = 0,
        metric: int = 0,
        embedder: _core.Handle | None = None,
        schema: bytes | None = None,
        fields: Sequence[FieldSpec] = (),
    ) -> Collection:
        if not isinstance(name, str):
            raise InvalidError(f"a collection's name is a str, not a {type(name).__name__}")
        handle = _core.collection_open(self._handle, name, flags, dim, dtype, metric, embedder, schema, fields)
        self._adopt(handle)
        return Collection(handle, self._adopt)

    def _adopt(self, handle: _core.Handle) -> None:
        """Remember a handle that has to close with the database."""
        with self._lock:
            if self._handle.closed:
                handle.close()
            self._children.add(handle)

    def _names(self) -> list[str]:
        return Hits(_core.db_list(self._handle)).ids

    def __getitem__(self, name: str) -> Collection:
        if not isinstance(name, str):
            raise NotFoundError(f"no collection {name!r}: names are strings")
        return self._open(name, _core.COLLECTION_EXISTING)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)

    def drop(self, name: str) -> None:
        """Remove a collection and its rows; open handles on it raise NotFoundError from then on."""
        _core.db_drop(self._handle, name)

    def rename(self, old: str, new: str) -> None:
        """Give a collection another name; its rows and open handles stay."""
        _core.db_rename(self._handle, old, new)

    # ---- the whole

    def flush(self) -> None:
        """Return once every acknowledged write is durable, and tidy the write-ahead log."""
        _core.db_flush(self._handle)

    def verify(self, fast: bool = False) -> None:
        """Read every committed byte and check it, and rows against the schema of their collection.

        Parameters
        ----------
        fast
            Leave the rows out: the log, the catalog's pages, headers and sizes of segments. Damaged vectors stay
            unnoticed then.

        Raises
        ------
        CorruptError
            With what was found, and where, in its message and in `CorruptError.findings`. The database stays usable.

        Notes
        -----
        Where the newest rows are damaged, `connect` refuses to open for writing; ``connect(path, readonly=True)`` opens
        such a database too, and verifies it.
        """
        _core.db_verify(self._handle, fast)

    def compact(self, progress: _core.Progress | None = None) -> None:
        """Give the space of deleted and replaced rows back to the file system; readers and writers go on.

        Parameters
        ----------
        progress : callable, optional
            Called as ``progress(done, total)`` now and then; ``False``, or an exception, stops the work. What was
            given back by then stays so, and the database is sound.

        Raises
        ------
        InterruptedError
            `progress` returned ``False``.
        BusyError
            Another thread is at it.
        ReadonlyError, CorruptError, FullError

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     db.compact()
        """
        _core.db_compact(self._handle, progress)

    def purge(self, progress: _core.Progress | None = None, timeout: float = 1.0) -> None:
        """Leave no byte of a row that was deleted or replaced before in any file of the database's folder.

        Backups, and what the file system keeps of removed files, are out of its reach. It rewrites the catalog, which
        writers wait for.

        Parameters
        ----------
        progress : callable, optional
            As in `compact`.
        timeout : float
            Seconds to wait for cursors on older versions and for readers in other processes.

        Raises
        ------
        BusyError
            They did not go; some of it is left, and calling again goes on.
        InterruptedError, ReadonlyError, CorruptError, FullError
        """
        if not math.isfinite(timeout) or timeout < 0:
            raise InvalidError(f"timeout is {timeout}; give seconds, 0 or more")
        _core.db_purge(self._handle, progress, max(1, min(math.ceil(timeout * 1000), _core.UINT32_MAX)))

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Make a new database folder at `path`, a checked copy as one commit left it; writers need not stop.

        Restoring is the same: ``connect(backup, readonly=True).backup(path)``. A database in memory is saved to disk.

        Raises
        ------
        ExistsError
            Something is there already.
        CorruptError
            The database is damaged; nothing was made, and `repair` saves the rest.
        """
        _core.db_backup(self._handle, os.fsencode(path))

    def pack(self, path: str | os.PathLike[str]) -> None:
        """Make one file at `path` of the live rows, as one commit left them; writers need not stop.

        `connect` opens the file read-only, in any number of processes at once, straight from where it lies. Its
        `backup` makes a folder of it again.

        Raises
        ------
        ExistsError
            Something is there already.
        CorruptError
            The database is damaged; nothing was made, and `repair` saves the rest.

        Examples
        --------
        >>> import tempfile, os, hither
        >>> with tempfile.TemporaryDirectory() as folder, hither.connect(":memory:") as db:
        ...     _ = db.collection("notes", dim=2).add(["a", "b"], [[1, 0], [0, 1]])
        ...     db.pack(os.path.join(folder, "notes.pack"))
        ...     with hither.connect(os.path.join(folder, "notes.pack")) as packed:
        ...         [hit.id for hit in packed["notes"].search([0, 1], k=1)]
        ['b']
        """
        _core.db_pack(self._handle, os.fsencode(path))

    # ---- tables

    def import_arrow(
        self,
        name: str,
        data: Any,
        *,
        id: str = "id",
        vector: str | None = None,
        metadata: str | None = None,
        document: str | None = None,
        metric: str | None = None,
        embedder: Embedder | None = None,
        mode: Literal["add", "upsert", "update"] = "upsert",
        progress: _core.Progress | None = None,
    ) -> int:
        """Write the rows of a table into the collection `name`, which is made if it is not there. Needs pyarrow.

        A table of `Collection.to_arrow` brings the collection's metric, embedder, lifetime, schema and vector fields
        with it. What rows have in a vector field is read from the column ``fields.NAME``.

        Parameters
        ----------
        data : table
            Of pyarrow (a Table, RecordBatch or RecordBatchReader), pandas, polars, or whatever else speaks Arrow.
        id : str
            The column of the ids, integers or strings.
        vector, metadata, document : str, optional
            The columns of the vectors (lists of numbers), of metadata (JSON text or structs) and of documents. None:
            those called "vector", "metadata" and "document", where there are such. All other columns become fields of
            the metadata; what is null or NaN there is left out.
        metric, embedder : optional
            As for `collection`.
        mode : "upsert", "add" or "update"
            What is done with the rows; see these methods of `Collection`.
        progress : callable, optional
            Called as ``progress(rows, total)`` after each batch; ``False``, or an exception, stops it.

        Returns
        -------
        int
            Rows written. They are written in batches of some thousand, each as a whole; after an error those before
            it stay.

        Examples
        --------
        >>> import hither, pyarrow
        >>> table = pyarrow.table({"id": ["a", "b"], "vector": [[0.0, 1.0], [1.0, 0.0]], "lang": ["en", None]})
        >>> with hither.connect(":memory:") as db:
        ...     db.import_arrow("words", table)
        ...     db["words"]["a"].metadata
        2
        {'lang': 'en'}
        """
        source = _arrow().open_table(data)
        columns = _arrow().choose(source, id, vector, metadata, document, self._fields(name, source))
        return self._import(name, source, columns, metric, embedder, mode, progress)

    def import_parquet(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        id: str = "id",
        vector: str | None = None,
        metadata: str | None = None,
        document: str | None = None,
        metric: str | None = None,
        embedder: Embedder | None = None,
        mode: Literal["add", "upsert", "update"] = "upsert",
        progress: _core.Progress | None = None,
    ) -> int:
        """Write the rows of a Parquet file into the collection `name`; all else as `import_arrow`.

        The file is read a few thousand rows at a time.
        """
        source = _arrow().open_parquet(path)
        columns = _arrow().choose(source, id, vector, metadata, document, self._fields(name, source))
        return self._import(name, source, columns, metric, embedder, mode, progress)

    def _fields(self, name: str, source: Source) -> list[str]:
        """Vector fields that a table may have columns for: those it declares, and those of a collection there is."""
        found = list(_arrow().declared_fields(_arrow().described(source)))
        return [*found, *(field["name"] for field in self.collection(name)._shape.fields)] if name in self else found

    def _import(
        self,
        name: str,
        source: Source,
        columns: Columns,
        metric: str | None,
        embedder: Embedder | None,
        mode: str,
        progress: _core.Progress | None,
    ) -> int:
        if mode not in ("add", "upsert", "update"):
            raise InvalidError(f'mode is {mode!r}; there are "add", "upsert" and "update"')
        known = _arrow().described(source)
        tell = told(progress, "importing")
        if name in self:
            c = self.collection(name, _arrow().vector_dim(source, columns), metric, None, embedder)
        else:
            if embedder is None and known.get("embedder") == Embedder().name:
                embedder = Embedder()
            c = None
        rows = 0
        for batch in source.batches:
            if not batch.num_rows:
                continue
            vectors = None if columns.vector is None else _arrow().vectors_of(batch.column(columns.vector), rows)
            if c is None:
                c = self._make(name, None if vectors is None else vectors.shape[1], metric, embedder, known)
            ids = _arrow().ids_of(batch.column(columns.id), rows)
            objects = _arrow().metadata_of(batch, columns, rows)
            texts = None
            if columns.document is not None:
                texts = _arrow().texts_of(batch.column(columns.document), "document")
            fields = {
                field: _arrow().field_of(batch.column(_arrow().PREFIX + field), c._shape.find(field), rows)
                for field in columns.vectors
            }
            try:
                getattr(c, mode)(ids, vectors, metadata=objects, documents=texts, fields=fields)
            except Error as error:
                if rows:
                    error.add_note(f"in the batch that begins with row {rows} of the table")
                raise
            rows += batch.num_rows
            _arrow().step(tell, rows, source.total)
        if c is None:  # no rows: the collection at least, where it is known what it is
            self._make(name, _arrow().vector_dim(source, columns), metric, embedder, known)
        return rows

    def _make(
        self, name: str, dim: int | None, metric: str | None, embedder: Embedder | None, known: Mapping[str, Any]
    ) -> Collection:
        fields = _arrow().declared_fields(known)
        c = self.collection(name, dim, metric or known.get("metric"), None, embedder, known.get("schema"), fields)
        if known.get("ttl") is not None:
            c.set_ttl(known["ttl"])
        return c

    def info(self) -> dict[str, object]:
        """Path, format, version, SQLite's version, readonly, SIMD level, bytes and collections."""
        return dict(Hits(_core.db_info(self._handle))[0].metadata)

    def close(self) -> None:
        """Close the database with its collections and scans. Everything acknowledged is durable already."""
        with self._lock:
            self._handle.close()
            for child in list(self._children):
                child.close()
            self._children.clear()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Database cannot be pickled; pass its path and connect in the other process")

    def __repr__(self) -> str:
        if self._handle.closed:
            return "<hither.Database, closed>"
        names = self._names()
        shown = ", ".join(json.dumps(name, ensure_ascii=False) for name in names[:5])
        return f"<hither.Database {self.info()['path']}: {shown or 'empty'}{', ...' if len(names) > 5 else ''}>"
