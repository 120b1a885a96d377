"""Collections as Arrow tables and Parquet files, and back, by pyarrow, which is imported when it is needed.

A row is four columns: ``id`` (int64 or string), ``vector`` (a fixed-size list of float32), ``metadata`` (the JSON text
as it is stored, null where there is none) and ``document`` (string, null where there is none). Each vector field is a
column more, ``fields.NAME``: of lists of float32, of lists of such lists (multi), or of lists of structs of ``index``
and ``value`` (sparse); null where a row has nothing. What the collection is (metric, embedder, lifetime, schema,
fields) stands in the metadata of the table's schema, under ``hither``. So a round trip is equal, to the byte.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._named import Named
from .arrays import Strings
from .errors import DimensionError, InterruptedError, InvalidError, UnsupportedError
from .fields import Field
from .hits import Hits
from .progress import told

BATCH = 4096
KEY = b"hither"
PREFIX = "fields."  # of the columns of vector fields


def pyarrow() -> Any:
    """The package, or an error that says how to get it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UnsupportedError("Arrow and Parquet need pyarrow: pip install pyarrow") from error
    return pyarrow


# ---- out


def schema(info: Mapping[str, Any]) -> Any:
    """The schema of a collection's rows; `info` as `Collection.info` has it."""
    pa = pyarrow()
    facts = ("name", "dim", "metric", "dtype", "embedder", "ttl", "schema", "fields")
    kept = {name: info[name] for name in facts if info.get(name)}
    fields = [pa.field(PREFIX + field["name"], _field_type(pa, field)) for field in info.get("fields", [])]
    return pa.schema(
        [
            pa.field("id", pa.int64() if info.get("id_kind") == "int" else pa.large_string(), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), info["dim"]), nullable=False),
            pa.field("metadata", pa.large_string()),
            pa.field("document", pa.large_string()),
            *fields,
        ],
        metadata={KEY: json.dumps({"format": 1, **kept}, ensure_ascii=False)},
    )


def _field_type(pa: Any, field: Mapping[str, Any]) -> Any:
    if field["kind"] == "sparse":
        return pa.large_list(pa.struct([("index", pa.uint32()), ("value", pa.float32())]))
    vector = pa.list_(pa.float32(), field["dim"])
    return pa.large_list(vector) if field["kind"] == "multi" else vector


def _field_array(pa: Any, named: Named, kind: Any) -> Any:
    """What rows have in a vector field, as an array of this type."""
    valid = None if named.valid is None else pa.py_buffer(named.valid)
    numbers = None if named.vectors is None else pa.array(np.ascontiguousarray(named.vectors).reshape(-1))
    if named.offsets is None:
        return pa.Array.from_buffers(kind, named.count, [valid], children=[numbers])
    if numbers is None:
        entries = pa.StructArray.from_arrays(
            [pa.array(named.indices), pa.array(named.values)], fields=list(kind.value_type)
        )
    else:
        entries = pa.FixedSizeListArray.from_arrays(numbers, kind.value_type.list_size)
    offsets = pa.py_buffer(named.offsets.astype(np.int64))
    return pa.Array.from_buffers(kind, named.count, [valid, offsets], children=[entries])


def _text_array(pa: Any, column: Strings | None, count: int) -> Any:
    """A column of strings, as the library gave it, without decoding it."""
    if column is None:
        return pa.nulls(count, pa.large_string())
    offsets = np.asarray(column.offsets, np.int64)
    valid = None if column.valid is None else pa.py_buffer(column.valid)
    return pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(column.data), valid)


def record_batch(hits: Hits, wanted: Any) -> Any:
    """Rows of a scan with all they have, as a record batch of this schema."""
    pa = pyarrow()
    count = len(hits)
    vectors = np.ascontiguousarray(hits.vectors, np.float32).reshape(-1)
    columns = [
        pa.array(hits.ids, wanted.field("id").type),
        pa.FixedSizeListArray.from_arrays(pa.array(vectors), wanted.field("vector").type.list_size),
        _text_array(pa, hits._metadata, count),
        _text_array(pa, hits._documents, count),
    ]
    for name, column in hits._fields.items():
        columns.append(_field_array(pa, column.named, wanted.field(PREFIX + name).type))
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


def hits_table(hits: Hits) -> Any:
    """An answer as a table, with a column for each part it has."""
    pa = pyarrow()
    count = len(hits)
    ids = pa.array(hits.ids, pa.large_string() if hits.ids and isinstance(hits.ids[0], str) else pa.int64())
    columns: dict[str, Any] = {"id": ids}
    for name, numbers in (("distance", hits.distances), ("score", hits.scores)):
        if numbers is not None:
            columns[name] = pa.array(numbers)
    for name, texts in (("metadata", hits._metadata), ("document", hits._documents)):
        if texts is not None:
            columns[name] = _text_array(pa, texts, count)
    if hits.vectors is not None and hits.vectors.shape[1]:
        numbers = pa.array(np.ascontiguousarray(hits.vectors, np.float32).reshape(-1))
        columns["vector"] = pa.FixedSizeListArray.from_arrays(numbers, hits.vectors.shape[1])
    return pa.table(columns)


def write_parquet(path: str | os.PathLike[str], wanted: Any, batches: Iterable[Any], progress: Any, total: int) -> int:
    """Writes a whole new file that takes the place of `path` only when it is complete. Returns the rows."""
    parquet = pyarrow().parquet
    target = os.path.realpath(os.fsdecode(path))
    partial = f"{target}.partial-{os.urandom(4).hex()}"
    rows = 0
    progress = told(progress, "writing")
    try:
        with open(partial, "xb") as file:
            with parquet.ParquetWriter(file, wanted, compression="zstd") as writer:
                for batch in batches:
                    writer.write_batch(batch)
                    rows += batch.num_rows
                    step(progress, rows, total)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise
    return rows


def step(progress: Any, done: int, total: int) -> None:
    """Tells of progress; raises where it wants to stop."""
    if progress is not None and progress(done, max(total, done)) is False:
        raise InterruptedError("stopped on request; batches that were written by then stay")


# ---- in


@dataclass(frozen=True, slots=True)
class Source:
    """Something with rows, in batches."""

    schema: Any
    batches: Iterator[Any]
    total: int  # 0: not known


def open_table(data: Any) -> Source:
    """A table, a record batch or a reader of pyarrow, or what can become one: of polars, pandas, DuckDB, ..."""
    pa = pyarrow()
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.RecordBatchReader):
        return Source(data.schema, iter(data), 0)
    if not isinstance(data, pa.Table):
        if hasattr(data, "columns") and hasattr(data, "iloc"):  # pandas, whose index is no column
            data = pa.Table.from_pandas(data, preserve_index=False)
        elif hasattr(data, "__arrow_c_stream__"):
            data = pa.table(data)
        else:
            raise InvalidError(f"a {type(data).__name__} is no table; give one of pyarrow, pandas or polars")
    return Source(data.schema, iter(data.to_batches(BATCH)), data.num_rows)


def open_parquet(path: str | os.PathLike[str]) -> Source:
    """The rows of a Parquet file, row group by row group."""
    pa = pyarrow()
    try:
        file = pa.parquet.ParquetFile(os.fspath(path))
    except pa.ArrowInvalid as error:
        raise InvalidError(f"{os.fspath(path)!r} is no Parquet file: {error}") from error
    return Source(file.schema_arrow, file.iter_batches(BATCH), file.metadata.num_rows)


def described(source: Source) -> dict[str, Any]:
    """What the schema says of the collection it came from; empty where it came from elsewhere."""
    text = (source.schema.metadata or {}).get(KEY)
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("format") != 1:
        raise InvalidError("the table's schema has a 'hither' entry of another format than 1: a newer hither wrote it")
    return found


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what; None: there is none."""

    id: str
    vector: str | None
    metadata: str | None
    document: str | None
    fields: tuple[str, ...]  # the others: they become fields of the metadata
    vectors: tuple[str, ...] = ()  # names of the vector fields that have a column


def choose(
    source: Source, id: str, vector: str | None, metadata: str | None, document: str | None, fields: Iterable[str]
) -> Columns:
    """The columns by their names; of the default names, and of those of vector `fields`, those that are there."""
    names = list(source.schema.names)
    given = {"vector": vector, "metadata": metadata, "document": document}
    found = {what: what if name is None and what in names else name for what, name in given.items()}
    for name in (id, *found.values()):
        if name is not None and names.count(name) != 1:
            raise InvalidError(
                f"the table has {'several columns' if name in names else 'no column'} {name!r}; it has {names}"
            )
    taken = {id, *found.values()}
    columns = {PREFIX + name: name for name in fields if PREFIX + name in names and PREFIX + name not in taken}
    others = tuple(name for name in names if name not in taken and name not in columns)
    return Columns(id, found["vector"], found["metadata"], found["document"], others, tuple(columns.values()))


def declared_fields(known: Mapping[str, Any]) -> dict[str, Field]:
    """The vector fields of the collection that a table came from; `known` as `described` has it."""
    fields = {}
    for field in known.get("fields", []):
        dense = field["kind"] == "dense"
        dim = 0 if field["kind"] == "sparse" else field["dim"]
        fields[field["name"]] = Field(dim, field["kind"], field["metric"], 0 if dense else field["most"])
    return fields


def vector_dim(source: Source, columns: Columns) -> int | None:
    """The dimensions that the schema says."""
    size = None if columns.vector is None else getattr(source.schema.field(columns.vector).type, "list_size", None)
    return size if isinstance(size, int) and size > 0 else None


def _plain(column: Any) -> Any:
    """Without a dictionary, an extension or views."""
    pa = pyarrow()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def ids_of(column: Any, first: int) -> NDArray[np.int64] | list[str]:
    """A column of ids; `first` is the number of its first row, for messages."""
    pa = pyarrow()
    column = _plain(column)
    if column.null_count:
        row = first + column.is_null().to_pylist().index(True)
        raise InvalidError(f"row {row} has no id")
    if pa.types.is_integer(column.type):
        try:
            found: NDArray[np.int64] = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid as error:
            raise InvalidError(f"rows from {first} on: an id is no 64-bit number: {error}") from error
        return found
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or "string" in str(column.type):
        texts: list[str] = column.to_pylist()
        return texts
    raise InvalidError(f"the ids are {column.type}; they may be integers or strings")


def vectors_of(column: Any, first: int) -> NDArray[Any] | None:
    """A column of vectors as a matrix; None where no row has one."""
    pa = pyarrow()
    column = _plain(column)
    if column.null_count == len(column) and len(column):
        return None
    if column.null_count:
        row = first + column.is_null().to_pylist().index(True)
        raise InvalidError(f"row {row} has no vector, others have: give all of a table or none")
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise InvalidError(f"the vectors are {kind}; they may be lists of numbers")
    values = column.flatten()
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type) or pa.types.is_null(values.type)):
        raise InvalidError(f"the vectors are {kind}; they may be lists of numbers")
    lengths = {kind.list_size} if pa.types.is_fixed_size_list(kind) else set(column.value_lengths().to_pylist())
    if len(lengths) > 1:
        sizes = column.value_lengths().to_pylist()
        row = next(row for row, size in enumerate(sizes) if size != sizes[0])
        raise DimensionError(f"row {first + row} has {sizes[row]} dimensions, row {first} has {sizes[0]}")
    if values.null_count:
        raise InvalidError(f"rows from {first} on: a vector has a missing number")
    numbers = values.to_numpy(zero_copy_only=False)
    if numbers.dtype not in (np.float32, np.float64):
        numbers = numbers.astype(np.float32 if numbers.dtype == np.float16 else np.float64)
    return np.ascontiguousarray(numbers).reshape(len(column), -1)


def _lengths(column: Any) -> NDArray[np.int64]:
    """How many items each row's list has; 0 where it is null."""
    pa = pyarrow()
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise InvalidError(f"they are {kind}; they may be lists")
    found: NDArray[np.int64] = pa.compute.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    return found.astype(np.int64)


def _entries(values: Any) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """The indices and values of sparse vectors, one after the other."""
    pa = pyarrow()
    kind = values.type
    if not pa.types.is_struct(kind) or {part.name for part in kind} != {"index", "value"}:
        raise InvalidError(f"a list is of {kind}; of a sparse field it is of structs of index and value")
    index, value = (values.field(name) for name in ("index", "value"))
    if values.null_count or index.null_count or value.null_count:
        raise InvalidError("an entry is missing")
    try:
        pair = index.cast(pa.uint32()), value.cast(pa.float32())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidError(f"an entry is no number, or its index is not below 2^32: {error}") from error
    return tuple(part.to_numpy(zero_copy_only=False) for part in pair)


def field_of(column: Any, field: Mapping[str, Any], first: int) -> Named:
    """A column of what rows have in a vector field, which is as `Collection.info` has it."""
    column = _plain(column)
    count, dim = len(column), field["dim"]
    there = column.is_valid().to_numpy(zero_copy_only=False)
    bits = None if there.all() else np.packbits(there, bitorder="little")
    name = field["name"]
    try:
        if field["kind"] == "dense":
            vectors = np.zeros((count, dim), np.float32)
            if there.any():
                given = vectors_of(column.filter(column.is_valid()), first)
                if given is None or given.shape[1] != dim:
                    raise DimensionError(f"they have {0 if given is None else given.shape[1]} dimensions, not {dim}")
                vectors[there] = given
            return Named(name, count, vectors, valid=bits)
        lengths = [0] if not count else _lengths(column)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.uint64)[: count + 1]
        items = column.flatten()
        if field["kind"] == "sparse":
            return Named(name, count, None, offsets, *_entries(items), valid=bits)
        given = vectors_of(items, first) if len(items) else np.zeros((0, dim), np.float32)
        if given is None or given.shape[1] != dim:
            raise DimensionError(f"they have {0 if given is None else given.shape[1]} dimensions, not {dim}")
        return Named(name, count, given.astype(np.float32), offsets, valid=bits)
    except (InvalidError, DimensionError) as error:
        raise type(error)(f"column {PREFIX + name!r}, rows from {first} on: {error}") from error


def texts_of(column: Any, what: str) -> list[str | None]:
    """A column of texts."""
    column = _plain(column)
    if "string" not in str(column.type) and str(column.type) != "null":
        raise InvalidError(f"the {what} is {column.type}; it may be strings")
    found: list[str | None] = column.to_pylist()
    return found


def _json(value: object) -> object:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    raise InvalidError(f"a {type(value).__name__} cannot be part of metadata, which is JSON")


def _known(value: object) -> bool:
    """Whether a field says something: null and NaN are how tables spell "nothing here"."""
    return value is not None and not (isinstance(value, float) and value != value)


def metadata_of(batch: Any, columns: Columns, first: int) -> list[str | None] | None:
    """The metadata of each row as JSON: as it is where it is text, and with the fields of the other columns."""
    pa = pyarrow()
    given: list[Any] = [None] * batch.num_rows
    if columns.metadata is not None:
        column = _plain(batch.column(columns.metadata))
        if pa.types.is_struct(column.type) or pa.types.is_map(column.type):
            given = [None if row is None else dict(row) for row in column.to_pylist(maps_as_pydicts="strict")]
            given = [row and {name: value for name, value in row.items() if _known(value)} for row in given]
        else:
            given = texts_of(column, "metadata")
    elif not columns.fields:
        return None
    others = {name: batch.column(name).to_pylist() for name in columns.fields}
    found: list[str | None] = []
    for row, base in enumerate(given):
        fields = {name: values[row] for name, values in others.items() if _known(values[row])}
        if fields and isinstance(base, str):
            try:
                base = json.loads(base)
            except ValueError as error:
                raise InvalidError(f"row {first + row}: the metadata is no JSON: {error}") from error
        whole = base if not fields else {**(base or {}), **fields}
        try:
            found.append(whole if whole is None or isinstance(whole, str) else json.dumps(whole, default=_json))
        except InvalidError as error:
            raise InvalidError(f"row {first + row}: {error}") from error
    return found
