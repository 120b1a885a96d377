"""The calls of the library for arrays and indexes: the other half of _core.py, and under its rules."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._core import DTYPES, Progress, _c_string, _call, _raise, _records, _set_stored
from ._ffi import ffi, lib
from .arrays import Stored
from .errors import Error
from .progress import Steps, told

Answers = tuple[NDArray[np.int64], NDArray[np.float32]]
Allow = tuple[NDArray[np.uint64], int]


class Asked(NamedTuple):
    """What a search is asked for besides its queries and k, in the library's numbers."""

    metric: int
    threads: int
    allow: Allow | None
    recall: float
    ef: int = 0
    nprobe: int = 0


class Made(NamedTuple):
    """What an index is made of, in the library's numbers."""

    dtype: int
    metric: int
    kind: int
    m: int = 0
    ef_build: int = 0
    bits: int = 0
    lists: int = 0
    seed: int = 0


def _options(name: str, asked: Asked, held: list[Any]) -> Any:
    """hither_knn_options has the first members of hither_index_search_options."""
    options = ffi.new(f"{name} *")
    options.size = ffi.sizeof(name)
    options.metric = asked.metric
    options.threads = asked.threads
    options.recall = asked.recall
    if asked.ef:
        options.ef = asked.ef
    if asked.nprobe:
        options.nprobe = asked.nprobe
    if asked.allow is not None:
        # A mask of no bits still is one: a pointer to something, and a length of 0.
        words, bits = asked.allow
        options.allow = buffer = ffi.from_buffer("uint64_t[]", words if len(words) else np.zeros(1, np.uint64))
        options.allow_bits = bits
        held.append(buffer)
    return options


def _matrix(rows: Stored, held: list[Any]) -> Any:
    matrix = ffi.new("hither_matrix *")
    _set_stored(matrix, rows, held)
    return matrix


def _room(queries: Stored, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32], Any, Any]:
    labels = np.empty((len(queries.rows), min(k, lib.HITHER_MAX_K)), np.int64)
    distances = np.empty(labels.shape, np.float32)
    return labels, distances, ffi.from_buffer("int64_t[]", labels), ffi.from_buffer("float[]", distances)


def _found(result: Any) -> tuple[list[Answers], str]:
    """Each group of a result as labels and distances, and the plan; the result is freed."""
    groups: list[Answers] = []
    for group in range(lib.hither_result_groups(result)):
        count = lib.hither_result_count(result, group)
        labels = np.empty(count, np.int64)
        distances = np.empty(count, np.float32)
        if count:
            ffi.memmove(labels, lib.hither_result_ids(result, group).ints, labels.nbytes)
            ffi.memmove(distances, lib.hither_result_distances(result, group), distances.nbytes)
        groups.append((labels, distances))
    plan = str(ffi.string(lib.hither_result_plan(result)).decode())
    ffi.release(result)
    return groups, plan


def knn(base: Stored, queries: Stored, k: int, asked: Asked) -> Answers:
    held: list[Any] = []
    options = _options("hither_knn_options", asked, held)
    labels, distances, *out = _room(queries, k)
    _call(lib.hither_knn, _matrix(base, held), _matrix(queries, held), k, options, *out)
    return labels, distances


def within(base: Stored, queries: Stored, radius: float, asked: Asked) -> list[Answers]:
    held: list[Any] = []
    out = ffi.new("hither_result **")
    options = _options("hither_knn_options", asked, held)
    _call(lib.hither_within, _matrix(base, held), _matrix(queries, held), radius, options, out)
    return _found(ffi.gc(out[0], lib.hither_result_free))[0][: len(queries.rows)]


class IndexCall:
    """The structs of a search for one query, made once and lent to one search at a time."""

    __slots__ = ("error", "options", "queries")

    def __init__(self, dim: int, recall: float = 0, ef: int = 0, nprobe: int = 0) -> None:
        self.error = ffi.new("hither_error *")
        self.queries = ffi.new("hither_matrix *")
        self.queries.rows = 1
        self.queries.dim = dim
        self.queries.dtype = lib.HITHER_F32
        self.options = ffi.new("hither_index_search_options *")
        self.options.size = ffi.sizeof("hither_index_search_options")
        self.options.recall = recall
        self.options.ef = ef
        self.options.nprobe = nprobe


def _close_borrowed(rows: object, cdata: Any) -> None:
    """Closes an index over an array, which stays referenced until then."""
    lib.hither_index_close(cdata)


def _made_index(out: Any) -> Any:
    """An index as cdata that closes itself with its last reference; a call in the library holds one."""
    return ffi.gc(out[0], lib.hither_index_close)


def _on_index(cdata: Any, function: Callable[..., int], *arguments: Any) -> None:
    err = ffi.new("hither_error *")
    status = function(cdata, *arguments, err)
    if status:
        _raise(status, err)


def index_new(dim: int, made: Made) -> Any:
    options = ffi.new("hither_index_options *")
    options.size = ffi.sizeof("hither_index_options")
    options.dim = dim
    options.dtype, options.metric, options.kind = made.dtype, made.metric, made.kind
    options.m, options.ef_build, options.bits = made.m, made.ef_build, made.bits
    options.lists, options.seed = made.lists, made.seed
    out = ffi.new("hither_index **")
    _call(lib.hither_index_new, options, out)
    return _made_index(out)


def index_wrap(given: Stored, metric: int) -> Any:
    rows = given.rows
    matrix = ffi.new("hither_matrix *")
    matrix.data = ffi.cast("void *", rows.__array_interface__["data"][0])
    matrix.rows = len(rows)
    matrix.dim = given.dim
    matrix.stride = rows.strides[0] if len(rows) > 1 else 0
    matrix.dtype = DTYPES[given.dtype]
    out = ffi.new("hither_index **")
    _call(lib.hither_index_wrap, matrix, metric, out)
    return ffi.gc(out[0], functools.partial(_close_borrowed, rows))


def index_open(path: bytes) -> Any:
    out = ffi.new("hither_index **")
    _call(lib.hither_index_open, _c_string(path, "path"), out)
    return _made_index(out)


def index_add(cdata: Any, rows: Stored, labels: NDArray[np.int64] | None) -> int:
    """The first label given out, where `labels` is None."""
    held: list[Any] = []
    first = ffi.new("int64_t *")
    given = ffi.NULL if labels is None else ffi.from_buffer("int64_t[]", labels)
    _on_index(cdata, lib.hither_index_add, _matrix(rows, held), given, first)
    return int(first[0])


def index_build(cdata: Any, threads: int, due: bool, memory: int = 0, progress: Progress | None = None) -> None:
    options = ffi.new("hither_index_build_options *")
    options.size = ffi.sizeof("hither_index_build_options")
    options.threads = threads
    options.due = due
    options.memory = memory
    tell = told(progress, "building")
    if tell is None:
        _on_index(cdata, lib.hither_index_build, options)
        return
    steps = Steps(tell)
    options.step = callback = ffi.callback("int(void *, uint64_t, uint64_t)", steps.step, error=1, onerror=steps.note)
    try:
        _on_index(cdata, lib.hither_index_build, options)
    except Error as error:
        steps.end(error)
        raise
    finally:
        del callback  # until here it may be called
    steps.end(None)


def index_tune(cdata: Any) -> str:
    """What was measured, as JSON."""
    return _facts(cdata, lib.hither_index_tune)


def index_remove(cdata: Any, labels: NDArray[np.int64]) -> int:
    removed = ffi.new("size_t *")
    _on_index(cdata, lib.hither_index_remove, ffi.from_buffer("int64_t[]", labels), len(labels), removed)
    return int(removed[0])


def index_search_one(cdata: Any, call: IndexCall, query: NDArray[np.float32], k: int) -> Answers:
    """One packed, aligned float32 query of the index's dimension, over all rows: every microsecond counts here."""
    labels = _empty(k, _INT64)
    distances = _empty(k, _FLOAT32)
    queries = call.queries
    queries.data = held = _from_buffer(query)
    status = _index_search(
        cdata,
        queries,
        k,
        call.options,
        _from_buffer(_INT64_ARRAY, labels),
        _from_buffer(_FLOAT_ARRAY, distances),
        call.error,
    )
    del held  # until here the query's buffer is referenced
    if status:
        _raise(status, call.error)
    return labels, distances


_index_search = lib.hither_index_search
_from_buffer = ffi.from_buffer
_INT64_ARRAY = ffi.typeof("int64_t[]")
_FLOAT_ARRAY = ffi.typeof("float[]")
_INT64 = np.dtype(np.int64)
_FLOAT32 = np.dtype(np.float32)
_empty = np.empty


def index_search(cdata: Any, queries: Stored, k: int, asked: Asked) -> Answers:
    held: list[Any] = []
    options = _options("hither_index_search_options", asked, held)
    labels, distances, *out = _room(queries, k)
    _on_index(cdata, lib.hither_index_search, _matrix(queries, held), k, options, *out)
    return labels, distances


def index_within(cdata: Any, queries: Stored, radius: float, asked: Asked) -> tuple[list[Answers], str]:
    """Labels and distances of each query, and the plan as JSON."""
    held: list[Any] = []
    out = ffi.new("hither_result **")
    options = _options("hither_index_search_options", asked, held)
    _on_index(cdata, lib.hither_index_within, _matrix(queries, held), radius, options, out)
    found, plan = _found(ffi.gc(out[0], lib.hither_result_free))
    return found[: len(queries.rows)], plan


def index_explain(cdata: Any, queries: Stored, k: int, asked: Asked) -> str:
    """The plan of a search, as JSON."""
    held: list[Any] = []
    out = ffi.new("hither_result **")
    options = _options("hither_index_search_options", asked, held)
    _on_index(cdata, lib.hither_index_explain, _matrix(queries, held), k, options, out)
    return _found(ffi.gc(out[0], lib.hither_result_free))[1]


def index_save(cdata: Any, path: bytes) -> None:
    _on_index(cdata, lib.hither_index_save, _c_string(path, "path"))


def index_verify(cdata: Any) -> None:
    _on_index(cdata, lib.hither_index_verify)


def _facts(cdata: Any, function: Callable[..., int]) -> str:
    out = ffi.new("hither_result **")
    _on_index(cdata, function, out)
    found = _records(ffi.gc(out[0], lib.hither_result_free), 0)
    return (found.metadata.get(0) if found.metadata else None) or "{}"


def index_info(cdata: Any) -> str:
    """Facts about an index, as JSON."""
    return _facts(cdata, lib.hither_index_info)
