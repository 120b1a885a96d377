"""Tensors of PyTorch, TensorFlow and JAX in by DLPack, read where they lie, and answers back out as theirs."""

from __future__ import annotations

import importlib
import os
from typing import Any

import hither
import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROWS = np.random.default_rng(6).standard_normal((200, 16), np.float32)


def made(library: str, array: np.ndarray) -> Any:
    """A tensor of that library with these numbers."""
    module = pytest.importorskip(library)
    if library == "torch":
        return module.from_numpy(array.copy())
    return module.constant(array) if library == "tensorflow" else module.numpy.asarray(array)


def again(library: str, array: Any) -> Any:
    """What the library makes of an answer by DLPack."""
    if library == "torch":
        return importlib.import_module("torch").from_dlpack(array)
    if library == "jax":
        return importlib.import_module("jax").dlpack.from_dlpack(array)
    return importlib.import_module("tensorflow").experimental.dlpack.from_dlpack(array.__dlpack__())


LIBRARIES = ["torch", "tensorflow", "jax"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_in_without_a_copy_and_out(library: str) -> None:
    tensor = made(library, ROWS)
    address = np.from_dlpack(tensor).ctypes.data
    seen = hither.tensors.from_elsewhere(tensor, "rows")
    assert seen.ctypes.data == address and not seen.flags.owndata
    index = hither.Index.wrap(tensor)
    assert index.info()["borrowed"]
    labels, distances = index.search(made(library, ROWS[:5]), k=3)
    assert labels[:, 0].tolist() == [0, 1, 2, 3, 4]
    for answer in (labels, distances):
        assert np.array_equal(np.asarray(again(library, answer)), answer)
    found, _ = hither.knn(tensor, made(library, ROWS[7]), k=1)
    assert found.tolist() == [7]


@pytest.mark.parametrize("library", LIBRARIES)
def test_into_collections_and_windows(library: str) -> None:
    with hither.connect(":memory:") as db:
        c = db.collection("c", dim=16)
        c.add(range(200), made(library, ROWS))
        hits = c.search(made(library, ROWS[3]), k=2, include="vector")
        assert hits.ids[0] == 3
        assert np.array_equal(np.asarray(again(library, hits.vectors))[0], ROWS[3])
        assert np.array_equal(np.asarray(again(library, hits.distances)), hits.distances)
    window = hither.Window(dim=16, capacity=50)
    scores = window.push(made(library, ROWS[:60]))
    assert np.array_equal(np.asarray(again(library, scores.novelty)), scores.novelty)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("dtype", "kind"), [(np.float64, "f64"), (np.float16, "f16"), (np.int8, "i8")])
def test_every_width(library: str, dtype: type, kind: str) -> None:
    if library == "jax":
        pytest.importorskip("jax").config.update("jax_enable_x64", True)
    rows = (ROWS * 20).astype(dtype)
    tensor = made(library, rows)
    index = hither.Index(16, dtype=kind, metric="l2")
    index.add(tensor)
    wanted = hither.Index(16, dtype=kind, metric="l2")
    wanted.add(rows)
    assert np.array_equal(index.search(ROWS[:9])[1], wanted.search(ROWS[:9])[1])


def test_what_cannot_be_read_is_said() -> None:
    torch = pytest.importorskip("torch")
    index = hither.Index(16)
    with pytest.raises(hither.InvalidError, match=r"detach\(\)"):
        index.add(torch.ones(1, 16, requires_grad=True))
    with pytest.raises(hither.InvalidError, match="bfloat16 as uint16"):
        index.add(torch.ones(1, 16, dtype=torch.bfloat16))
    with pytest.raises(hither.InvalidError, match="CPU"):
        index.add(torch.ones(1, 16, device="meta"))
    bits = hither.Index(16, dtype="bf16")
    bits.add(torch.ones(1, 16, dtype=torch.bfloat16).view(torch.uint16))
    assert bits.search(np.ones(16), k=1, metric="l2")[1].tolist() == [0.0]
    # Rows apart are read where they lie too; with gaps in a row they are copied once.
    wide = torch.from_numpy(np.hstack([ROWS, ROWS]))
    assert hither.Index.wrap(wide[:, :16]).search(ROWS[4], k=1)[0].tolist() == [4]
    assert hither.Index.wrap(wide.t().contiguous().t()[:, :16]).search(ROWS[4], k=1)[0].tolist() == [4]
