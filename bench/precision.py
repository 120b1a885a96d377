#!/usr/bin/env python3
"""What each type of row costs in exactness and gives in bytes and speed: the table of docs/precision.md.

    bench/precision.py [--rows N] [--dim D] [--queries Q]

Clustered unit vectors from a seed (measure.py). Errors are those of distances of the first queries to all rows, against
float64 over the original float64 vectors; recall is how many of the true ten nearest are among the ten found. Times are
medians of the CPU time of single queries on one thread, with the index in memory.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import hither
import numpy as np
from numpy.typing import NDArray

from measure import clustered, machine

K = 10
DTYPES = ["f64", "f32", "f16", "bf16", "i8", "b1"]


def true_distances(queries: NDArray[Any], rows: NDArray[Any], metric: str) -> NDArray[Any]:
    dots = queries @ rows.T
    if metric == "cosine":
        return np.asarray(1 - dots / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(rows, axis=1))
    return np.asarray((queries**2).sum(axis=1)[:, None] + (rows**2).sum(axis=1) - 2 * dots)


def found_for_all(index: hither.Index, queries: NDArray[Any], metric: str) -> NDArray[Any]:
    """The distances of every row to each query, by row."""
    labels, distances = index.search(queries, k=min(len(index), 65536), metric=metric)
    every = np.full((len(queries), len(index)), np.nan)
    np.put_along_axis(every, labels, distances.astype(np.float64), axis=1)
    return every


def measure(dtype: str, rows: NDArray[Any], queries: NDArray[Any], checked: int) -> dict[str, Any]:
    begin = time.perf_counter()
    index = hither.Index(rows.shape[1], dtype=dtype)
    index.add(rows)
    built = time.perf_counter() - begin
    info = index.info()
    out: dict[str, Any] = {
        "dtype": dtype,
        "bytes_row": info["bytes_rows"] / len(rows),
        "bytes_extra": info["bytes_extra"] / len(rows),
        "build_s": built,
    }
    for metric in ("cosine", "l2"):
        wanted = true_distances(queries[:checked], rows, metric)
        best = np.argpartition(wanted, K, axis=1)[:, :K]
        if dtype == "b1":
            labels, _ = index.search(queries[:checked], k=K)
        else:
            every = found_for_all(index, queries[:4], metric)
            error = np.abs(every - wanted[:4])
            out[f"{metric}_max"], out[f"{metric}_mean"] = float(np.nanmax(error)), float(np.nanmean(error))
            labels, _ = index.search(queries[:checked], k=K, metric=metric)
        hits = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(labels, best, strict=True)]
        out[f"{metric}_recall"] = sum(hits) / len(hits) / K
    times = []
    singles = [np.ascontiguousarray(q, np.float32) for q in queries]
    for q in singles * 3:
        begin = time.thread_time()
        index.search(q, k=K)
        times.append(time.thread_time() - begin)
    out["query_us"] = float(np.median(times)) * 1e6
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows, queries = clustered(asked.rows, asked.dim, asked.queries, 20241121)
    rng = np.random.default_rng(3)  # float64 that no float32 holds
    wide = rows.astype(np.float64) * (1 + rng.uniform(-1, 1, rows.shape) * 2.0**-26)
    table = [measure(dtype, wide, queries.astype(np.float64), min(100, asked.queries)) for dtype in DTYPES]
    if asked.json:
        print(json.dumps({"machine": machine(), "rows": asked.rows, "dim": asked.dim, "table": table}, indent=1))
        return
    print(f"{asked.rows} rows, {asked.dim} dimensions, {machine()['cpu']}, {hither.__version__} {hither.simd()}\n")
    print(
        "| dtype | bytes a row | and beside it | of f32 | cosine error: max | mean | l2 error: max | mean "
        "| recall@10 | one query, µs |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for t in table:
        share = (t["bytes_row"] + t["bytes_extra"]) / (4 * asked.dim)
        errors = " | ".join(
            f"{t[name]:.1e}" if name in t else "-" for name in ("cosine_max", "cosine_mean", "l2_max", "l2_mean")
        )
        print(
            f"| {t['dtype']} | {t['bytes_row']:.0f} | {t['bytes_extra']:.0f} | {share:.3f} | {errors} "
            f"| {t['cosine_recall']:.3f} | {t['query_us']:.0f} |"
        )


if __name__ == "__main__":
    main()
