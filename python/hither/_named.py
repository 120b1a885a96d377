"""Vector fields as the library has them: hither_field and hither_named, in and out. For _core.py and _search.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._ffi import ffi, lib
from .arrays import FloatMatrix

FIELD: int = lib.HITHER_INCLUDE_FIELD
MAX_FIELDS: int = lib.HITHER_MAX_FIELDS


class FieldSpec(NamedTuple):
    """hither_field."""

    name: bytes
    kind: int
    dim: int
    metric: int
    most: int


class Named:
    """hither_named: what `count` rows, or queries, have in a vector field."""

    __slots__ = ("count", "field", "indices", "offsets", "valid", "values", "vectors")

    def __init__(
        self,
        field: str,
        count: int,
        vectors: FloatMatrix | None = None,
        offsets: NDArray[np.uint64] | None = None,
        indices: NDArray[np.uint32] | None = None,
        values: NDArray[np.float32] | None = None,
        valid: NDArray[np.uint8] | None = None,
    ) -> None:
        self.field = field
        self.count = count
        self.vectors = vectors
        self.offsets = offsets
        self.indices = indices
        self.values = values
        self.valid = valid


def set_specs(fields: Sequence[FieldSpec], held: list[Any]) -> Any:
    """An array of hither_field; NULL for none."""
    if not fields:
        return ffi.NULL
    specs = ffi.new("hither_field[]", len(fields))
    held.append(specs)
    for target, field in zip(specs, fields, strict=True):
        held.append(ffi.new("char[]", field.name))
        target.name = held[-1]
        target.kind = field.kind
        target.dim = field.dim
        target.metric = field.metric
        target.most = field.most
    return specs


def set_named(columns: Sequence[Named], held: list[Any], set_matrix: Callable[..., None]) -> Any:
    """An array of hither_named; NULL for none."""
    if not columns:
        return ffi.NULL
    array = ffi.new("hither_named[]", len(columns))
    held.append(array)
    for target, column in zip(array, columns, strict=True):
        held.append(ffi.new("char[]", column.field.encode()))
        target.field = held[-1]
        target.count = column.count
        if column.vectors is not None:
            set_matrix(target.vectors, column.vectors, held)
        for name, kind in (("offsets", "uint64_t[]"), ("indices", "uint32_t[]"), ("values", "float[]")):
            if getattr(column, name) is not None:
                held.append(ffi.from_buffer(kind, getattr(column, name)))
                setattr(target, name, held[-1])
        if column.valid is not None:
            held.append(ffi.from_buffer("uint8_t[]", column.valid))
            target.valid = held[-1]
    return array


def _copied(pointer: Any, count: int, dtype: Any) -> Any:
    return np.frombuffer(bytearray(ffi.buffer(pointer, count * np.dtype(dtype).itemsize)), dtype)


def named(result: Any, group: int, field: int) -> Named | None:
    """What the records of a group have in a vector field, copied; None where it was not asked for."""
    column = lib.hither_result_named(result, group, field)
    if column.field == ffi.NULL:
        return None
    name = ffi.string(column.field).decode()
    count = column.count
    valid = _copied(column.valid, (count + 7) // 8, np.uint8)
    if column.offsets == ffi.NULL:
        vectors = _copied(column.vectors.data, count * column.vectors.dim, np.float32)
        return Named(name, count, vectors.reshape(count, column.vectors.dim), valid=valid)
    offsets = _copied(column.offsets, count + 1, np.uint64)
    begin, end = int(offsets[0]), int(offsets[-1])
    offsets -= np.uint64(begin)
    if column.indices != ffi.NULL:
        indices = _copied(column.indices + begin, end - begin, np.uint32)
        values = _copied(column.values + begin, end - begin, np.float32)
        return Named(name, count, None, offsets, indices, values, valid)
    dim = column.vectors.dim
    if not dim:  # a sparse field in which no record has anything
        return Named(name, count, None, offsets, np.zeros(0, np.uint32), np.zeros(0, np.float32), valid)
    rows = ffi.cast("float *", column.vectors.data) + begin * dim if end > begin else ffi.NULL
    vectors = _copied(rows, (end - begin) * dim, np.float32) if end > begin else np.zeros(0, np.float32)
    return Named(name, count, vectors.reshape(end - begin, dim), offsets, valid=valid)


def fields_in(include: int) -> tuple[int, ...]:
    """The numbers of the vector fields that flags ask for."""
    return tuple(field for field in range(1, MAX_FIELDS + 1) if include & FIELD << field - 1)
