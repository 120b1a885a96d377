"""What every suite shares: data from a seed, timing, the machine, and how busy others kept it meanwhile."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def unit(rows: NDArray[Any]) -> Floats:
    """Rows scaled to length 1; zero rows stay."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.where(norms > 0, norms, 1), dtype=np.float32)


_BLOCK = 50_000  # rows made at once: a large set fits beside its making


def clustered(rows: int, dim: int, queries: int, seed: int) -> tuple[Floats, Floats]:
    """Unit vectors in clusters, and queries from the same clusters that are none of the rows.

    One centre for every 100 rows; around it, noise of rank 20, as real embeddings have it: many numbers, few ways to
    differ.
    """
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(1, rows // 100), dim))
    ways = rng.normal(size=(20, dim))

    def some(count: int) -> NDArray[Any]:
        points = centres[rng.integers(len(centres), size=count)]
        points += 0.35 * rng.normal(size=(count, 20)) @ ways / np.sqrt(20) * 2
        points += 0.1 * rng.normal(size=(count, dim))
        return points

    return _split(some, rows, dim, queries)


def spectral(rows: int, dim: int, queries: int, seed: int) -> tuple[Floats, Floats]:
    """Unit vectors as models make them of texts: a mean they share, topics, and directions whose variance falls as
    1 / i, turned so that every dimension has a part in each."""
    rng = np.random.default_rng(seed)
    scale = 1 / np.sqrt(np.arange(1, dim + 1))
    turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    topics = rng.normal(size=(max(1, rows // 50), dim))
    mean = np.zeros(dim)
    mean[0] = 1

    def some(count: int) -> NDArray[Any]:
        points = 0.75 * rng.normal(size=(count, dim)) + topics[rng.integers(len(topics), size=count)]
        return np.asarray((points * scale + mean) @ turn)

    return _split(some, rows, dim, queries)


def noise(rows: int, dim: int, queries: int, seed: int) -> tuple[Floats, Floats]:
    """Unit vectors in all directions alike: everything is about as far from everything as anything."""
    rng = np.random.default_rng(seed)
    return _split(lambda count: rng.normal(size=(count, dim)), rows, dim, queries)


def _split(some: Callable[[int], NDArray[Any]], rows: int, dim: int, queries: int) -> tuple[Floats, Floats]:
    points = np.empty((rows + queries, dim), np.float32)
    for at in range(0, len(points), _BLOCK):
        part = points[at : at + _BLOCK]
        part[:] = unit(some(len(part)))
    return points[:rows], points[rows:]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


class Others:
    """How many CPUs other processes kept busy while the block ran."""

    cpus = 0.0

    def __enter__(self) -> Others:
        self._busy, self._mine, self._at = self._read()
        return self

    def __exit__(self, *_: object) -> None:
        busy, mine, at = self._read()
        elapsed = max(at - self._at, 1e-9)
        self.cpus = round(max(0.0, (busy - self._busy) - (mine - self._mine)) / elapsed, 2)

    @staticmethod
    def _read() -> tuple[float, float, float]:
        fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        idle = fields[3] + fields[4]
        busy = (sum(fields[:8]) - idle) / os.sysconf("SC_CLK_TCK")
        mine = os.times()
        ours = mine.user + mine.system + mine.children_user + mine.children_system
        return busy, ours, time.monotonic()


def singles(search: Callable[[Floats], object], queries: Floats, warm: int = 20) -> dict[str, float]:
    """One call a query: microseconds at P50 and P99, queries a second by the mean, and the thread's own CPU time.

    The CPU time of an engine that computes on its caller's thread is what the call would take on a quiet machine, up
    to what others do to the caches and the memory.
    """
    for query in queries[:warm]:
        search(query)
    taken, computed = np.empty(len(queries)), np.empty(len(queries))
    for at, query in enumerate(queries):
        began, cpu = time.perf_counter(), time.thread_time()
        search(query)
        taken[at], computed[at] = time.perf_counter() - began, time.thread_time() - cpu
    return {
        "p50_us": round(float(np.percentile(taken, 50)) * 1e6, 1),
        "p99_us": round(float(np.percentile(taken, 99)) * 1e6, 1),
        "qps": round(float(1 / taken.mean()), 1),
        "cpu_p50_us": round(float(np.percentile(computed, 50)) * 1e6, 1),
        "cpu_p99_us": round(float(np.percentile(computed, 99)) * 1e6, 1),
    }


def batch(search: Callable[[Floats], object], queries: Floats, repeats: int = 3) -> float:
    """All queries in one call: queries a second, the best of a few repeats."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        search(queries)
        best = min(best, time.perf_counter() - began)
    return round(len(queries) / best, 1)
