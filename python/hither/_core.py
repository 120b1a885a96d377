"""Every call of the library, its errors, its results, its lifetimes; those of arrays and indexes are in _index.py,
those that search and list collections in _search.py.

Nobody else sees the extension module.

What must stay true:
  - A buffer handed to the library stays referenced until the call returns (the `held` lists below).
  - The GIL is dropped during each call (cffi does that), so nothing here may rely on it across one.
  - close() takes effect at once, or when the last call that is inside the library leaves it; a kept traceback or a
    forgotten reference never keeps a folder locked.
  - Results are copied out and freed at once; what people hold is plain Python and numpy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._ffi import ffi, lib
from ._named import FieldSpec, Named, fields_in, named as named_of, set_named, set_specs
from .arrays import FloatMatrix, Stored, Strings, Texts
from .errors import BY_STATUS, CorruptError, Error, InvalidError
from .progress import MaybeProgress, Steps, told

METRICS: dict[str, int] = {
    "cosine": lib.HITHER_COSINE,
    "dot": lib.HITHER_DOT,
    "l2": lib.HITHER_L2,
    "l1": lib.HITHER_L1,
    "hamming": lib.HITHER_HAMMING,
}
DTYPES: dict[str, int] = {
    "f32": lib.HITHER_F32,
    "f64": lib.HITHER_F64,
    "f16": lib.HITHER_F16,
    "bf16": lib.HITHER_BF16,
    "i8": lib.HITHER_I8,
    "b1": lib.HITHER_B1,
}
INCLUDES: dict[str, int] = {
    "vector": lib.HITHER_INCLUDE_VECTORS,
    "metadata": lib.HITHER_INCLUDE_METADATA,
    "document": lib.HITHER_INCLUDE_DOCUMENTS,
}
INCLUDE_FIELDS: int = lib.HITHER_INCLUDE_FIELDS
INCLUDE_NOTHING: int = lib.HITHER_INCLUDE_NOTHING
INSERT: int = lib.HITHER_INSERT
UPSERT: int = lib.HITHER_UPSERT
UPDATE: int = lib.HITHER_UPDATE
OPEN_READONLY: int = lib.HITHER_OPEN_READONLY
DURABILITIES: dict[str, int] = {
    "full": lib.HITHER_DURABILITY_FULL,
    "memory": lib.HITHER_DURABILITY_MEMORY,
    "relaxed": lib.HITHER_DURABILITY_RELAXED,
}
COLLECTION_EXISTING: int = lib.HITHER_COLLECTION_EXISTING
UINT32_MAX = 2**32 - 1
TTL_OFF: int = lib.HITHER_TTL_OFF

# Told how far long work is; False stops it, and True in its place is a `Bar`.
Progress: TypeAlias = MaybeProgress
MAX_K: int = lib.HITHER_MAX_K

# hither_score, field by field.
SCORE_FIELDS = {
    "novelty": "f4",
    "rarity": "f4",
    "distance": "f4",
    "centroid": "f4",
    "seen": "u4",
    "record": "u8",
    "nearest": "u8",
    "severity": "f4",
    "level": "u4",
}
SCORE = np.dtype(
    {
        "names": list(SCORE_FIELDS),
        "formats": list(SCORE_FIELDS.values()),
        "offsets": [ffi.offsetof("hither_score", name) for name in SCORE_FIELDS],
        "itemsize": ffi.sizeof("hither_score"),
    }
)

KINDS: dict[str, int] = {
    "auto": lib.HITHER_AUTO,
    "exact": lib.HITHER_EXACT,
    "ivf": lib.HITHER_IVF,
    "hnsw": lib.HITHER_HNSW,
}

_PUT_BATCH_SIZE = ffi.sizeof("hither_batch")


# ---- errors


def _raise(status: int, err: Any) -> NoReturn:
    name = ffi.string(lib.hither_status_name(status)).decode()
    message = ffi.string(err.message).decode("utf-8", "replace")
    kind = BY_STATUS.get(name)
    if kind is None:
        raise Error(f"{message} (status {status}, {name})", err.os_errno)
    error = kind(message, err.os_errno)
    if isinstance(error, OSError) and err.os_errno:
        error.errno = err.os_errno
    raise error


def _call(function: Callable[..., int], *arguments: Any) -> None:
    """Calls a fallible function that has no handle yet, and raises what it reports."""
    err = ffi.new("hither_error *")
    status = function(*arguments, err)
    if status:
        _raise(status, err)


# ---- handles


class Handle:
    """A counted handle of the library, and how many calls are inside the library with it."""

    __slots__ = ("__weakref__", "_calls", "_cdata", "_lock", "closed", "what")

    def __init__(self, cdata: Any, what: str) -> None:
        self._cdata = cdata  # closes itself when garbage, or by ffi.release
        self._lock = threading.Lock()
        self._calls = 0
        self.closed = False
        self.what = what

    def check(self) -> None:
        """Raises unless open."""
        if self.closed:
            raise InvalidError(f"this {self.what} is closed; connect to the database again")

    def enter(self) -> Any:
        """The cdata for one call; leave() must follow."""
        with self._lock:
            self.check()
            self._calls += 1
            return self._cdata

    def leave(self) -> None:
        with self._lock:
            self._calls -= 1
            if self._calls or not self.closed:
                return
        ffi.release(self._cdata)

    def close(self) -> None:
        with self._lock:
            if self.closed:
                return
            self.closed = True
            if self._calls:
                return
        ffi.release(self._cdata)


def _on(handle: Handle, function: Callable[..., int], *arguments: Any) -> None:
    """Calls a fallible function of a handle."""
    err = ffi.new("hither_error *")
    cdata = handle.enter()
    try:
        status = function(cdata, *arguments, err)
    finally:
        handle.leave()
    if status:
        _raise(status, err)


def _made(out: Any, close: Any, what: str) -> Handle:
    """What a constructor put into `out`, as a handle."""
    return Handle(ffi.gc(out[0], close), what)


# ---- columns in


def _c_string(text: str | bytes, what: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if b"\0" in data:
        raise InvalidError(f"{what} {text!r} has a NUL in it")
    return data


def _set_strings(target: Any, column: Texts, held: list[Any]) -> None:
    data = ffi.from_buffer("char[]", column.data)
    offsets = ffi.from_buffer("uint64_t[]", column.offsets)
    target.bytes = data
    target.offsets = offsets
    target.count = column.count
    held += (data, offsets)
    if column.valid is not None:
        valid = ffi.from_buffer("uint8_t[]", column.valid)
        target.valid = valid
        held.append(valid)


def _set_ids(target: Any, column: NDArray[np.int64] | Texts, held: list[Any]) -> None:
    if isinstance(column, Texts):
        _set_strings(target.strings, column, held)
        target.count = column.count
        return
    data = ffi.from_buffer("int64_t[]", column)
    target.ints = data
    target.count = len(column)
    held.append(data)


def _set_matrix(target: Any, rows: FloatMatrix, held: list[Any]) -> None:
    if rows.flags.c_contiguous:
        data = ffi.from_buffer(rows)
        target.data = data
        held.append(data)
    else:  # rows apart: from_buffer wants them packed, the library does not
        target.data = ffi.cast("void *", rows.__array_interface__["data"][0])
        target.stride = rows.strides[0]
        held.append(rows)
    target.rows, target.dim = rows.shape
    target.dtype = lib.HITHER_F32 if rows.dtype == np.float32 else lib.HITHER_F64


def _set_stored(target: Any, given: Stored, held: list[Any]) -> None:
    _set_matrix(target, given.rows, held)
    target.dim = given.dim
    target.dtype = DTYPES[given.dtype]


# ---- results out


class Records:
    """One group of a result, copied out of the library."""

    __slots__ = ("count", "distances", "documents", "ids", "metadata", "named", "scores", "vectors")

    def __init__(
        self,
        count: int,
        ids: Strings | list[int],
        distances: NDArray[np.float32] | None,
        vectors: NDArray[np.float32] | None,
        metadata: Strings | None,
        documents: Strings | None,
        scores: NDArray[np.float64] | None = None,
        named: tuple[Named, ...] = (),
    ) -> None:
        self.count = count
        self.ids = ids
        self.distances = distances
        self.vectors = vectors
        self.metadata = metadata
        self.documents = documents
        self.scores = scores
        self.named = named


def _strings(column: Any) -> Strings | None:
    count = column.count
    if count == 0:
        return None
    offsets = ffi.unpack(column.offsets, count + 1)
    first, last = offsets[0], offsets[-1]
    data = ffi.buffer(column.bytes + first, last - first)[:] if last > first else b""
    if first:
        offsets = [offset - first for offset in offsets]
    valid = ffi.buffer(column.valid, (count + 7) // 8)[:] if column.valid != ffi.NULL else None
    return Strings(data, offsets, valid)


def _floats(pointer: Any, count: int) -> NDArray[np.float32]:
    return np.frombuffer(bytearray(ffi.buffer(pointer, count * 4)), np.float32)


def _records(result: Any, group: int, fields: tuple[int, ...] = ()) -> Records:
    count = lib.hither_result_count(result, group)
    column = lib.hither_result_ids(result, group)
    if column.ints != ffi.NULL:
        ids: Strings | list[int] = ffi.unpack(column.ints, count)
    else:
        ids = _strings(column.strings) or []
    distances = lib.hither_result_distances(result, group)
    scores = lib.hither_result_scores(result, group)
    matrix = lib.hither_result_vectors(result, group)
    vectors = None
    if matrix.data != ffi.NULL:
        stride = matrix.stride or matrix.dim * 4
        raw = bytearray(ffi.buffer(ffi.cast("char *", matrix.data), stride * (matrix.rows - 1) + matrix.dim * 4))
        vectors = np.ndarray((matrix.rows, matrix.dim), np.float32, raw, 0, (stride, 4))
    return Records(
        count,
        ids,
        None if distances == ffi.NULL else _floats(distances, count),
        vectors,
        _strings(lib.hither_result_metadata(result, group)),
        _strings(lib.hither_result_documents(result, group)),
        None if scores == ffi.NULL else np.frombuffer(bytearray(ffi.buffer(scores, count * 8)), np.float64),
        tuple(found for field in fields if (found := named_of(result, group, field)) is not None),
    )


def _result(handle: Handle, function: Callable[..., int], *arguments: Any) -> Any:
    out = ffi.new("hither_result **")
    _on(handle, function, *arguments, out)
    return ffi.gc(out[0], lib.hither_result_free)


def _one(handle: Handle, function: Callable[..., int], *arguments: Any, include: int = 0) -> Records:
    return _records(_result(handle, function, *arguments), 0, fields_in(include))


# ---- the library


def version() -> str:
    return str(ffi.string(lib.hither_version()).decode())


def simd() -> str:
    return str(ffi.string(lib.hither_simd()).decode())


def embedder_builtin() -> Handle:
    out = ffi.new("hither_embedder **")
    _call(lib.hither_embedder_builtin, out)
    return _made(out, lib.hither_embedder_close, "embedder")


def embedder_open(folder: bytes, precision: int, max_tokens: int, engine: int, **names: bytes | None) -> Handle:
    options = ffi.new("hither_embedder_options *")
    options.size = ffi.sizeof("hither_embedder_options")
    options.precision = precision
    options.max_tokens = max_tokens
    options.engine = engine
    kept = {key: ffi.new("char[]", text) for key, text in names.items() if text is not None}
    for key, text in kept.items():
        setattr(options, key, text)
    out = ffi.new("hither_embedder **")
    _call(lib.hither_embedder_open, folder, options, out)
    return _made(out, lib.hither_embedder_close, "embedder")


def embedder_dim(embedder: Handle) -> int:
    return int(lib.hither_embedder_dim(embedder._cdata))


def embedder_name(embedder: Handle) -> str:
    return str(ffi.string(lib.hither_embedder_name(embedder._cdata)).decode())


def embed(embedder: Handle, column: Texts, queries: bool = False) -> NDArray[np.float32]:
    held: list[Any] = []
    strings = ffi.new("hither_strings *")
    _set_strings(strings, column, held)
    vectors = np.empty((column.count, embedder_dim(embedder)), np.float32)
    how = lib.hither_embedder_embed_queries if queries else lib.hither_embedder_embed
    _on(embedder, how, strings, ffi.from_buffer("float[]", vectors))
    return vectors


def db_open(path: bytes, flags: int, timeout_ms: int, durability: int, relaxed_ms: int = 0) -> Handle:
    options = ffi.new("hither_db_options *")
    options.size = ffi.sizeof("hither_db_options")
    options.flags = flags
    options.busy_timeout_ms = timeout_ms
    options.durability = durability
    options.relaxed_ms = relaxed_ms
    out = ffi.new("hither_db **")
    _call(lib.hither_db_open, _c_string(path, "path"), options, out)
    return _made(out, lib.hither_db_close, "database")


def db_flush(db: Handle) -> None:
    _on(db, lib.hither_db_flush)


def db_list(db: Handle) -> Records:
    return _one(db, lib.hither_db_list)


def db_info(db: Handle) -> Records:
    return _one(db, lib.hither_db_info)


def db_drop(db: Handle, name: str) -> None:
    _on(db, lib.hither_db_drop, _c_string(name, "collection name"))


def db_rename(db: Handle, old: str, new: str) -> None:
    _on(db, lib.hither_db_rename, _c_string(old, "collection name"), _c_string(new, "collection name"))


def _findings(report: Any) -> list[tuple[str, str]]:
    """The places of a report, and what is wrong there."""
    found = _records(report, 0)
    findings: list[tuple[str, str]] = []
    for row in range(found.count):
        place = found.ids.get(row) if isinstance(found.ids, Strings) else str(found.ids[row])
        what = found.documents.get(row) if found.documents else None
        findings.append((place or "", what or ""))
    return findings


def _work(
    handle: Handle, function: Callable[..., int], progress: Progress | None, label: str, wait_ms: int = 0
) -> None:
    """Calls a function that takes hither_work_options. An exception in `progress`, Ctrl-C too, stops it."""
    tell = told(progress, label)
    steps = Steps(tell or (lambda done, total: None))
    options = ffi.new("hither_work_options *")
    callback = ffi.callback("int(void *, uint64_t, uint64_t)", steps.step, error=1, onerror=steps.note)
    options.size = ffi.sizeof("hither_work_options")
    options.progress = callback
    options.wait_ms = wait_ms
    try:
        _on(handle, function, options)
    except Error as error:
        steps.end(error)
        raise
    steps.end(None)


def db_compact(db: Handle, progress: Progress | None) -> None:
    _work(db, lib.hither_db_compact, progress, "compacting")


def collection_compact(collection: Handle, progress: Progress | None) -> None:
    _work(collection, lib.hither_collection_compact, progress, "compacting")


def collection_create_index(
    collection: Handle, kind: int, m: int, ef_build: int, bits: int, lists: int, seed: int, progress: Progress | None
) -> None:
    options = ffi.new("hither_index_options *")
    options.size = ffi.sizeof("hither_index_options")
    options.kind = kind
    options.m = m
    options.ef_build = ef_build
    options.bits = bits
    options.lists = lists
    options.seed = seed
    _work(
        collection, lambda c, work, err: lib.hither_collection_create_index(c, options, work, err), progress, "indexing"
    )


def collection_reembed(collection: Handle, embedder: Handle, progress: Progress | None) -> None:
    cdata = embedder.enter()
    try:
        _work(
            collection, lambda c, work, err: lib.hither_collection_reembed(c, cdata, work, err), progress, "embedding"
        )
    finally:
        embedder.leave()


def collection_set_ttl(collection: Handle, seconds: int) -> None:
    _on(collection, lib.hither_collection_set_ttl, seconds)


def collection_set_schema(collection: Handle, schema: bytes | None) -> None:
    _on(collection, lib.hither_collection_set_schema, ffi.NULL if schema is None else schema)


def collection_expire(collection: Handle) -> int:
    deleted = ffi.new("size_t *")
    _on(collection, lib.hither_collection_expire, deleted)
    return int(deleted[0])


def db_purge(db: Handle, progress: Progress | None, wait_ms: int) -> None:
    _work(db, lib.hither_db_purge, progress, "purging", wait_ms)


def db_backup(db: Handle, path: bytes) -> None:
    _on(db, lib.hither_db_backup, _c_string(path, "path"))


def db_pack(db: Handle, path: bytes) -> None:
    _on(db, lib.hither_db_pack, _c_string(path, "path"))


def db_repair(path: bytes, to: bytes) -> list[tuple[str, str]]:
    """The findings."""
    out = ffi.new("hither_result **")
    _call(lib.hither_db_repair, _c_string(path, "path"), _c_string(to, "path"), out)
    return _findings(ffi.gc(out[0], lib.hither_result_free))


def db_verify(db: Handle, fast: bool) -> None:
    """Raises CorruptError with the findings in its message and in its `findings`."""
    out = ffi.new("hither_result **")
    err = ffi.new("hither_error *")
    cdata = db.enter()
    try:
        status = (lib.hither_db_verify_fast if fast else lib.hither_db_verify)(cdata, out, err)
    finally:
        db.leave()
    check_report(status, err, None if out[0] == ffi.NULL else ffi.gc(out[0], lib.hither_result_free))


def check_report(status: int, err: Any, report: Any) -> None:
    """Raises what a verification has come to."""
    if not status:
        return
    if status != lib.HITHER_CORRUPT or report is None:
        _raise(status, err)
    findings = _findings(report)
    lines = [ffi.string(err.message).decode("utf-8", "replace")]
    lines += [f"  {place}: {what}" for place, what in findings]
    raise CorruptError("\n".join(lines), err.os_errno, findings)


def collection_open(
    db: Handle,
    name: str,
    flags: int,
    dim: int,
    dtype: int,
    metric: int,
    embedder: Handle | None,
    schema: bytes | None,
    fields: Sequence[FieldSpec] = (),
) -> Handle:
    options = ffi.new("hither_collection_options *")
    options.size = ffi.sizeof("hither_collection_options")
    options.flags = flags
    options.dim = dim
    options.dtype = dtype
    options.metric = metric
    options.embedder = embedder._cdata if embedder else ffi.NULL
    held = ffi.new("char[]", schema) if schema is not None else ffi.NULL
    options.schema = held
    kept: list[Any] = []
    specs = set_specs(fields, kept)
    options.fields = specs
    options.field_count = len(fields)
    out = ffi.new("hither_collection **")
    _on(db, lib.hither_collection_open, _c_string(name, "collection name"), options, out)
    return _made(out, lib.hither_collection_close, "collection")


def collection_info(c: Handle) -> Records:
    return _one(c, lib.hither_collection_info)


def collection_put(
    c: Handle,
    mode: int,
    ids: NDArray[np.int64] | Texts,
    vectors: FloatMatrix | None,
    metadata: Texts | None,
    documents: Texts | None,
    remove: Texts | None = None,
    named: Sequence[Named] = (),
) -> int:
    held: list[Any] = []
    batch = ffi.new("hither_batch *")
    batch.size = _PUT_BATCH_SIZE
    _set_ids(batch.ids, ids, held)
    if vectors is not None:
        _set_matrix(batch.vectors, vectors, held)
    if metadata is not None:
        _set_strings(batch.metadata, metadata, held)
    if documents is not None:
        _set_strings(batch.documents, documents, held)
    if remove is not None:
        _set_strings(batch.remove, remove, held)
    batch.named = set_named(named, held, _set_matrix)
    batch.named_count = len(named)
    written = ffi.new("size_t *")
    _on(c, lib.hither_collection_put, mode, batch, written)
    return int(written[0])


def _where(where: bytes | None) -> Any:
    return ffi.NULL if where is None else ffi.new("char[]", where)


def collection_delete(c: Handle, ids: NDArray[np.int64] | Texts | None, where: bytes | None) -> int:
    held: list[Any] = []
    column = ffi.NULL
    if ids is not None:
        column = ffi.new("hither_ids *")
        _set_ids(column, ids, held)
    deleted = ffi.new("size_t *")
    _on(c, lib.hither_collection_delete, column, _where(where), deleted)
    return int(deleted[0])


def collection_count(c: Handle, where: bytes | None) -> int:
    out = ffi.new("uint64_t *")
    _on(c, lib.hither_collection_count, _where(where), out)
    return int(out[0])


def collection_get(c: Handle, ids: NDArray[np.int64] | Texts, where: bytes | None, include: int) -> Records:
    held: list[Any] = []
    column = ffi.new("hither_ids *")
    _set_ids(column, ids, held)
    return _one(c, lib.hither_collection_get, column, _where(where), include, include=include)


def collection_scan(c: Handle, where: bytes | None, include: int) -> Handle:
    out = ffi.new("hither_cursor **")
    _on(c, lib.hither_collection_scan, _where(where), include, out)
    return _made(out, lib.hither_cursor_close, "scan")


def cursor_next(cursor: Handle, limit: int, include: int = 0) -> Records:
    return _one(cursor, lib.hither_cursor_next, limit, include=include)


WAIT_MS = 60_000  # a search that was begun ends; who pushes would only try again


def window_options(
    capacity: int,
    embedder: Handle | None,
    dim: int,
    age_ms: int,
    centroid: bool,
    half_life: float,
    novelty: bool,
    rules: str | None,
) -> tuple[Any, list[Any]]:
    """The struct and what it points to."""
    options = ffi.new("hither_window_options *")
    options.size = ffi.sizeof("hither_window_options")
    options.capacity = capacity
    options.embedder = embedder._cdata if embedder else ffi.NULL
    options.dim = dim
    options.age_ms = age_ms
    options.no_centroid = not centroid
    options.half_life = half_life
    options.no_novelty = not novelty
    options.wait_ms = WAIT_MS
    held = [] if rules is None else [ffi.new("char[]", _c_string(rules, "rules"))]
    if held:
        options.rules = held[0]
    return options, held


def window_new(options: tuple[Any, list[Any]]) -> Handle:
    out = ffi.new("hither_window **")
    _call(lib.hither_window_new, options[0], out)
    return _made(out, lib.hither_window_close, "window")


def window_open(path: bytes, embedder: Handle | None) -> Handle:
    options, _ = window_options(0, embedder, 0, 0, True, 0.0, True, None)
    out = ffi.new("hither_window **")
    _call(lib.hither_window_open, _c_string(path, "path"), options, out)
    return _made(out, lib.hither_window_close, "window")


def window_save(window: Handle, path: bytes) -> None:
    _on(window, lib.hither_window_save, _c_string(path, "path"))


def window_snapshot(window: Handle) -> Handle:
    out = ffi.new("hither_window **")
    _on(window, lib.hither_window_snapshot, out)
    return _made(out, lib.hither_window_close, "window")


def window_push(
    window: Handle,
    column: Texts | None,
    vectors: FloatMatrix | None,
    times: NDArray[np.int64] | None,
    metadata: Texts | None,
    match: bool,
) -> tuple[NDArray[Any], list[list[tuple[int, float]]]]:
    """One SCORE a record, and where asked for the numbers and distances of the standing queries each matches."""
    held: list[Any] = []
    rows = ffi.new("hither_window_rows *")
    rows.size = ffi.sizeof("hither_window_rows")
    count = 0
    if column is not None:
        _set_strings(rows.texts, column, held)
        count = column.count
    if vectors is not None:
        _set_matrix(rows.vectors, vectors, held)
        count = len(vectors)
    if times is not None:
        rows.times_ms = ffi.from_buffer("int64_t[]", times)
        held.append(rows.times_ms)
    if metadata is not None:
        _set_strings(rows.metadata, metadata, held)
    scores = np.zeros(count, SCORE)
    out = ffi.cast("hither_score *", ffi.from_buffer(scores))
    if not match:
        _on(window, lib.hither_window_push_rows, rows, out)
        return scores, []
    result = _result(window, lib.hither_window_push_matched, rows, out)
    matches: list[list[tuple[int, float]]] = []
    for group in range(count):
        found = lib.hither_result_count(result, group)
        numbers = ffi.unpack(lib.hither_result_ids(result, group).ints, found) if found else []
        distances = ffi.unpack(lib.hither_result_distances(result, group), found) if found else []
        matches.append(list(zip(numbers, distances, strict=True)))
    return scores, matches


def window_queries_set(
    window: Handle, column: Texts | None, vectors: FloatMatrix | None, radius: NDArray[np.float32], first_only: bool
) -> None:
    held: list[Any] = []
    queries = ffi.new("hither_window_queries *")
    queries.size = ffi.sizeof("hither_window_queries")
    if column is not None:
        _set_strings(queries.texts, column, held)
    if vectors is not None:
        _set_matrix(queries.vectors, vectors, held)
    queries.radius = ffi.from_buffer("float[]", radius)
    queries.first_only = first_only
    _on(window, lib.hither_window_queries_set, queries)


def window_find(
    window: Handle,
    vectors: FloatMatrix | None,
    texts: Texts | None,
    k: int,
    radius: float | None,
    where: bytes | None,
    since_ms: int,
    until_ms: int,
) -> Records:
    held: list[Any] = []
    query = ffi.new("hither_query *")
    query.size = ffi.sizeof("hither_query")
    if vectors is not None:
        _set_matrix(query.vectors, vectors, held)
    if texts is not None:
        _set_strings(query.texts, texts, held)
    options = ffi.new("hither_window_find_options *")
    options.size = ffi.sizeof("hither_window_find_options")
    options.k = k
    options.within = radius is not None
    options.radius = radius or 0.0
    if where is not None:
        held.append(ffi.new("char[]", where))
        options.where = held[-1]
    options.since_ms = since_ms
    options.until_ms = until_ms
    result = _result(window, lib.hither_window_find, query, options)
    return _records(result, 0)


def window_centroid(window: Handle, dim: int) -> NDArray[np.float32]:
    mean = np.empty(dim, np.float32)
    _on(window, lib.hither_window_centroid, ffi.from_buffer("float[]", mean), dim)
    return mean


def window_outliers(window: Handle, n: int, below: float) -> Records:
    return _one(window, lib.hither_window_outliers, n, below)


def window_info(window: Handle) -> Records:
    return _one(window, lib.hither_window_info)


def window_get(window: Handle, records: Sequence[int] | NDArray[np.uint64]) -> Records:
    numbers = np.ascontiguousarray(records, np.uint64)
    return _one(window, lib.hither_window_get, ffi.from_buffer("uint64_t[]", numbers), len(numbers))
