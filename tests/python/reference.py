"""The reference distance D in numpy, and brute force with it: what every answer is held against.

Elements are widened to float64, element j is added to lane j mod 16 in rising j, and lanes fold 16, 8, 4, 2, 1, the
upper half onto the lower; numpy rounds each operation by itself, which is the definition.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LANES = 16
Floats = NDArray[np.float64]


def lane_sum(terms: Floats) -> Floats:
    """The sum over the last axis, in D's order."""
    dim = terms.shape[-1]
    count = -(-dim // LANES)
    padded = np.zeros((*terms.shape[:-1], count * LANES))
    padded[..., :dim] = terms
    blocks = padded.reshape(*terms.shape[:-1], count, LANES)
    lanes = np.zeros((*terms.shape[:-1], LANES))
    for block in range(count):
        lanes += blocks[..., block, :]
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = lanes[..., :half] + lanes[..., half:]
    return lanes[..., 0]


def distances(metric: str, query: NDArray[np.generic], base: NDArray[np.float32]) -> Floats:
    """D of one query to every row, float64, shape (rows,)."""
    q = query.astype(np.float32).astype(np.float64)
    x = base.astype(np.float64)
    if metric == "l2":
        return lane_sum((q - x) ** 2)
    if metric == "l1":
        return lane_sum(np.abs(q - x))
    dot = lane_sum(q * x)
    if metric == "dot":
        return -dot
    norms = lane_sum(q * q) * lane_sum(x * x)
    with np.errstate(divide="ignore", invalid="ignore"):
        similarity = np.where(norms > 0, dot / np.sqrt(norms), 0.0)
    return np.clip(1 - similarity, 0, 2)


def brute(
    metric: str, query: NDArray[np.generic], base: NDArray[np.float32], k: int, allow: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels and distances of the k nearest allowed rows by (D, row), filled up with -1 and +inf."""
    exact = distances(metric, query, base)
    order = np.argsort(exact, kind="stable")
    if allow is not None:
        order = order[allow[order]]
    order = order[:k]
    labels = np.full(k, -1, np.int64)
    found = np.full(k, np.inf, np.float32)
    labels[: len(order)] = order
    with np.errstate(over="ignore"):
        found[: len(order)] = exact[order].astype(np.float32)
    return labels, found


def numpy_distances(metric: str, query: NDArray[np.generic], base: NDArray[np.float32]) -> Floats:
    """The distance as anyone would write it in float64."""
    q, x = query.astype(np.float32).astype(np.float64), base.astype(np.float64)
    if metric == "l2":
        return np.square(x - q).sum(axis=1)
    if metric == "l1":
        return np.abs(x - q).sum(axis=1)
    if metric == "dot":
        return -(x @ q)
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(q)
    return 1 - np.divide(x @ q, norms, out=np.zeros(len(x)), where=norms > 0)


def agrees(labels: NDArray[np.int64], exact: Floats, k: int) -> bool:
    """Whether labels are the k nearest, where rows may swap only if they differ by less than 1e-12 relative.

    The scale of a difference is that of the numbers it came from, which is at least 1 for a cosine.
    """
    k = min(k, len(exact))
    labels = labels[:k]
    if len(set(labels.tolist())) != k or labels.min(initial=0) < 0:
        return False
    wanted = np.sort(exact)[:k]
    return bool(np.all(np.abs(exact[labels] - wanted) <= 1e-12 * np.maximum(np.abs(wanted), 1.0)))
