"""Arrays of other libraries as numpy's: tensors by DLPack where they lie, tables' columns by Arrow.

What must stay true: a tensor on the CPU is never copied here, and nothing is imported for a value that does not come
from the library in question. Calls nothing of the library's; any thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .errors import DimensionError, InvalidError


def from_elsewhere(values: object, what: str) -> NDArray[Any]:
    """Whatever was passed as an array: a tensor (PyTorch, TensorFlow, JAX), a column of lists, or nested lists."""
    library = type(values).__module__.partition(".")[0]
    if library == "pyarrow" or (
        library == "polars" and str(getattr(values, "dtype", "")).startswith(("List", "Array"))
    ):
        return _from_arrow(values)
    if hasattr(values, "__dlpack__"):
        return _from_tensor(values, what)
    if library == "pandas" and getattr(getattr(values, "dtype", None), "kind", "") == "O":
        values = list(cast("Iterable[object]", values))  # a Series with an array or a list a row
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise DimensionError(f"{what} cannot be made an array: {error}") from None


def _from_tensor(values: Any, what: str) -> NDArray[Any]:
    """A tensor where it lies: numpy's array over its memory keeps it alive."""
    try:
        device = values.__dlpack_device__()[0]
    except (ValueError, BufferError, RuntimeError, TypeError, AttributeError) as error:
        raise InvalidError(f"{what} are a tensor that is nowhere a CPU can read: {error}") from None
    if device not in (1, 3, 13):  # the CPU's memory, also where a GPU reads it
        raise InvalidError(f"{what} are a tensor on another device ({device}); move it to the CPU: tensor.cpu()")
    try:
        return np.from_dlpack(values)
    except (BufferError, TypeError, RuntimeError, ValueError) as error:
        said = str(error)
    if "grad" in said:
        raise InvalidError(f"{what} are a tensor that records gradients; pass tensor.detach()")
    try:
        array = np.asarray(values)  # what DLPack cannot say and the library can copy, as TensorFlow's bools
    except (TypeError, ValueError, RuntimeError):
        array = np.empty(0, object)
    if array.dtype.kind not in "fiub":
        kind = getattr(values, "dtype", type(values).__name__)
        raise InvalidError(
            f"{what} are a tensor of {kind}, which numpy has no type for ({said}): pass float32, or the bits of "
            "bfloat16 as uint16"
        )
    return array


def _from_arrow(values: Any) -> NDArray[Any]:
    """A column of pyarrow or polars: lists of numbers as rows, numbers as themselves."""
    from . import arrow

    pa = arrow.pyarrow()
    column = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else values.to_arrow()
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if "list" in str(column.type):
        rows = arrow.vectors_of(column, 0)
        return np.empty((0, 0), np.float32) if rows is None else rows
    found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found


def items_of(values: object) -> object:
    """A column of ids, texts or metadata as Python's own; anything else as it is."""
    to_list = getattr(values, "to_pylist", None) or getattr(values, "to_list", None)
    if to_list is None:
        return values
    items: list[object] = to_list()
    if type(values).__module__.partition(".")[0] == "pandas":  # whose missing ones are NaN
        items = [None if item != item else item for item in items]
    return items
