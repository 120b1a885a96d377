"""What the suite `ann` measures beside its curves: filters, live inserts, what a call costs; and all goals."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_peers import K, recalls
from measure import Floats, clustered

Lines = list[dict[str, Any]]
Time = Callable[[str, float], float | None]


def apart(job: Callable[..., Lines], *arguments: object) -> Lines:
    """The lines of a job that has a process of its own, with one thread an engine; none where it ended early."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[variable] = "1"
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, job, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        return list(ours.recv()) if ours.poll(600) else []
    except EOFError:
        return []
    finally:
        process.kill()
        process.join()


def _run(pipe: Connection, job: Callable[..., Lines], arguments: tuple[object, ...]) -> None:
    pipe.send(job(*arguments))


def _there(makers: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    made = {}
    for name, make in makers.items():
        try:
            made[name] = make()
        except ModuleNotFoundError as error:
            print(f"{name} is left out: {error.name} is not installed", flush=True)
    return made


# ---- filters


def _masks(base: Floats, share: float, near: bool, seed: int, count: int = 8) -> list[NDArray[np.bool_]]:
    """Rows by chance, or those that are nearest to one of them."""
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(count):
        mask = rng.random(len(base)) < share
        if near:
            products = base @ base[rng.integers(len(base))]
            mask = products >= np.partition(products, -int(len(base) * share))[-int(len(base) * share)]
        masks.append(mask)
    return masks


def _filtered(base: Floats) -> dict[str, Callable[[], Any]]:
    """How each engine is given a query and a mask that was made beforehand."""

    def ours() -> Any:
        import hither

        index = hither.Index(base.shape[1], "hnsw", "cosine", m=24)
        index.add(base)
        return lambda q, mask: index.search(q, K, allow=mask, recall=0.99)[0]

    def turbovec_mask() -> Any:
        import turbovec

        index = turbovec.TurboQuantIndex(base.shape[1], 4)
        index.add(base)
        index.prepare()

        def search(q: Floats, mask: NDArray[np.bool_]) -> NDArray[Any]:
            found = np.asarray(index.search(q[None], 30, mask=mask)[1])[0].astype(np.int64)
            return found[np.argsort(-(base[found] @ q))[:K]]

        return search

    def hnswlib_filter() -> Any:
        import hnswlib

        index = hnswlib.Index("ip", base.shape[1])
        index.init_index(len(base), ef_construction=200, M=16)
        index.add_items(base)
        index.set_ef(48)
        return lambda q, mask: index.knn_query(q, K, num_threads=1, filter=mask.tolist().__getitem__)[0][0]

    return {"hither": ours, "turbovec mask": turbovec_mask, "hnswlib filter": hnswlib_filter}


def filters(folder: str, count: int, seed: int) -> Lines:
    """Recall and time of filtered queries; engines take turns, a mask at a time."""
    import hither

    base, queries = np.load(f"{folder}/base.npy"), np.load(f"{folder}/queries.npy")[:count]
    engines = _there(_filtered(base))
    lines = []
    for what, share, near in (("1 % of rows, by chance", 0.01, False), ("10 % of rows, near one", 0.1, True)):
        taken: dict[str, list[float]] = {name: [] for name in engines}
        got: dict[str, list[float]] = {name: [] for name in engines}
        masks = _masks(base, share, near, seed)
        for at, mask in enumerate(masks):
            slots, asked = np.flatnonzero(mask), queries[at :: len(masks)]
            truth = slots[hither.knn(base[mask], asked, K, "dot")[0]]
            for name, search in engines.items():
                some = asked[: 8 if name == "hnswlib filter" else None]  # a call of Python's a node: it takes its time
                search(some[0], mask)
                found = []
                for query in some:
                    began = time.process_time()
                    found.append(search(query, mask))
                    taken[name].append(time.process_time() - began)
                got[name] += recalls(np.array(found), truth[: len(some)]).tolist()
        for name, all_ in taken.items():
            line = {"job": "filter", "what": what, "engine": name, "cpu_us": round(float(np.median(all_)) * 1e6, 1)}
            lines.append(line | {"recall": round(float(np.mean(got[name])), 4)})
    return lines


# ---- live inserts


def _growing(base: Floats, start: int) -> dict[str, Callable[[], Any]]:
    """A way to add row i, and one to search."""

    def ours() -> Any:
        import hither

        index = hither.Index(base.shape[1], "hnsw", "cosine", m=24)
        index.add(base[:start])
        return lambda i: index.add(base[i : i + 1]), lambda q: index.search(q, K)

    def hnswlib_() -> Any:
        import hnswlib

        index = hnswlib.Index("ip", base.shape[1])
        index.init_index(len(base), ef_construction=200, M=16)
        index.add_items(base[:start])
        index.set_ef(48)
        return (
            lambda i: index.add_items(base[i : i + 1], [i], num_threads=1),
            lambda q: index.knn_query(q, K, num_threads=1),
        )

    def usearch_() -> Any:
        from usearch.index import Index

        index = Index(ndim=base.shape[1], metric="ip", dtype="i8", connectivity=16, expansion_add=128)
        index.add(np.arange(start), base[:start])
        return lambda i: index.add(i, base[i], threads=1), lambda q: index.search(q, K, threads=1)

    return {"hither": ours, "hnswlib": hnswlib_, "usearch i8": usearch_}


def _times(call: Callable[[Any], object], over: Any) -> NDArray[Any]:
    taken = []
    for x in over:
        began = time.perf_counter()
        call(x)
        taken.append(time.perf_counter() - began)
    return np.array(taken) * 1e6


def inserts(folder: str, start: int, count: int) -> Lines:
    """Rows one by one, each to be found at once: what one costs, all that is put off included; then searches beside a
    thread that goes on adding."""
    base, queries = np.load(f"{folder}/base.npy"), np.load(f"{folder}/queries.npy")
    lines = []
    for name, (add, search) in _there(_growing(base, start)).items():
        search(queries[0])
        began, cpu = time.perf_counter(), time.process_time()
        one = _times(add, range(start, start + count))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        idle = _times(search, queries)
        ends, added = threading.Event(), [start + count]

        def go_on(add: Callable[[int], object] = add, ends: Any = ends, added: list[int] = added) -> None:
            while not ends.is_set() and added[0] < len(base):
                add(added[0])
                added[0] += 1
                time.sleep(0.001)

        writer = threading.Thread(target=go_on)
        writer.start()
        beside = np.concatenate([_times(search, queries) for _ in range(4)])
        ends.set()
        writer.join()
        line = {
            "job": "insert",
            "engine": name,
            "p50_us": float(np.median(one)),
            "p99_us": float(np.percentile(one, 99)),
        }
        line |= {"rows_s": count / seconds, "cpu_us": cpu / count * 1e6, "added_beside": added[0] - start - count}
        line |= {"idle_p99_us": float(np.percentile(idle, 99)), "beside_p99_us": float(np.percentile(beside, 99))}
        lines.append({key: round(v, 1) if isinstance(v, float) else v for key, v in line.items()})
    return lines


# ---- a call


def calls(dim: int, seed: int) -> Lines:
    """Microseconds of a search among 200 rows, where there is next to nothing to compute."""
    base, queries = clustered(200, dim, 200, seed)

    def ours() -> Any:
        import hither

        index = hither.Index(dim, metric="dot")
        index.add(base)
        return lambda q: index.search(q, K)

    def hnswlib_() -> Any:
        import hnswlib

        index = hnswlib.Index("ip", dim)
        index.init_index(200, ef_construction=200, M=16)
        index.add_items(base)
        return lambda q: index.knn_query(q, K, num_threads=1)

    def faiss_() -> Any:
        import faiss

        index = faiss.IndexFlatIP(dim)
        index.add(base)
        return lambda q: index.search(q[None], K)

    def usearch_() -> Any:
        from usearch.index import Index

        index = Index(ndim=dim, metric="ip", dtype="f32")
        index.add(np.arange(200), base)
        return lambda q: index.search(q, K, threads=1)

    engines = _there({"hither": ours, "hnswlib": hnswlib_, "faiss Flat": faiss_, "usearch": usearch_})
    best = dict.fromkeys(engines, float("inf"))
    for _ in range(10):
        for name, search in engines.items():
            best[name] = min(best[name], float(np.median(_times(search, queries))))
    return [{"job": "call", "engine": name, "p50_us": round(us, 2)} for name, us in best.items()]


# ---- goals


def _row(work: str, reference: str, theirs: str, ours: str, figure: float, goal: float, most: bool = False) -> str:
    reached = figure <= goal if most else figure >= goal
    words = f"at most {goal:g}" if most else f"at least {goal:g} x"
    shown = f"{figure:.3g}" + ("" if most else " x")
    return f"| {work} | {reference} | {theirs} | {ours} | {shown} | {words} | {'yes' if reached else 'NO'} |"


def _quick(
    rows: list[str], work: str, time_of: Time, names: list[str], recall: float, goals: tuple[float, float]
) -> None:
    """Our graph beside hnswlib, and beside the best of the others; a time a query, so less is better."""
    mine = time_of("hither hnsw", recall)
    known = {name: t for name in names if (t := time_of(name, recall)) and not name.startswith("hither")}
    if not mine or not known:
        return
    best = min(known, key=lambda name: known[name])
    beside = [("hnswlib", goals[0])] if "hnswlib" in known and goals[0] else []
    for name, goal in [*beside, (best, goals[1])]:
        label = f"the best of the others: {name}" if (name, goal) == (best, goals[1]) else name
        rows.append(
            _row(
                f"{work}, recall {recall:g}",
                label,
                f"{known[name]:,.0f} us",
                f"{mine:,.0f} us",
                known[name] / mine,
                goal,
            )
        )


def table(
    one: Time, two: Time, far: Time, abouts: dict[str, dict[str, Any]], lines: Lines, rows: int, far_rows: int
) -> str:
    """The goals beside what was measured, in Markdown."""
    out = ["| work | reference | its figure | hither | figure | goal | reached |", "|---|---|---:|---:|---:|---|---|"]
    names = list(abouts)
    size = f"{rows:,} rows"
    for recall, goal in ((0.95, 3.8), (0.99, 2.8)):
        _quick(out, f"{size}, one thread", one, names, recall, (goal, 1.3))
    for recall in (0.95, 0.99):
        _quick(out, f"{size}, two threads", two, names, recall, (0, 1.3))
    for recall in (0.95, 0.99):
        theirs, mine = far("faiss IVF-PQ fast scan", recall), far("hither hnsw", recall)
        if theirs and mine:
            out.append(
                _row(
                    f"{far_rows:,} rows in clusters, recall {recall:g}",
                    "faiss IVF-PQ",
                    f"{theirs:,.0f} us",
                    f"{mine:,.0f} us",
                    theirs / mine,
                    1.5,
                )
            )
    mine, theirs = abouts.get("hither hnsw", {}), abouts.get("hnswlib", {})
    if "build_s" in mine and "build_s" in theirs:
        times = f"{theirs['build_s']:.1f} s", f"{mine['build_s']:.1f} s"
        out.append(_row(f"build of {size}, two threads", "hnswlib", *times, theirs["build_s"] / mine["build_s"], 3))
    if "bytes" in mine:
        mb = mine["bytes"] / 1e6
        out.append(_row(f"memory beside {size}, MB", "-", "", f"{mb:.0f}", mb, 60, most=True))
    return "\n".join(out + _other_rows(lines))


def _other_rows(lines: Lines) -> list[str]:
    out = []
    by = {(line["job"], line.get("what", ""), line["engine"]): line for line in lines}
    for what, goal in (("1 % of rows, by chance", 3.0), ("10 % of rows, near one", 1.5)):
        mine, theirs = by.get(("filter", what, "hither")), by.get(("filter", what, "turbovec mask"))
        if mine and theirs:
            figures = (f"{p['cpu_us']:,.0f} us, recall {p['recall']:.3f}" for p in (theirs, mine))
            out.append(_row(f"filter: {what}", "turbovec mask", *figures, theirs["cpu_us"] / mine["cpu_us"], goal))
    mine, theirs = by.get(("insert", "", "hither")), by.get(("insert", "", "hnswlib"))
    if mine:
        if theirs:
            figures = (f"{p['rows_s']:,.0f} a second" for p in (theirs, mine))
            out.append(_row("live inserts, one a call", "hnswlib", *figures, mine["rows_s"] / theirs["rows_s"], 10))
        idle, beside = mine["idle_p99_us"], mine["beside_p99_us"]
        out.append(
            _row(
                "P99 of a search beside inserts", "idle", f"{idle:,.0f} us", f"{beside:,.0f} us", beside / idle, 2, True
            )
        )
    mine, theirs = by.get(("call", "", "hither")), by.get(("call", "", "hnswlib"))
    if mine:
        figure = f"{theirs['p50_us']:.1f} us" if theirs else ""
        out.append(
            _row("a call among 200 rows, us", "hnswlib", figure, f"{mine['p50_us']:.1f} us", mine["p50_us"], 5, True)
        )
    return out


def other_table(lines: Lines) -> str:
    """Filters and inserts of everybody, in Markdown."""
    out = ["| filter | engine | us | recall |", "|---|---|---:|---:|"]
    for p in lines:
        if p["job"] == "filter":
            out.append(f"| {p['what']} | {p['engine']} | {p['cpu_us']:,.0f} | {p['recall']:.3f} |")
    out += [
        "",
        "| inserts | rows a second | P50 us | P99 us | search P99 idle | beside inserts |",
        "|---|" + "---:|" * 5,
    ]
    for p in lines:
        if p["job"] == "insert":
            cells = (p["rows_s"], p["p50_us"], p["p99_us"], p["idle_p99_us"], p["beside_p99_us"])
            out.append(f"| {p['engine']} | " + " | ".join(f"{c:,.0f}" for c in cells) + " |")
    return "\n".join(out)
