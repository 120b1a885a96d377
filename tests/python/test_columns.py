"""Columns from what people pass: the fast way against json.dumps, one row after another."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import hither
import numpy as np
import pytest
from hither import arrays
from hypothesis import given, settings, strategies as st

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
keys = st.text(max_size=6) | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=9,
)
rows = st.lists(st.dictionaries(keys, values, max_size=4), min_size=1, max_size=4)


def one_by_one(items: list[dict[Any, Any]]) -> list[str]:
    return [json.dumps(item, ensure_ascii=False, allow_nan=False) for item in items]


@given(rows)
@settings(max_examples=100, deadline=None)
def test_many_dicts_are_written_as_one_by_one(items: list[dict[Any, Any]]) -> None:
    try:
        wanted = one_by_one(items)
    except ValueError:  # an infinite key
        with pytest.raises(hither.InvalidError):
            arrays.metadata_column(items, len(items))
        return
    assert arrays._dicts_as_json(items) == wanted
    column = arrays.metadata_column(items, len(items))
    assert column is not None
    assert column.data == "".join(wanted).encode("utf-8", "surrogatepass")


def test_without_the_encoder_all_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [{"n": 1, "t": "ä"}, {"x": np.float32(0.5), "y": np.arange(3)}, {}]
    fast = arrays.metadata_column(items, 3)
    monkeypatch.setattr(arrays, "_ENCODE", None)
    slow = arrays.metadata_column(items, 3)
    assert fast is not None
    assert slow is not None
    assert (fast.data, fast.offsets.tolist()) == (slow.data, slow.offsets.tolist())


def test_rows_of_several_kinds() -> None:
    column = arrays.metadata_column([{"n": 1}, '{"n":2}', None, OrderedDict(n=3)], 4)
    assert column is not None
    assert column.data == b'{"n": 1}{"n":2}{"n": 3}'
    assert column.valid is not None
    assert column.valid.tolist() == [0b1011]


circle: dict[str, Any] = {}
circle["self"] = circle
deep: dict[str, Any] = {}
for _ in range(100_000):
    deep = {"in": deep}


@pytest.mark.parametrize("wrong", [{"n": float("nan")}, {"n": object()}, {(1, 2): 3}, circle, deep])
def test_the_row_that_cannot_be_written_is_named(wrong: dict[Any, Any]) -> None:
    with pytest.raises(hither.InvalidError, match="metadata 1 cannot be written as JSON"):
        arrays.metadata_column([{"n": 1}, wrong, {}], 3)
