"""What people pass (numpy arrays, lists, ids, texts, dicts) as the columns the library reads, and back.

Nothing here calls the library. Arrays of float32 and float64 whose rows are contiguous pass as they are, whatever
their row stride; everything else is copied once into such an array.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, repeat
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import DimensionError, InvalidError
from .tensors import from_elsewhere, items_of

Id: TypeAlias = int | str
Ids: TypeAlias = Id | Sequence[Id] | NDArray[Any] | Iterable[Id]
Text: TypeAlias = str | bytes
Metadata: TypeAlias = Mapping[str, Any] | str
Where: TypeAlias = Mapping[str, Any] | str
FloatMatrix: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

PACKED_AND_ALIGNED = 0x101  # of ndarray.flags.num
F32 = np.dtype(np.float32)


# Plain classes, here and in _core.py and _named.py: `import hither` would take a third longer for their dataclasses.


class Texts:
    """A column of strings as the library reads it: one buffer, ``count + 1`` offsets, and which of them are there."""

    __slots__ = ("data", "offsets", "valid")

    def __init__(self, data: bytes, offsets: NDArray[np.uint64], valid: NDArray[np.uint8] | None) -> None:
        self.data = data
        self.offsets = offsets
        self.valid = valid

    @property
    def count(self) -> int:
        return len(self.offsets) - 1


class Strings:
    """A column of strings as the library gave it, decoded one by one when somebody looks."""

    __slots__ = ("data", "offsets", "valid")

    def __init__(self, data: bytes, offsets: Sequence[int], valid: bytes | None) -> None:
        self.data = data
        self.offsets = offsets
        self.valid = valid

    def get(self, row: int) -> str | None:
        if self.valid is not None and not self.valid[row >> 3] >> (row & 7) & 1:
            return None
        return self.data[self.offsets[row] : self.offsets[row + 1]].decode("utf-8", "replace")

    def all(self) -> list[str | None]:
        """Every string, in about the time of one decoding where they are ASCII."""
        if self.valid is not None or not self.data.isascii():
            return [self.get(row) for row in range(len(self.offsets) - 1)]
        text = self.data.decode("ascii")
        return [text[begin:end] for begin, end in pairwise(self.offsets)]


def texts(items: Iterable[Text | None], what: str = "text") -> Texts:
    """A column of texts. `None` is a missing one; bytes are taken to be UTF-8 and checked by the library."""
    items = items if isinstance(items, (list, tuple)) else list(cast("Iterable[Text | None]", items_of(items)))
    missing: list[int] = []
    try:
        encoded = list(map(str.encode, cast("list[str]", items)))
    except (TypeError, UnicodeEncodeError):
        encoded = []
        for row, item in enumerate(items):
            if isinstance(item, str):
                # A lone surrogate has no UTF-8: pass what the library will refuse by row and byte.
                encoded.append(item.encode("utf-8", "surrogatepass"))
            elif isinstance(item, (bytes, bytearray, memoryview)):
                encoded.append(bytes(item))
            elif item is None:
                encoded.append(b"")
                missing.append(row)
            else:
                raise InvalidError(f"{what} {row} is a {type(item).__name__}, not a string") from None
    offsets = np.zeros(len(encoded) + 1, np.uint64)
    np.cumsum(np.fromiter(map(len, encoded), np.uint64, len(encoded)), out=offsets[1:])
    valid = None
    if missing:
        there = np.ones(len(encoded), bool)
        there[missing] = False
        valid = np.packbits(there, bitorder="little")
    return Texts(b"".join(encoded), offsets, valid)


def text_column(items: Text | Iterable[Text | None] | None, count: int, what: str) -> Texts | None:
    """The documents of `count` rows, or None where none are given."""
    if items is None:
        return None
    column = texts([items] if isinstance(items, (str, bytes)) else items, what)
    return _same_length(column, count, what)


def metadata_column(items: Metadata | Iterable[Metadata | None] | None, count: int) -> Texts | None:
    """The metadata of `count` rows as JSON, or None where none are given. A string is taken as JSON already."""
    if items is None:
        return None
    if isinstance(items, (str, bytes, Mapping)):
        items = cast("list[Metadata | None]", [items])
    rows = items if isinstance(items, (list, tuple)) else list(cast("Iterable[Metadata | None]", items_of(items)))
    encoded: list[str | None] | None = _dicts_as_json(rows)
    if encoded is not None:
        return _same_length(texts(encoded, "metadata"), count, "metadata")
    encoded = []
    for row, item in enumerate(rows):
        if item is None or isinstance(item, str):
            encoded.append(item)
            continue
        if not isinstance(item, Mapping):
            raise InvalidError(
                f"metadata {row} is a {type(item).__name__}; give a dict, a JSON object as a string, or None"
            )
        try:
            encoded.append(json.dumps(dict(item), ensure_ascii=False, allow_nan=False, default=_plain))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidError(f"metadata {row} cannot be written as JSON: {error}") from None
    return _same_length(texts(encoded, "metadata"), count, "metadata")


# Python's own encoder of JSON, made once: json.dumps makes one a call. It does not note what it is inside of, so that
# threads may share it, and finds a circle by the RecursionError it ends in. Interpreters without it go the slow way.
_ENCODER_OF = getattr(json.encoder, "c_make_encoder", None)
_ENCODE = _ENCODER_OF and _ENCODER_OF(
    None, lambda value: _plain(value), json.encoder.encode_basestring, None, ": ", ", ", False, False, False
)


def _dicts_as_json(items: Sequence[object]) -> list[str | None] | None:
    """Many dicts at once, as json.dumps writes them; None where that fails or there are others."""
    if _ENCODE is None or set(map(type, items)) != {dict}:
        return None
    try:
        return list(map("".join, map(_ENCODE, items, repeat(0))))
    except (TypeError, ValueError, RecursionError):
        return None  # row by row, to say which it was


def where_text(where: Where | None, where_document: Where | None) -> bytes | None:
    """A filter, and one on documents, as the one JSON text the library reads; None where neither is given."""
    parts = [
        _filter_json(part, name)
        for part, name in ((where, "where"), (where_document, "where_document"))
        if part is not None
    ]
    if where_document is not None:
        parts[-1] = b'{"$document":' + parts[-1] + b"}"
    return b'{"$and":[' + b",".join(parts) + b"]}" if len(parts) > 1 else parts[0] if parts else None


def schema_text(schema: Mapping[str, Any] | str) -> bytes:
    """A schema as the JSON text the library reads."""
    return _filter_json(schema, "schema")


def _filter_json(part: Where, name: str) -> bytes:
    if not isinstance(part, (str, Mapping)):
        raise InvalidError(f"{name} is a {type(part).__name__}; give a dict, or a JSON object as a string")
    try:
        text = part if isinstance(part, str) else _as_json(part if type(part) is dict else dict(part))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidError(f"{name} cannot be written as JSON: {error}") from None
    encoded = text.encode("utf-8", "surrogatepass")
    if b"\0" in encoded:
        raise InvalidError(f"{name} has a NUL character, which JSON does not allow")
    return encoded


def _plain(value: object) -> object:
    """numpy's scalars and arrays as Python's."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is not JSON")


_as_json = json.JSONEncoder(allow_nan=False, default=_plain).encode


def _same_length(column: Texts, count: int, what: str) -> Texts:
    if column.count != count:
        raise InvalidError(f"{count} ids but {column.count} {what}: give one for each id (None where there is none)")
    return column


def ids(items: Ids) -> NDArray[np.int64] | Texts:
    """One id, or many, as a column of int64 or of strings. An id column is of one kind."""
    if isinstance(items, np.ndarray):
        if items.ndim > 1:
            raise InvalidError(f"ids have shape {items.shape}; give one dimension")
        if items.dtype.kind in "iu":
            if items.dtype.kind == "u" and items.size and int(items.max()) > np.iinfo(np.int64).max:
                raise InvalidError(f"id {int(items.argmax())} is {items.max()}, beyond 2**63 - 1")
            return np.ascontiguousarray(np.atleast_1d(items), np.int64)
        items = np.atleast_1d(items).tolist()
    items = cast("Ids", items_of(items))
    if isinstance(items, str) or not isinstance(items, Iterable):
        items = [items]
    values = items if isinstance(items, (list, tuple)) else list(items)
    if values and isinstance(values[0], str):
        for row, value in enumerate(values):
            if not isinstance(value, str):
                raise InvalidError(f"id {row} is a {type(value).__name__}, and id 0 a string: use one kind")
        return texts(cast("list[str]", values), "id")
    out = np.empty(len(values), np.int64)
    for row, value in enumerate(values):
        if isinstance(value, (bool, np.bool_)):
            raise InvalidError(f"id {row} is a {type(value).__name__}: ids are integers or strings")
        try:
            out[row] = operator.index(cast("int", value))
        except TypeError:
            raise InvalidError(f"id {row} is a {type(value).__name__}: ids are all integers or all strings") from None
        except OverflowError:
            raise InvalidError(f"id {row} is {value}, outside the 64-bit integers") from None
    return out


def count_of(column: NDArray[np.int64] | Texts) -> int:
    """How many ids a column holds."""
    return column.count if isinstance(column, Texts) else len(column)


def array(values: ArrayLike, what: str) -> NDArray[Any]:
    """Numbers of any shape as an array of float32 or float64. Lists and integers become float64, float16 float32."""
    if not isinstance(values, np.ndarray):
        values = from_elsewhere(values, what)
    kind = values.dtype
    if kind.kind == "f" and kind.itemsize in (4, 8):
        return values if kind.isnative and values.flags.aligned else values.astype(kind.newbyteorder("="))
    if kind.kind == "f" and kind.itemsize == 2:
        return values.astype(np.float32)
    if kind.kind in "fiub":
        return values.astype(np.float64)
    raise InvalidError(f"{what} are an array of {kind}; give numbers, best float32")


def matrix(values: ArrayLike, what: str = "vectors") -> FloatMatrix:
    """Rows of numbers: shape (n, dim), float32 or float64, each row contiguous. Copies only what cannot be read."""
    return _contiguous_rows(array(values, what), what)


def _contiguous_rows(rows: NDArray[Any], what: str) -> NDArray[Any]:
    if rows.ndim != 2:
        if rows.size == 0 and rows.ndim == 1:
            return np.empty((0, 0), np.float32)
        raise DimensionError(f"{what} have shape {rows.shape}; give two dimensions, one row a vector")
    row_bytes = rows.shape[1] * rows.itemsize
    readable = rows.strides[1] == rows.itemsize or rows.shape[1] <= 1
    if rows.shape[0] > 1 and (rows.strides[0] < row_bytes or rows.strides[0] % rows.itemsize):
        readable = False
    return rows if readable else np.ascontiguousarray(rows)


class Stored:
    """Rows of any type the library stores, each row contiguous: of `dtype`, and of `dim` numbers (bits of b1) each."""

    __slots__ = ("dim", "dtype", "rows")

    def __init__(self, rows: NDArray[Any], dtype: str, dim: int) -> None:
        self.rows = rows
        self.dtype = dtype
        self.dim = dim


_STORED_AS = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": np.uint16, "i8": np.int8, "b1": np.uint8}
_OWN = {np.dtype(_STORED_AS[name]): name for name in ("f32", "f64", "f16", "i8")}


def own_dtype(rows: NDArray[Any], dtype: str | None) -> str | None:
    """The library's name for what an array holds, if it can be read as it is. numpy has no bf16 and no bits: those are
    uint16 and packed uint8, and only where `dtype` says so."""
    if dtype in ("bf16", "b1") and rows.dtype == _STORED_AS[dtype]:
        return dtype
    return _OWN.get(rows.dtype) if rows.flags.aligned or rows.itemsize < 4 else None


def stored(values: ArrayLike, what: str, dtype: str | None, dim: int | None = None) -> tuple[Stored, bool]:
    """Rows for an index of `dtype` (None: of any that numpy has), and whether they came as one vector.

    What is of that dtype goes as it is; bools become bits for b1; all else becomes float32 or float64 rows.
    """
    if isinstance(values, np.ndarray):
        given = values
    else:  # a tensor of a type that is stored as it is stays what it is; lists of numbers become float64
        given = from_elsewhere(values, what)
        given = given if hasattr(values, "__dlpack__") else array(given, what)
    if dtype == "b1" and given.dtype == bool and given.ndim in (1, 2) and given.size:
        dim = given.shape[-1] if dim is None else dim
        if given.shape[-1] != dim:
            raise DimensionError(f"{what} have {given.shape[-1]} bits, the rows have {dim}")
        given = np.packbits(given, axis=-1)
    name = own_dtype(given, dtype)
    if name is None or (dtype is not None and name not in ("f32", "f64", dtype)):
        given = array(given, what)
        name = _OWN[given.dtype]
    single = given.ndim == 1 and given.size > 0
    if single:
        given = given.reshape(1, -1)
    rows = _contiguous_rows(given, what)
    width = rows.shape[1]
    if name == "b1":
        if dim is not None and width != (dim + 7) // 8:
            raise DimensionError(f"{what} have {width} bytes of bits, {dim} bits are {(dim + 7) // 8}")
        width = width * 8 if dim is None else dim
    return Stored(rows, name, width), single


def vector_column(values: ArrayLike | None, count: int) -> FloatMatrix | None:
    """The vectors of `count` rows, or None where none are given; one vector may come as one dimension."""
    if values is None:
        return None
    rows = array(values, "vectors")
    if rows.ndim == 1 and count == 1:
        rows = rows.reshape(1, -1)
    rows = matrix(rows)
    if len(rows) != count:
        raise InvalidError(f"{count} ids but {len(rows)} vectors: give one for each id")
    return rows


def allow_words(allow: ArrayLike, rows: int) -> tuple[NDArray[np.uint64], int]:
    """A mask of bools (one a row), or row numbers, as the library's words of 64 bits and how many bits count."""
    values = np.asarray(allow)
    if values.size == 0:
        values = np.zeros(0, bool)
    if values.ndim != 1 or values.dtype.kind not in "biu":
        raise InvalidError(f"allow is {values.dtype} of shape {values.shape}; give one bool a row, or row numbers")
    if values.dtype.kind != "b":
        if int(values.min()) < 0:
            raise InvalidError(f"allow[{int(values.argmin())}] is {values.min()}; row numbers start at 0")
        mask = np.zeros(rows, bool)
        mask[values[values < rows].astype(np.intp)] = True
        values = mask
    words = np.zeros((len(values) + 63) // 64, "<u8")
    packed = np.packbits(values, bitorder="little")
    words.view(np.uint8)[: len(packed)] = packed
    return words.astype(np.uint64, copy=False), len(values)
