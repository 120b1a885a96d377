"""The calls of the library that search and list a collection. What _core.py says of calls holds here too."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._core import (
    INCLUDES,
    Handle,
    Records,
    _made,
    _on,
    _raise,
    _records,
    _result,
    _set_ids,
    _set_matrix,
    _set_strings,
    _where,
)
from ._ffi import ffi, lib
from ._named import Named, fields_in, set_named
from .arrays import FloatMatrix, Strings, Texts

FUSIONS: dict[str, int] = {"rrf": lib.HITHER_RRF, "weighted": lib.HITHER_WEIGHTED}
STRATEGIES: dict[str, int] = {"average": lib.HITHER_AVERAGE, "best": lib.HITHER_BEST}

_QUERY_SIZE = ffi.sizeof("hither_query")
_SEARCH_OPTIONS_SIZE = ffi.sizeof("hither_search_options")
_EXAMPLES_SIZE = ffi.sizeof("hither_examples")
_PAGE_OPTIONS_SIZE = ffi.sizeof("hither_page_options")


class Options(NamedTuple):
    """What a search takes besides its query and k."""

    include: int
    where: bytes | None = None
    threads: int = 0
    max_distance: float | None = None
    group_by: bytes | None = None
    group_size: int = 0
    diversity: float = 0.0
    candidates: int = 0
    fusion: int = 0
    vector_weight: float = 0.0
    recall: float = 0.0
    ef: int = 0
    nprobe: int = 0
    field: bytes | None = None


def _search_options(given: Options, held: list[Any]) -> Any:
    options = ffi.new("hither_search_options *")
    options.size = _SEARCH_OPTIONS_SIZE
    options.include = given.include
    options.threads = given.threads
    if given.where is not None:
        held.append(_where(given.where))
        options.where = held[-1]
    if given.max_distance is not None:
        held.append(ffi.new("float *", given.max_distance))
        options.max_distance = held[-1]
    if given.group_by is not None:
        held.append(ffi.new("char[]", given.group_by))
        options.group_by = held[-1]
    options.group_size = given.group_size
    options.diversity = given.diversity
    options.candidates = given.candidates
    options.fusion = given.fusion
    options.vector_weight = given.vector_weight
    options.recall = given.recall
    options.ef = given.ef
    options.nprobe = given.nprobe
    return options


def _groups(result: Any, include: int = 0) -> tuple[list[Records], str]:
    plan = ffi.string(lib.hither_result_plan(result)).decode()
    fields = fields_in(include)
    return [_records(result, group, fields) for group in range(lib.hither_result_groups(result))], plan


def _query(vectors: FloatMatrix | None, texts: Texts | None, held: list[Any]) -> Any:
    query = ffi.new("hither_query *")
    query.size = _QUERY_SIZE
    if vectors is not None:
        _set_matrix(query.vectors, vectors, held)
    if texts is not None:
        _set_strings(query.texts, texts, held)
    return query


def collection_search_on(c: Handle, given: Options, vectors: FloatMatrix | None, texts: Texts | None) -> Handle:
    held: list[Any] = []
    query = _query(vectors, texts, held)
    out = ffi.new("hither_cursor **")
    _on(c, lib.hither_collection_search_on, query, _search_options(given, held), out)
    return _made(out, lib.hither_cursor_close, "search")


def collection_search(
    c: Handle,
    k: int | None,
    given: Options,
    *,
    vectors: FloatMatrix | None = None,
    texts: Texts | None = None,
    ids: NDArray[np.int64] | Texts | None = None,
    keywords: Texts | None = None,
    named: Named | None = None,
    radius: float = 0.0,
) -> tuple[list[Records], str]:
    """One group of records a query, and the plan. k None: all within the radius."""
    held: list[Any] = []
    query = _query(vectors, texts, held)
    if ids is not None:
        _set_ids(query.ids, ids, held)
    if keywords is not None:
        _set_strings(query.keywords, keywords, held)
    if given.field is not None and (vectors is not None or texts is not None or ids is not None):
        held.append(ffi.new("char[]", given.field))
        query.field = held[-1]
    if named is not None:
        query.named = set_named([named], held, _set_matrix)
    options = _search_options(given, held)
    if k is None:
        return _groups(_result(c, lib.hither_collection_within, query, radius, options), given.include)
    return _groups(_result(c, lib.hither_collection_search, query, k, options), given.include)


def search_plain(
    run: Callable[..., int], c: Handle, lent: list[Any], query: NDArray[np.float32], k: int, *more: Any
) -> bytearray:
    """One packed, aligned float32 vector over rows of a collection (`plain_run`, with a filter, or `NO_FILTER`) or
    records of a window (`plain_window`): the answer in one block, see `opened`. Here every microsecond counts. `lent`
    are the structs of such calls, each made once and lent to one at a time."""
    try:
        call = lent.pop()
    except IndexError:
        call = _plain_call()
    try:
        cdata = c.enter()
        try:
            found = run(call, cdata, _from_buffer(query), len(query), k, *more)
        finally:
            c.leave()
        if found < 0:
            _raise(-found, call.error)
        block = bytearray(_buffer(call.block, found))
        if found > _LARGE:
            lib.plain_trim(call)
    finally:
        lent.append(call)
    return block


def _plain_call() -> Any:
    call = lib.plain_new(INCLUDES["metadata"] | INCLUDES["document"])
    if call == ffi.NULL:
        raise MemoryError
    return ffi.gc(call, lib.plain_free)


plain_run: Callable[..., int] = lib.plain_run
plain_window: Callable[..., int] = lib.plain_window
_from_buffer = ffi.from_buffer
_buffer = ffi.buffer
NO_FILTER = ffi.NULL
_LARGE = 1 << 20
_HEAD = struct.Struct("=8q")


def opened(block: bytearray) -> tuple[Records, bytes]:
    """The records and the plan of such a block; plain.c says how it is laid out."""
    count, integers, ids_at, distances_at, metadata_at, documents_at, plan_at, plan_bytes = _HEAD.unpack_from(block)
    ids: Strings | list[int]
    if integers:
        ids = np.frombuffer(block, np.int64, count, ids_at).tolist()
    else:
        ids = _column(block, ids_at, count) or []
    distances = np.frombuffer(block, np.float32, count, distances_at) if distances_at and count else None
    metadata = _column(block, metadata_at, count)
    documents = _column(block, documents_at, count)
    plan = bytes(block[plan_at : plan_at + plan_bytes])
    return Records(count, ids, distances, None, metadata, documents), plan


def _column(block: bytearray, at: int, count: int) -> Strings | None:
    if not at:
        return None
    has_valid, *offsets = struct.unpack_from(f"={count + 2}q", block, at)
    at += 8 * (count + 2)
    valid = None
    if has_valid:
        valid = bytes(block[at : at + (count + 7) // 8])
        at += (count + 63) // 64 * 8
    return Strings(bytes(block[at : at + offsets[-1]]), offsets, valid)


def collection_recommend(
    c: Handle,
    positive: NDArray[np.int64] | Texts | None,
    negative: NDArray[np.int64] | Texts | None,
    strategy: int,
    k: int,
    given: Options,
) -> tuple[list[Records], str]:
    held: list[Any] = []
    examples = ffi.new("hither_examples *")
    examples.size = _EXAMPLES_SIZE
    examples.strategy = strategy
    if positive is not None:
        _set_ids(examples.positive, positive, held)
    if negative is not None:
        _set_ids(examples.negative, negative, held)
    if given.field is not None:
        held.append(ffi.new("char[]", given.field))
        examples.field = held[-1]
    options = _search_options(given, held)
    return _groups(_result(c, lib.hither_collection_recommend, examples, k, options), given.include)


def collection_page(
    c: Handle,
    include: int,
    where: bytes | None,
    order_by: bytes | None,
    descending: bool,
    limit: int,
    offset: int,
    after: bytes | None,
) -> tuple[Records, str, str]:
    """The page, its plan, and the token of the next one ("": there is none)."""
    held: list[Any] = []
    options = ffi.new("hither_page_options *")
    options.size = _PAGE_OPTIONS_SIZE
    options.include = include
    options.descending = descending
    options.limit = limit
    options.offset = offset
    for name, text in (("where", where), ("order_by", order_by), ("after", after)):
        if text is not None:
            held.append(ffi.new("char[]", text))
            setattr(options, name, held[-1])
    result = _result(c, lib.hither_collection_page, options)
    plan, token = (ffi.string(text(result)).decode() for text in (lib.hither_result_plan, lib.hither_result_next))
    return _records(result, 0, fields_in(include)), plan, token


def collection_facets(c: Handle, field: bytes, where: bytes | None, limit: int) -> tuple[Records, str]:
    groups, plan = _groups(_result(c, lib.hither_collection_facets, field, _where(where), limit))
    return groups[0], plan
