"""Approximate search: recall and time of hither's graph, of exact search, and of the engines there are beside it.

Everybody gets the same rows and queries, one thread, one query a call, through its Python interface. An engine is
built once and asked with rising effort; its curve is recall@10 against the median time of a query, by the CPU time of
its thread, which other processes disturb less than the clock. Engines take turns, and of the rounds the least disturbed
counts.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from measure import Floats, Others, clustered, machine, noise, singles, spectral, unit

ROOT = Path(__file__).resolve().parents[1]
K = 10
RECALLS = (0.9, 0.95, 0.99)
EFFORTS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384)

Search = Callable[[Floats], NDArray[Any]]


class Engine(NamedTuple):
    """One that is built: what sets its effort, and what searches for one query."""

    efforts: tuple[float, ...]
    effort: Callable[[float], object]
    search: Search
    bytes: int | None  # beside the float32 rows, where it can be asked


def hither_hnsw(base: Floats) -> Engine:
    import hither

    index = hither.Index(base.shape[1], kind="hnsw")
    index.add(base, wait=False)
    index.build()
    at = {"ef": 10}
    return Engine(
        EFFORTS,
        lambda e: at.update(ef=int(e)),
        lambda q: index.search(q, K, ef=at["ef"])[0],
        index.info()["bytes_built"],
    )


def hither_exact(base: Floats) -> Engine:
    import hither

    index = hither.Index(base.shape[1])
    index.add(base)
    return Engine((1,), lambda _: None, lambda q: index.search(q, K)[0], index.info()["bytes_extra"])


def hnswlib_hnsw(base: Floats) -> Engine:
    import hnswlib

    index = hnswlib.Index("ip", base.shape[1])
    index.init_index(len(base), ef_construction=200, M=16)
    index.add_items(base)
    index.set_num_threads(1)
    return Engine(EFFORTS, lambda e: index.set_ef(int(e)), lambda q: index.knn_query(q, K)[0][0], None)


def faiss_hnsw(base: Floats) -> Engine:
    import faiss

    index = faiss.IndexHNSWSQ(base.shape[1], faiss.ScalarQuantizer.QT_8bit, 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 200
    index.train(base)
    index.add(base)
    return Engine(
        EFFORTS,
        lambda e: setattr(index.hnsw, "efSearch", int(e)),
        lambda q: index.search(q[None], K)[1][0],
        faiss.serialize_index(index).nbytes,
    )


def faiss_fast_scan(base: Floats) -> Engine:
    import faiss

    dim = base.shape[1]
    lists = int(4 * np.sqrt(len(base)))
    inner = faiss.index_factory(dim, f"IVF{lists},PQ{dim // 4}x4fs", faiss.METRIC_INNER_PRODUCT)
    inner.train(base[:: max(1, len(base) // (lists * 50))])
    inner.add(base)
    index = faiss.IndexRefineFlat(inner, faiss.swig_ptr(base))
    index.k_factor = 8

    def effort(e: float) -> None:
        inner.nprobe = int(e)

    return Engine(
        (2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128),
        effort,
        lambda q: index.search(q[None], K)[1][0],
        faiss.serialize_index(inner).nbytes,
    )


def usearch_hnsw(base: Floats) -> Engine:
    from usearch.index import Index

    index = Index(ndim=base.shape[1], metric="cos", dtype="i8", connectivity=16, expansion_add=128)
    index.add(np.arange(len(base)), base)

    def effort(e: float) -> None:
        index.expansion_search = int(e)

    return Engine(EFFORTS, effort, lambda q: index.search(q, K, threads=1).keys, None)


def turbovec_scan(base: Floats) -> Engine:
    import turbovec

    index = turbovec.TurboQuantIndex(base.shape[1], 4)
    index.add(base)
    at = {"wide": K}

    def search(query: Floats) -> NDArray[Any]:
        found = np.asarray(index.search(query[None], at["wide"])[1])[0].astype(np.int64)
        return found[np.argsort(-(base[found] @ query))[:K]]

    return Engine((10, 20, 30, 60), lambda e: at.update(wide=int(e)), search, None)


ENGINES: dict[str, Callable[[Floats], Engine]] = {
    "hither hnsw": hither_hnsw,
    "hither exact": hither_exact,
    "hnswlib": hnswlib_hnsw,
    "faiss HNSW-SQ8": faiss_hnsw,
    "faiss IVF-PQ4fs + refine": faiss_fast_scan,
    "usearch i8": usearch_hnsw,
    "turbovec 4-bit + f32": turbovec_scan,
}
COLOURS = ("#d9480f", "#f59f00", "#495057", "#1971c2", "#4dabf7", "#2b8a3e", "#862e9c")


def duplicates(rows: int, dim: int, queries: int, seed: int) -> tuple[Floats, Floats]:
    """As spectral, with three rows in ten that another row is too."""
    base, asked = spectral(rows, dim, queries, seed)
    rng = np.random.default_rng(seed)
    copies = rng.choice(rows, rows * 3 // 10, replace=False)
    base[copies] = base[rng.integers(rows, size=len(copies))]
    return base, asked


def tiny(rows: int, dim: int, queries: int, seed: int) -> tuple[Floats, Floats]:
    """Clusters of about twelve rows, far from one another."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(rows // 12, dim)).astype(np.float32)

    def some(count: int) -> Floats:
        return unit(centres[rng.integers(len(centres), size=count)] + 0.3 * rng.normal(size=(count, dim)))

    return some(rows), some(queries)


DATA = {"spectral": spectral, "clustered": clustered, "noise": noise, "duplicates": duplicates, "tiny": tiny}


def truth_of(base: Floats, queries: Floats) -> NDArray[Any]:
    import hither

    return hither.knn(base, queries, K, "dot")[0]


def recalls(found: NDArray[Any], truth: NDArray[Any]) -> NDArray[Any]:
    return np.array([len(set(f) & set(t)) / K for f, t in zip(found.tolist(), truth.tolist(), strict=True)])


def version(name: str) -> str:
    package = {"hither": "hither", "faiss": "faiss-cpu"}.get(name.split()[0], name.split()[0])
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of the tree"


def build(name: str, base: Floats) -> tuple[Engine, dict[str, Any]]:
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    engine = ENGINES[name](base)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return engine, {"build_s": round(time.perf_counter() - began, 2), "build_cpu_s": round(cpu, 2)}


def measure(options: argparse.Namespace, base: Floats, queries: Floats) -> list[dict[str, Any]]:
    """A line an engine and effort."""
    truth = truth_of(base, queries)
    best: dict[tuple[str, float], dict[str, Any]] = {}
    built: dict[str, tuple[Engine, dict[str, Any]]] = {}
    for name in options.engines:
        try:
            built[name] = build(name, base)
        except ImportError as error:
            print(f"{name} is left out: {error}")
    for _ in range(options.rounds):
        for name, (engine, cost) in built.items():
            for effort in engine.efforts:
                engine.effort(effort)
                with Others() as others:
                    line = singles(engine.search, queries, warm=10)
                found = recalls(np.array([engine.search(q) for q in queries]), truth)
                line |= {"engine": name, "effort": effort, "recall": round(float(found.mean()), 4), **cost}
                line |= {"bytes": engine.bytes, "others": others.cpus, "version": version(name)}
                known = best.get((name, effort))
                if not known or line["cpu_p50_us"] < known["cpu_p50_us"]:
                    best[name, effort] = line
    return list(best.values())


def at_recall(lines: list[dict[str, Any]], name: str, recall: float) -> float | None:
    """CPU microseconds of a query where the curve of an engine crosses a recall; None where it does not."""
    points = sorted((p["recall"], p["cpu_p50_us"]) for p in lines if p["engine"] == name)
    for i, (r, t) in enumerate(points):
        if r >= recall:
            beyond = min(time for _, time in points[i:])
            if i == 0 or r == points[i - 1][0]:
                return float(beyond)
            low, before = points[i - 1]
            return float(min(beyond, before + (t - before) * (recall - low) / (r - low)))
    return None


def table(lines: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(line["engine"] for line in lines))
    out = [
        "| engine | " + " | ".join(f"us at {r:g}" for r in RECALLS) + " | x hnswlib at 0.95, 0.99 | build CPU s | MB |"
    ]
    out.append("|---|" + "---:|" * (len(RECALLS) + 3))
    for name in names:
        first = next(line for line in lines if line["engine"] == name)
        times = [at_recall(lines, name, r) for r in RECALLS]
        ratios = []
        for r, mine in zip(RECALLS[1:], times[1:], strict=True):
            theirs = at_recall(lines, "hnswlib", r)
            ratios.append(f"{theirs / mine:.1f}" if mine and theirs else "-")
        cells = [name, *(f"{t:,.0f}" if t else "-" for t in times), ", ".join(ratios), f"{first['build_cpu_s']:.1f}"]
        cells.append(f"{first['bytes'] / 1e6:.0f}" if first["bytes"] else "")
        out.append(f"| {' | '.join(cells)} |")
    return "\n".join(out)


def receipts(rows: int, dim: int, count: int, seed: int) -> list[dict[str, Any]]:
    """What a recall that was asked for was on each kind of data: before any query was seen, and after tune()."""
    import hither

    lines = []
    for name, make in DATA.items():
        base, queries = make(rows, dim, 2 * count, seed)
        asked, seen = queries[:count], queries[count:]
        index = hither.Index(dim, kind="hnsw")
        index.add(base, wait=False)
        index.build()
        truth = truth_of(base, asked)
        for when in ("as built", "tuned"):
            for recall in (0.95, 0.99, 0.999):
                got = np.sort(recalls(index.search(asked, K, recall=recall)[0], truth))
                plan = index.explain(asked[:1], K, recall=recall)
                line = {"data": name, "when": when, "asked": recall, "mean": round(float(got.mean()), 4)}
                line |= {"worst_decile": round(float(got[: count // 10].mean()), 4)}
                line |= {"ef": plan.get("walk", {}).get("ef", 0), "why": plan.get("why", "")}
                lines.append(line)
            for query in seen:
                index.search(query, K)
            index.tune()
    return lines


def receipt_table(lines: list[dict[str, Any]]) -> str:
    out = ["| data | when | asked | mean | worst decile | ef |", "|---|---|---:|---:|---:|---:|"]
    for p in lines:
        cells = (p["data"], p["when"], p["asked"], p["mean"], p["worst_decile"], p["ef"] or p["why"])
        out.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(out)


def draw(lines: list[dict[str, Any]], title: str, path: Path) -> bool:
    """Recall against queries a second of CPU time; False without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 5))
    for name, colour in zip(ENGINES, COLOURS, strict=True):
        points = sorted((p["recall"], 1e6 / p["cpu_p50_us"]) for p in lines if p["engine"] == name)
        points = [p for p in points if p[0] >= 0.8]
        if points:
            axis.plot(*np.array(points).T, marker="o", markersize=4, color=colour, label=name)
    axis.set(yscale="log", xlabel=f"recall@{K}", ylabel="queries a second of CPU time, one thread (more is better)")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return True


def keep(about: dict[str, Any], lines: list[dict[str, Any]], part: str) -> None:
    path = ROOT / "bench" / "results" / f"ann-{part}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(about | line) + "\n")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench/run.py ann", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20,000 rows, 100 queries, one round")
    parser.add_argument("--data", choices=list(DATA), default="spectral")
    parser.add_argument("--file", type=Path, help="rows of your own, .npy; --asked has the queries")
    parser.add_argument("--asked", type=Path, help="queries for --file, .npy")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--only", nargs="+", choices=("curves", "receipts"), default=("curves", "receipts"))
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "images" / "ann.png")
    parser.add_argument("--no-picture", action="store_true")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rows, options.queries, options.rounds = min(options.rows, 20_000), 100, 1
    about = machine() | {
        "rows": options.rows,
        "dim": options.dim,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    if "curves" in options.only:
        base, queries = DATA[options.data](options.rows, options.dim, options.queries, options.seed)
        what = options.data
        if options.file:
            base = unit(np.load(options.file, mmap_mode="r")[: options.rows].astype(np.float32))
            queries = unit(np.load(options.asked)[: options.queries].astype(np.float32))
            what = "rows of a file"
        lines = measure(options, base, queries)
        keep(about | {"data": what}, lines, "curves")
        title = f"{len(base):,} rows of {base.shape[1]} dimensions ({what}), k = {K}"
        print(f"{title}\n\n{table(lines)}\n")
        if not options.no_picture:
            drawn = draw(lines, title, options.picture)
            print(f"picture: {options.picture}" if drawn else "no picture: matplotlib is not installed")
    if "receipts" in options.only:
        made = receipts(min(options.rows, 20_000), 96 if options.quick else options.dim, 200, options.seed)
        keep(about, made, "receipts")
        print(f"\nrecall asked for and got\n\n{receipt_table(made)}")
    return 0
