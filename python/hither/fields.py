"""Vector fields beside rows' own vectors: how they are declared, and what rows have in them, on the way in and out."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._named import FIELD, FieldSpec, Named
from .arrays import FloatMatrix, array, matrix
from .errors import DimensionError, InvalidError

KINDS = ("dense", "multi", "sparse")

# A sparse vector: its entries as a dict from index to value, or as indices and values.
Sparse = Mapping[int, float] | tuple[ArrayLike, ArrayLike]


@dataclass(frozen=True)
class Field:
    """A vector field that rows of a collection may have beside their own vectors.

    Parameters
    ----------
    dim : int
        Dimensions of a vector; 0 for "sparse".
    kind : {"dense", "multi", "sparse"}
        A vector a row; several vectors a row, searched by MaxSim; or entries, zero elsewhere, searched by dot product.
    metric : {"cosine", "dot", "l2", "l1"}, optional
        Of a dense field, "cosine" unless it is said; the others are "dot".
    most : int
        Vectors (multi; default 64) or entries (sparse; default 256) that a row may have. Every row takes the space of
        so many.

    Examples
    --------
    >>> import hither
    >>> with hither.connect(":memory:") as db:
    ...     c = db.collection("papers", dim=2, fields={"title": 2, "words": hither.Field(kind="sparse")})
    ...     _ = c.add([1, 2], [[0, 1], [1, 0]], fields={"title": [[1, 0], None], "words": [{7: 0.5}, {7: 2, 9: 1}]})
    ...     c.search([1, 0], field="title").ids, c[2].fields["words"]
    ([1], {7: 2.0, 9: 1.0})
    """

    dim: int = 0
    kind: str = "dense"
    metric: str | None = None
    most: int = 0


Fields = Mapping[str, Field | int]
# What rows have in fields, by the field's name, one entry a row; None where a row has nothing.
Values = Mapping[str, Any]


def declared(fields: Fields | None) -> list[FieldSpec]:
    """The fields as the library takes them."""
    found: list[FieldSpec] = []
    for name, given in (fields or {}).items():
        field = given if isinstance(given, Field) else Field(operator.index(given))
        if field.kind not in KINDS:
            raise InvalidError(f"field {name!r}: kind is {field.kind!r}; there are {', '.join(map(repr, KINDS))}")
        if field.metric is not None and field.metric not in _core.METRICS:
            raise InvalidError(
                f"field {name!r}: metric {field.metric!r} is unknown; there are {', '.join(_core.METRICS)}"
            )
        if not 0 <= field.dim <= _core.UINT32_MAX or not 0 <= field.most <= _core.UINT32_MAX:
            raise InvalidError(f"field {name!r}: dim is {field.dim} and most {field.most}")
        metric = 0 if field.metric is None else _core.METRICS[field.metric]
        kind = KINDS.index(field.kind) + 1
        found.append(FieldSpec(_core._c_string(name, "field"), kind, field.dim, metric, field.most))
    return found


def _bits(there: Sequence[bool]) -> NDArray[np.uint8] | None:
    return None if all(there) else np.packbits(np.array(there, np.bool_), bitorder="little")


def _offsets(lengths: Iterable[int]) -> NDArray[np.uint64]:
    return np.concatenate([[0], np.cumsum(list(lengths), dtype=np.uint64)]).astype(np.uint64)


def _dense(name: str, rows: Any, dim: int) -> Named:
    """An array, or a sequence of vectors of which some may be None."""
    if not isinstance(rows, np.ndarray):
        rows = list(rows)
        there = [row is not None for row in rows]
        if not all(there):
            blank = np.zeros(dim, np.float32)
            rows = np.stack([blank if row is None else array(row, f"field {name!r}") for row in rows])
            return Named(name, len(rows), matrix(rows, f"field {name!r}"), valid=_bits(there))
    vectors = matrix(cast("ArrayLike", rows), f"field {name!r}")
    return Named(name, len(vectors), vectors)


def _multi(name: str, rows: Any, dim: int) -> Named:
    """A sequence of arrays, shape (m, dim), of which some may be None."""
    given = list(rows)
    parts = []
    for row in given:
        part = np.zeros((0, dim), np.float32) if row is None or len(row) == 0 else array(row, f"field {name!r}")
        if part.ndim != 2:
            raise DimensionError(f"field {name!r}: a row has shape {part.shape}; it has several vectors, (m, {dim})")
        parts.append(part)
    vectors: FloatMatrix = matrix(np.concatenate(parts), f"field {name!r}") if parts else np.zeros((0, dim), np.float32)
    there = _bits([row is not None for row in given])
    return Named(name, len(given), vectors, offsets=_offsets(map(len, parts)), valid=there)


def _entries(name: str, row: Any) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    pairs = (list(row.keys()), list(row.values())) if isinstance(row, Mapping) else row
    try:
        where, values = (np.asarray(part) for part in pairs)
    except (TypeError, ValueError):
        raise InvalidError(
            f"field {name!r}: a sparse vector is a dict from index to value, or (indices, values)"
        ) from None
    if where.shape != values.shape or where.ndim != 1:
        raise InvalidError(f"field {name!r}: {where.shape} indices for {values.shape} values")
    if len(where) and (where.dtype.kind not in "iu" or where.min() < 0 or where.max() > _core.UINT32_MAX):
        raise InvalidError(f"field {name!r}: indices are whole numbers from 0 to {_core.UINT32_MAX}")
    return where.astype(np.uint32), values.astype(np.float32)


def _sparse(name: str, rows: Any) -> Named:
    given = list(rows)
    none = (np.zeros(0, np.uint32), np.zeros(0, np.float32))
    parts = [none if row is None else _entries(name, row) for row in given]
    return Named(
        name,
        len(given),
        offsets=_offsets(len(part[0]) for part in parts),
        indices=np.concatenate([part[0] for part in parts]) if parts else none[0],
        values=np.concatenate([part[1] for part in parts]) if parts else none[1],
        valid=_bits([row is not None for row in given]),
    )


class Shape:
    """The fields of a collection, by name."""

    __slots__ = ("fields",)

    def __init__(self, info: Mapping[str, Any]) -> None:
        self.fields: list[dict[str, Any]] = info.get("fields", [])

    def find(self, name: object) -> dict[str, Any]:
        for field in self.fields:
            if field["name"] == name:
                return field
        has = ", ".join(repr(field["name"]) for field in self.fields) or "none"
        raise InvalidError(f"there is no vector field {name!r}; the collection has {has}")

    def flags(self, name: str) -> int:
        """What `include` takes besides parts of a record: the name of a field, or "fields"."""
        if name == "fields":
            return _core.INCLUDE_FIELDS
        for number, field in enumerate(self.fields):
            if field["name"] == name:
                return FIELD << number
        return 0

    def blocks(self, name: str | None) -> bool:
        """Whether queries of the field are several vectors, or entries."""
        return name is not None and self.find(name)["kind"] != "dense"

    def columns(self, values: Values | None) -> list[Named]:
        """What rows are to have in fields."""
        return [self.column(name, rows) for name, rows in (values or {}).items()]

    def column(self, name: str, rows: Any) -> Named:
        field = self.find(name)
        if isinstance(rows, Named):
            return rows
        if isinstance(rows, (str, bytes)):
            raise InvalidError(f"field {name!r} takes vectors, not a text")
        if field["kind"] == "dense":
            return _dense(name, rows, field["dim"])
        return _multi(name, rows, field["dim"]) if field["kind"] == "multi" else _sparse(name, rows)


class Column:
    """What the records of an answer have in a field."""

    __slots__ = ("named",)

    def __init__(self, named: Named) -> None:
        self.named = named

    def get(self, row: int) -> Any:
        """The row's vector, vectors or entries; None where it has none."""
        named = self.named
        if named.valid is not None and not named.valid[row // 8] >> row % 8 & 1:
            return None
        if named.offsets is None:
            return None if named.vectors is None else named.vectors[row]
        begin, end = int(named.offsets[row]), int(named.offsets[row + 1])
        if named.indices is None or named.values is None:
            return None if named.vectors is None else named.vectors[begin:end]
        return dict(zip(named.indices[begin:end].tolist(), named.values[begin:end].tolist(), strict=True))

    def all(self) -> list[Any]:
        return [self.get(row) for row in range(self.named.count)]
