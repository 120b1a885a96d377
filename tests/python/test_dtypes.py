"""Rows of every type, against numpy in float64 on the numbers stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hither
import numpy as np
import pytest
from numpy.typing import NDArray

DIM = 70
METRICS = ["cosine", "dot", "l2", "l1"]


def bf16_bits(x: NDArray[Any]) -> NDArray[np.uint16]:
    """The upper halves of float32, rounded to nearest, ties to even."""
    bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def bf16_values(bits: NDArray[np.uint16]) -> NDArray[Any]:
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def i8_values(x: NDArray[Any]) -> NDArray[Any]:
    wide = x.astype(np.float64)
    scale = (np.abs(wide).max(axis=1, keepdims=True) / 127).astype(np.float32).astype(np.float64)
    return np.asarray(np.rint(wide / scale) * scale)


STORED: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "f64": lambda x: x.astype(np.float64),
    "f32": lambda x: x.astype(np.float32).astype(np.float64),
    "f16": lambda x: x.astype(np.float16).astype(np.float64),
    "bf16": lambda x: bf16_values(bf16_bits(x)),
    "i8": i8_values,
}


def distances_of(queries: NDArray[Any], rows: NDArray[Any], metric: str) -> NDArray[Any]:
    q, x = queries[:, None, :].astype(np.float64), rows[None, :, :]
    if metric == "l2":
        return np.asarray(((q - x) ** 2).sum(axis=-1))
    if metric == "l1":
        return np.asarray(np.abs(q - x).sum(axis=-1))
    dots = (q * x).sum(axis=-1)
    if metric == "dot":
        return np.asarray(-dots)
    return np.asarray(1 - dots / np.sqrt((q * q).sum(axis=-1) * (x * x).sum(axis=-1)))


def check(found: tuple[NDArray[Any], NDArray[Any]], wanted: NDArray[Any]) -> None:
    """The labels are the nearest, up to what float64 itself leaves open."""
    labels, distances = found
    k = labels.shape[1]
    at = np.take_along_axis(wanted, labels, axis=1)
    best = np.sort(wanted, axis=1)[:, :k]
    np.testing.assert_allclose(at, best, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(distances, at.astype(np.float32), rtol=1e-6, atol=1e-7)


@pytest.fixture(scope="module")
def data() -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(20241121)
    return rng.normal(size=(900, DIM)).astype(np.float32), rng.normal(size=(5, DIM)).astype(np.float32)


@pytest.mark.parametrize("dtype", list(STORED))
@pytest.mark.parametrize("metric", METRICS)
def test_index(dtype: str, metric: str, data: tuple[NDArray[Any], NDArray[Any]], tmp_path: Path) -> None:
    rows, queries = data
    index = hither.Index(DIM, dtype=dtype, metric=metric)
    index.add(rows)
    wanted = distances_of(queries, STORED[dtype](rows), metric)
    check(index.search(queries, k=20), wanted)
    check(tuple(a[None] for a in index.search(queries[0], k=20)), wanted[:1])  # type: ignore[arg-type]
    index.save(tmp_path / "rows.hi")
    with hither.Index.open(tmp_path / "rows.hi") as again:
        assert (again.dtype, again.metric, len(again)) == (dtype, metric, 900)
        again.verify()
        check(again.search(queries, k=20), wanted)


@pytest.mark.parametrize("metric", METRICS)
def test_arrays_are_read_as_they_are(metric: str, data: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows, queries = data
    arrays: list[tuple[NDArray[Any], NDArray[Any], str | None]] = [
        (rows.astype(np.float64) / 3, rows.astype(np.float64) / 3, None),
        (rows.astype(np.float16), rows.astype(np.float16).astype(np.float64), None),
        ((rows * 40).clip(-128, 127).astype(np.int8), (rows * 40).clip(-128, 127).astype(np.int8).astype(float), None),
        (bf16_bits(rows), bf16_values(bf16_bits(rows)), "bf16"),
    ]
    for array, values, dtype in arrays:
        wanted = distances_of(queries, values, metric)
        check(hither.knn(array, queries, 9, metric, dtype=dtype), wanted)
        check(hither.knn(array[::2], queries, 9, metric, dtype=dtype), wanted[:, ::2])
        check(hither.Index.wrap(array, metric, dtype=dtype).search(queries, 9), wanted)
        name = hither.Index.wrap(array, metric, dtype=dtype).dtype
        index = hither.Index(DIM, dtype=name, metric=metric)
        index.add(array)
        check(index.search(queries, 9), wanted)


def test_f64_tells_apart_what_f32_cannot() -> None:
    base = np.array([[1 + 1e-12], [1 + 1e-13], [1]])
    labels, _ = hither.knn(base, np.array([1.0]), k=3, metric="l2")
    assert labels.tolist() == [2, 1, 0]
    labels, _ = hither.knn(base.astype(np.float32), np.array([1.0]), k=3, metric="l2")
    assert labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("dim", [1, 7, 8, 64, 100, 384])
def test_bits(dim: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(dim)
    rows, queries = rng.normal(size=(400, dim)), rng.normal(size=(4, dim))
    packed, asked = np.packbits(rows > 0, axis=1), np.packbits(queries > 0, axis=1)
    differ = ((rows > 0)[None] != (queries > 0)[:, None]).sum(axis=2)
    wanted = np.argsort(differ, axis=1, kind="stable")[:, :12]

    def same(found: tuple[NDArray[Any], NDArray[Any]]) -> None:
        assert found[0].tolist() == wanted.tolist()
        assert found[1].tolist() == np.take_along_axis(differ, wanted, axis=1).tolist()

    same(hither.knn(packed, asked, 12, "hamming"))
    same(hither.knn(rows > 0, queries > 0, 12, "hamming"))
    same(hither.knn(packed, asked, 12, dtype="b1"))
    if dim % 8 == 0:
        same(hither.knn(packed, queries, 12, "hamming"))
        same(hither.Index.wrap(packed, dtype="b1").search(queries, 12))
    for given in (rows, rows > 0, packed):
        index = hither.Index(dim, dtype="b1")
        assert index.metric == "hamming"
        index.add(given)
        for query in (queries, queries > 0, asked, queries.astype(np.float32)):
            same(index.search(query, 12))
        index.save(tmp_path / "bits.hi")
        with hither.Index.open(tmp_path / "bits.hi") as again:
            again.verify()
            same(again.search(asked, 12))


def test_refusals(data: tuple[NDArray[Any], NDArray[Any]]) -> None:
    rows, queries = data
    index = hither.Index(DIM, dtype="f16")
    large = rows.astype(np.float64)
    large[17, 3] = 65520
    with pytest.raises(hither.NotFiniteError, match=r"row 17, column 3.*too large for f16"):
        index.add(large)
    assert len(index) == 0
    with pytest.raises(hither.UnsupportedError, match="hamming"):
        hither.Index(DIM, metric="hamming")
    with pytest.raises(hither.UnsupportedError, match="l2 has no meaning for b1"):
        hither.Index(DIM, dtype="b1", metric="l2")
    with pytest.raises(hither.UnsupportedError, match="hamming"):
        index.add(rows)
        index.search(queries, metric="hamming")
    with pytest.raises(hither.UnsupportedError, match="hamming has no meaning for f32"):
        hither.knn(rows, queries, metric="hamming")
    with pytest.raises(hither.InvalidError, match="base is float32; b1 is packed uint8"):
        hither.knn(rows, queries, dtype="b1")
    with pytest.raises(hither.InvalidError, match="dtype is 'f16'"):
        hither.knn(rows, queries, dtype="f16")
    with pytest.raises(hither.DimensionError, match="bits"):
        hither.Index(100, dtype="b1").add(np.zeros((3, 12), np.uint8))
    with pytest.raises(hither.InvalidError, match="uint16 cannot be wrapped"):
        hither.Index.wrap(bf16_bits(rows))


def test_memory() -> None:
    rows = np.random.default_rng(1).normal(size=(2048, 384)).astype(np.float32)
    most = {"f64": 2.30, "f32": 1.30, "f16": 0.55, "bf16": 0.55, "i8": 0.30, "b1": 0.04}
    for dtype, share in most.items():
        index = hither.Index(384, dtype=dtype)
        index.add(rows)
        info = index.info()
        assert info["bytes_rows"] + info["bytes_extra"] <= share * rows.nbytes, dtype
