"""Suite exact: the k nearest of an array, by a full and exact scan, beside the engines people use for it.

Every engine runs in a process of its own, told to use one thread, with the same rows and queries: the inner product of
unit vectors, which is what faiss's IndexFlatIP is for. Rounds go through all engines in turn, so that a disturbance
does not fall on one of them; of the rounds the least disturbed counts, never the fastest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import exact_table
from measure import Floats, Others, batch, clustered, machine, singles, unit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ONE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "HITHER_THREADS")
}


class Engine(NamedTuple):
    """A built engine: its version, the labels for one query, and for many."""

    version: str
    one: Callable[[Floats], NDArray[Any]]
    many: Callable[[Floats], NDArray[Any]]


def hither_knn(base: Floats, k: int) -> Engine:
    """An array, nothing built, nothing kept between calls."""
    import hither

    def search(queries: Floats) -> NDArray[Any]:
        return hither.knn(base, queries, k, "dot", threads=1)[0]

    return Engine(f"{hither.__version__} {hither.simd()}", search, search)


def hither_index(base: Floats, k: int) -> Engine:
    """An index over the array: norms and codes made once."""
    import hither

    index = hither.Index.wrap(base, "dot")
    return Engine(
        f"{hither.__version__} {hither.simd()}",
        lambda query: index.search(query, k)[0],
        lambda queries: index.search(queries, k, threads=1)[0],
    )


def hither_collection(base: Floats, k: int) -> Engine:
    """A collection in memory; ids only come back."""
    import hither

    collection = hither.connect(":memory:").collection("bench", dim=base.shape[1], metric="dot")
    for start in range(0, len(base), 10_000):
        part = base[start : start + 10_000]
        collection.add(np.arange(start, start + len(part)), part)
    return Engine(
        f"{hither.__version__} {hither.simd()}",
        lambda query: np.array(collection.search(query, k, include=()).ids),
        lambda queries: np.array([hits.ids for hits in collection.search_many(queries, k, include=(), threads=1)]),
    )


def faiss_flat(base: Floats, k: int) -> Engine:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(base.shape[1])
    index.add(base)
    return Engine(
        metadata.version("faiss-cpu"),
        lambda query: index.search(query[None], k)[1][0],
        lambda queries: index.search(queries, k)[1],
    )


def numpy_scan(base: Floats, k: int) -> Engine:
    """The product with every row, then argpartition and a sort of the k."""

    def many(queries: Floats) -> NDArray[Any]:
        scores = queries @ base.T
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
        return np.take_along_axis(top, order, 1)

    def one(query: Floats) -> NDArray[Any]:
        scores = base @ query
        top = np.argpartition(-scores, k - 1)[:k]
        return top[np.argsort(-scores[top], kind="stable")]

    return Engine(np.__version__, one, many)


def usearch_exact(base: Floats, k: int) -> Engine:
    from usearch.index import MetricKind, search

    def find(queries: Floats) -> NDArray[Any]:
        return np.asarray(search(base, queries, k, MetricKind.IP, exact=True, threads=1).keys)

    return Engine(metadata.version("usearch"), find, find)


def hnswlib_bf(base: Floats, k: int) -> Engine:
    import hnswlib

    index = hnswlib.BFIndex("ip", base.shape[1])
    index.init_index(len(base))
    index.add_items(base)
    return Engine(
        metadata.version("hnswlib"),
        lambda query: index.knn_query(query, k, num_threads=1)[0][0],
        lambda queries: index.knn_query(queries, k, num_threads=1)[0],
    )


ENGINES: dict[str, Callable[[Floats, int], Engine]] = {
    "hither Index": hither_index,
    "hither knn": hither_knn,
    "hither collection": hither_collection,
    "faiss IndexFlatIP": faiss_flat,
    "numpy": numpy_scan,
    "usearch exact": usearch_exact,
    "hnswlib BFIndex": hnswlib_bf,
}


def correct(base: Floats, queries: Floats, labels: NDArray[Any], k: int) -> float:
    """The share of answers that are right in float64, where equal scores (1e-6) may stand in for one another."""
    right = 0
    for query, found in zip(queries, labels, strict=True):
        scores = base @ query.astype(np.float64)
        kth = np.partition(scores, -k)[-k]
        right += sum(scores[label] >= kth - 1e-6 for label in {int(label) for label in found} if 0 <= label < len(base))
    return round(right / (len(queries) * k), 4)


def worker(options: argparse.Namespace) -> None:
    """One engine, one round: a JSON object on standard output."""
    base, queries = np.load(f"{options.folder}/base.npy"), np.load(f"{options.folder}/queries.npy")
    k = min(options.k, len(base))
    try:
        began = time.perf_counter()
        engine = ENGINES[options.worker](base, k)
        build_s = time.perf_counter() - began
    except ImportError as error:
        print(json.dumps({"skipped": str(error)}))
        return
    single = queries[: options.single]
    with Others() as others:
        result: dict[str, Any] = {"engine": options.worker, "version": engine.version, "build_s": round(build_s, 3)}
        result.update(singles(engine.one, single))
        result["batch16_qps"] = batch(engine.many, queries[:16])
        result["batch_qps"] = batch(engine.many, queries)
    labels = np.array([engine.one(query) for query in queries[:20]])
    result["correct"] = correct(base, queries[:20], labels, k)
    result["same_in_batch"] = bool(np.array_equal(engine.many(queries[:20]), labels))
    result["others_cpu"] = others.cpus
    print(json.dumps(result))


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All rounds of all engines, as they come."""
    lines: list[dict[str, Any]] = []
    skipped: set[str] = set()
    for round_ in range(options.rounds):
        for name in options.engines or ENGINES:
            if name in skipped:
                continue
            command = [sys.executable, str(HERE / "run.py"), "exact", "--worker", name, "--folder", options.folder]
            command += ["--single", str(options.single), "-k", str(options.k)]
            done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, check=False)
            if done.returncode:
                print(f"{name}: failed with status {done.returncode}", file=sys.stderr)
                skipped.add(name)
                continue
            line = json.loads(done.stdout.splitlines()[-1])
            if "skipped" in line:
                print(f"{name}: left out, not installed ({line['skipped']})", file=sys.stderr)
                skipped.add(name)
                continue
            lines.append({"round": round_, **line})
            print(f"round {round_ + 1} of {options.rounds}: {name}, P50 {line['p50_us']:,.0f} us", file=sys.stderr)
    return lines


def least_disturbed(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line an engine: the round in which others were quietest."""
    best: dict[str, dict[str, Any]] = {}
    for line in lines:
        if line["engine"] not in best or line["others_cpu"] < best[line["engine"]]["others_cpu"]:
            best[line["engine"]] = line
    return sorted(best.values(), key=lambda line: float(line["p50_us"]))


def table(chosen: list[dict[str, Any]]) -> str:
    """The result as a Markdown table."""
    rows = ["| engine | P50 us | P99 us | CPU us | batch of 16, QPS | batch, QPS | build s | correct | others' CPUs |"]
    rows.append("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    rows += [
        f"| {x['engine']} ({x['version']}) | {x['p50_us']:,.0f} | {x['p99_us']:,.0f} | {x['cpu_p50_us']:,.0f} "
        f"| {x['batch16_qps']:,.0f} "
        f"| {x['batch_qps']:,.0f} | {x['build_s']:.2f} | {x['correct']:.4f} | {x['others_cpu']:.2f} |"
        for x in chosen
    ]
    return "\n".join(rows)


def draw(chosen: list[dict[str, Any]], title: str, path: Path) -> bool:
    """Bars of latency (P50, with a line to P99) and of throughput; False without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [line["engine"] for line in chosen][::-1]
    colours = ["#d9480f" if name.startswith("hither") else "#868e96" for name in names]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 0.55 * len(names) + 1.6), sharey=True)
    p50 = [line["p50_us"] / 1000 for line in chosen][::-1]
    p99 = [line["p99_us"] / 1000 for line in chosen][::-1]
    left.barh(names, p50, color=colours)
    left.hlines(names, p50, p99, color="#343a40", linewidth=1.5)
    left.set_xlabel("one query: ms at P50, line to P99 (less is better)")
    throughput = [line["batch_qps"] for line in chosen][::-1]
    right.barh(names, throughput, color=colours)
    right.set_xlabel("one batch: queries a second (more is better)")
    for axis, values in ((left, p50), (right, throughput)):
        axis.spines[["top", "right"]].set_visible(False)
        for name, value in zip(names, values, strict=True):
            axis.annotate(
                f" {value:,.3g}" if value < 1000 else f" {value:,.0f}", (value, name), va="bottom", fontsize=8
            )
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return True


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench/run.py exact", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a .npy of rows instead of synthetic ones; the last of them query")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--queries", type=int, default=256, help="queries in the batch")
    parser.add_argument("--single", type=int, default=200, help="queries asked one by one")
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES))
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "images" / "exact.png")
    parser.add_argument("--no-picture", action="store_true")
    parser.add_argument("--table", choices=["quick", "full"], help="only the goals, as ratios to faiss")
    parser.add_argument("--worker", choices=list(ENGINES), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        worker(options)
        return 0
    if options.table:
        print(exact_table.report(options.table == "full", options.seed))
        return 0
    if options.data:
        rows = unit(np.load(options.data))
        base, queries = rows[: -options.queries], rows[-options.queries :]
        what = options.data.name
    else:
        base, queries = clustered(options.rows, options.dim, options.queries, options.seed)
        what = f"clustered, seed {options.seed}"
    with tempfile.TemporaryDirectory(prefix="hither-bench-") as folder:
        options.folder = folder
        np.save(f"{folder}/base.npy", base)
        np.save(f"{folder}/queries.npy", queries)
        lines = measure(options)
    if not lines:
        return 1
    about = {"suite": "exact", "data": what, "rows": len(base), "dim": base.shape[1], "k": options.k, **machine()}
    results = HERE / "results" / f"exact-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    results.parent.mkdir(exist_ok=True)
    results.write_text("".join(json.dumps({**about, **line}) + "\n" for line in lines))
    chosen = least_disturbed(lines)
    title = f"Exact search, {len(base):,} x {base.shape[1]} ({what}), k = {options.k}, one thread"
    print(f"\n{title}\n{about['cpu']}, {about['cpus']} CPUs; batch of {len(queries)}\n\n{table(chosen)}\n")
    print(f"lines: {results.relative_to(ROOT)}")
    if not options.no_picture:
        drawn = draw(chosen, title, options.picture)
        print(f"picture: {options.picture}" if drawn else "no picture: matplotlib is not installed")
    return 0
