"""Suite exact: the k nearest of an array, exactly.

Three parts, all by default: `goals`, each beside what it is a goal against; `curves`, the time of a query by rows, by k
and by dimension; `engines`, a full scan by each engine people use for it.

Of the engines every one runs in a process of its own, told to use one thread, with the same rows and queries: the inner
product of unit vectors, which is what faiss's IndexFlatIP is for. Rounds go through all engines in turn, so that a
disturbance does not fall on one of them; of the rounds the least disturbed counts, never the fastest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import exact_curves
import exact_goals
from measure import Floats, Others, batch, clustered, machine, singles, unit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PARTS = ["goals", "curves", "engines"]
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


def _parts(options: argparse.Namespace, part: str, *more: str) -> Iterator[dict[str, Any]]:
    """The lines of a part, as a process in a folder of its own measures them."""
    command = [sys.executable, str(HERE / "run.py"), "exact", "--worker", part, "--seed", str(options.seed), *more]
    command += ["--quick"] if options.quick else []
    one = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "RAYON_NUM_THREADS")}
    with tempfile.TemporaryDirectory(prefix="hither-bench-") as folder:
        paths = os.environ.get("PYTHONPATH", "")
        env = {**os.environ, **one, "PYTHONPATH": f"{ROOT / 'python'}{os.pathsep}{paths}".rstrip(os.pathsep)}
        with subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout
            for line in running.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
        if running.returncode:
            raise SystemExit(f"{part}: ended with status {running.returncode}")


def _keep(part: str, about: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    results = HERE / "results" / f"exact-{part}-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    results.parent.mkdir(exist_ok=True)
    results.write_text("".join(json.dumps({**about, **line}) + "\n" for line in lines))
    print(f"lines: {results.relative_to(ROOT)}")


def _say_drawn(drawn: bool, picture: Path) -> None:
    print(f"picture: {picture}" if drawn else "no picture: matplotlib is not installed")


def run_goals(options: argparse.Namespace) -> None:
    """The table of goals, line by line as they are measured."""
    import hither

    about = {"suite": "exact goals", "hither": f"{hither.__version__} {hither.simd()}", **machine()}
    about.update(exact_goals.versions())
    print(
        f"\n{about['cpu']}, {about['cpus']} CPUs; hither {about['hither']}, "
        + ", ".join(f"{name} {version}" for name, version in exact_goals.versions().items())
        + f"\n\n{exact_goals.HEAD}"
    )
    more = ["--data", str(options.data.resolve())] if options.data else []
    lines = []
    with Others() as others:
        for line in _parts(options, "goals", *more):
            lines.append(line)
            reached = line.pop("reached")
            print(exact_goals.row(exact_goals.Goal(**line)), flush=True)
            line["reached"] = reached
    missed = sum(not line["reached"] for line in lines)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"\n{len(lines) - missed} of {len(lines)} goals reached; other processes kept {others.cpus:.1f} CPUs busy, "
        f"load average {load}"
    )
    _keep("goals", {**about, "others_cpu": others.cpus}, lines)


def run_curves(options: argparse.Namespace) -> None:
    """The table and the picture of the curves."""
    lines = []
    for line in _parts(options, "curves"):
        lines.append(line)
        print(f"{line['curve']} {line['x']:,}: {line['index']['p50_us']:,.0f} us", file=sys.stderr)
    print(f"\n{exact_curves.table(lines)}\n")
    _keep("curves", {"suite": "exact curves", **machine()}, lines)
    if not options.no_picture:
        picture = options.pictures / "exact-curves.png"
        title = f"Exact search, clustered unit vectors, one thread, {machine()['cpu']}"
        _say_drawn(exact_curves.draw(lines, title, picture), picture)


def run_engines(options: argparse.Namespace) -> int:
    """The table and the picture of the engines."""
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
    chosen = least_disturbed(lines)
    title = f"Exact search, {len(base):,} x {base.shape[1]} ({what}), k = {options.k}, one thread"
    print(f"\n{title}\n{about['cpu']}, {about['cpus']} CPUs; batch of {len(queries)}\n\n{table(chosen)}\n")
    _keep("engines", about, lines)
    if not options.no_picture:
        picture = options.pictures / "exact.png"
        _say_drawn(draw(chosen, title, picture), picture)
    return 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench/run.py exact", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts (default: all)")
    parser.add_argument("--quick", action="store_true", help="nothing above 100,000 rows, one round of the engines")
    parser.add_argument(
        "--data",
        type=Path,
        help="a .npy of rows, for the goals beside and for the engines instead of "
        "synthetic ones; its last rows are the queries",
    )
    parser.add_argument("--rows", type=int, default=100_000, help="of the engines' part, like all below")
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--queries", type=int, default=256, help="queries in the batch")
    parser.add_argument("--single", type=int, default=200, help="queries asked one by one")
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES))
    parser.add_argument("--pictures", type=Path, default=ROOT / "docs" / "images", help="the folder for pictures")
    parser.add_argument("--no-picture", action="store_true")
    parser.add_argument("--worker", choices=[*ENGINES, "goals", "curves"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker == "goals":
        exact_goals.worker(options.quick, options.seed, options.data)
    elif options.worker == "curves":
        exact_curves.worker(options.quick, options.seed)
    elif options.worker:
        worker(options)
    if options.worker:
        return 0
    options.rounds = 1 if options.quick else options.rounds
    if "goals" in options.only:
        run_goals(options)
    if "curves" in options.only:
        run_curves(options)
    return run_engines(options) if "engines" in options.only else 0
