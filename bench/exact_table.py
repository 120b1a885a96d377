"""The goals of exact search, each as a ratio to faiss's IndexFlatIP in the same process.

The two take turns, a few queries each, so that a disturbance falls on both; of the turns of either the one with the
lowest median counts. Answers are compared: a case in which hither and faiss disagree on more than ties is marked.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from measure import Floats, clustered, unit

TURNS, A_TURN = 8, 25


class Row(NamedTuple):
    what: str
    goal: str
    faiss_us: float
    hither_us: float
    p99_us: float
    without_us: float
    same: float


def _turns(calls: list[Callable[[int], object]], queries: int, turns: int = TURNS) -> list[tuple[float, float]]:
    """P50 and P99 in microseconds of each call, in the turn with the lowest P50."""
    best = [(float("inf"), 0.0)] * len(calls)
    for turn in range(turns):
        for at, call in enumerate(calls):
            taken = []
            for i in range(A_TURN if queries > 1 else 1):
                began = time.perf_counter()
                call((turn * A_TURN + i) % queries)
                taken.append(time.perf_counter() - began)
            best[at] = min(best[at], (float(np.median(taken)) * 1e6, float(np.percentile(taken, 99)) * 1e6))
    return best


def _case(what: str, goal: str, base: Floats, queries: Floats, k: int, batch: int, threads: int) -> Row:
    import faiss
    import hither

    faiss.omp_set_num_threads(threads)
    flat = faiss.IndexFlatIP(base.shape[1])
    flat.add(base)
    index = hither.Index.wrap(base, "dot")
    if batch:
        part = queries[:batch]
        calls: list[Callable[[int], object]] = [
            lambda _: flat.search(part, k),
            lambda _: index.search(part, k, threads=threads),
            lambda _: hither.knn(base, part, k, "dot", threads=threads),
        ]
        results = _turns(calls, 1, 3 if batch > 100 else TURNS)
    else:
        part = queries[:20]
        calls = [
            lambda i: flat.search(queries[i : i + 1], k),
            lambda i: index.search(queries[i], k),
            lambda i: hither.knn(base, queries[i], k, "dot", threads=1),
        ]
        results = _turns(calls, len(queries))
    ours, theirs = index.search(part, k)[0], flat.search(part, k)[1]
    same = float(np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(ours, theirs, strict=True)]))
    return Row(what, goal, results[0][0], results[1][0], results[1][1], results[2][0], same)


def _noise(rows: int, dim: int, seed: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    points = unit(rng.normal(size=(rows + 200, dim)))
    return points[:rows], points[rows:]


def _build_and_open(base: Floats, query: Floats) -> str:
    """Building from an array, and opening a saved index up to its first answer."""
    import hither

    began = time.perf_counter()
    index = hither.Index(base.shape[1], metric="dot")
    index.add(base)
    built = time.perf_counter() - began
    with tempfile.TemporaryDirectory(prefix="hither-bench-") as folder:
        path = os.path.join(folder, "rows.hi")
        index.save(path)
        began = time.perf_counter()
        with hither.Index.open(path) as opened:
            opened.search(query, 10)
            answered = time.perf_counter() - began
    return f"{len(base):,} x {base.shape[1]}: built in {built:.2f} s, opened and answered in {answered * 1e3:.1f} ms"


def rows(full: bool, seed: int) -> list[Row]:
    """The cases, in the order of the table."""
    base, queries = clustered(100_000, 384, 1000, seed)
    made = [
        _case("one query, 5,000 rows", "3", base[:5000].copy(), queries, 10, 0, 1),
        _case("one query, 20,000 rows", "5", base[:20_000].copy(), queries, 10, 0, 1),
        _case("one query, 100,000 rows", "10", base, queries, 10, 0, 1),
        _case("16 queries, 100,000 rows", "8", base, queries, 10, 16, 1),
        _case("1,000 queries, 100,000 rows, 2 threads", "2.5", base, queries, 10, 1000, 2),
    ]
    for k in (1, 100, 1000, 10_000) if full else (1, 1000):
        made.append(_case(f"one query, 100,000 rows, k = {k:,}", "", base, queries, k, 0, 1))
    made.append(_case("one query, 100,000 rows of noise", "3", *_noise(100_000, 384, seed), 10, 0, 1))
    for dim in (64, 768, 1536, 4096) if full else (64, 1536):
        count = 100_000 if dim < 1000 else 20_000
        part, asked = clustered(count, dim, 200, seed)
        made.append(_case(f"one query, {count:,} rows of {dim:,} dimensions", "", part, asked, 10, 0, 1))
    if full:
        base, queries = clustered(500_000, 384, 200, seed)
        made.append(_case("one query, 500,000 rows", "7", base, queries, 10, 0, 1))
    return made


def report(full: bool, seed: int) -> str:
    """The table as Markdown."""
    lines = ["| work | faiss us | hither Index us | P99 us | hither knn us | ratio | goal | same answers |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    lines += [
        f"| {row.what} | {row.faiss_us:,.0f} | {row.hither_us:,.0f} | {row.p99_us:,.0f} | {row.without_us:,.0f} "
        f"| {row.faiss_us / row.hither_us:.1f} | {row.goal} | {row.same:.4f} |"
        for row in rows(full, seed)
    ]
    base, queries = clustered(500_000 if full else 100_000, 384, 1, seed)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return "\n".join(lines) + f"\n\n{_build_and_open(base, queries[0])}\nload average: {load}"
