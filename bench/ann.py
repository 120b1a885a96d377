"""Approximate search: recall and time of hither's graph and lists, and of the engines there are beside them.

Everybody gets the same rows and queries, through its Python interface, and is built once, on two threads, in a process
of its own. Its curve is recall@10 against the mean CPU time of a query (of its process: threads that wait busily
count), one query a call, with rising effort; and a batch of 1,000 on two threads, by the clock. Engines take turns.
Filters, live inserts, the cost of a call and half a million rows follow, and all goals in one table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ann_goals
from ann_peers import ABSENT, ENGINES, ENOUGH, OWN_THREADS, THREADS, K, Peer, recalls, version
from measure import Floats, clustered, machine, noise, spectral, unit

ROOT = Path(__file__).resolve().parents[1]
RECALLS = (0.9, 0.95, 0.99)
PARTS = ("curves", "goals", "far", "receipts")
MARKS = ("<!-- written by bench/run.py ann: begin -->", "<!-- written by bench/run.py ann: end -->")


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


def serve(names: list[str], folder: str) -> tuple[dict[str, Peer], dict[str, str]]:
    """Builds one engine after another; those that did not come about, with the reason."""
    peers, left_out = {}, dict(ABSENT)
    for name in names:
        peer = Peer(name, folder)
        if reason := peer.about.get("left_out"):
            left_out[name] = reason
            peer.close()
        else:
            peers[name] = peer
            print(f"{name}: built in {peer.about['build_s']:.1f} s", flush=True)
    return peers, left_out


def singly(peers: dict[str, Peer], rounds: int, queries: int) -> list[dict[str, Any]]:
    """A line an engine and effort, of one thread; engines take turns, and the least disturbed round counts."""
    best: dict[tuple[str, int], dict[str, Any]] = {}
    for _ in range(rounds):
        for name, peer in list(peers.items()):
            for effort in peer.about["efforts"]:
                line = peer.ask("one", effort, queries)
                if "left_out" in line:
                    print(f"{name} came to an end: {line['left_out']}")
                    peers.pop(name)
                    break
                known = best.get((name, effort))
                if not known or line["cpu_us"] < known["cpu_us"]:
                    best[name, effort] = line | {"engine": name, "effort": effort, "version": version(name)}
                if line["recall"] >= ENOUGH:
                    break
    return list(best.values())


def together(peers: dict[str, Peer], lines: list[dict[str, Any]], folder: str) -> None:
    """Adds what a batch on two threads takes to the lines."""
    for name, peer in peers.items():
        mine = peer if name not in OWN_THREADS else Peer(name, folder, THREADS)
        for line in lines:
            if line["engine"] == name and line["recall"] >= 0.8:
                got = mine.ask("many", line["effort"])
                if "left_out" in got:
                    break
                line |= {"batch_us": round(1e6 / got["batch_qps"], 2), "batch_others": got["others"]}
        if mine is not peer:
            mine.close()


def at_recall(lines: list[dict[str, Any]], name: str, recall: float, what: str = "cpu_us") -> float | None:
    """Microseconds of a query where the curve of an engine crosses a recall; None where it does not."""
    points = sorted((p["recall"], p[what]) for p in lines if p["engine"] == name and what in p)
    for i, (r, t) in enumerate(points):
        if r >= recall:
            beyond = min(time for _, time in points[i:])
            if i == 0 or r == points[i - 1][0]:
                return float(beyond)
            low, before = points[i - 1]
            return float(min(beyond, before + (t - before) * (recall - low) / (r - low)))
    return None


def table(lines: list[dict[str, Any]], abouts: dict[str, dict[str, Any]]) -> str:
    columns = [*(f"us at {r:g}" for r in RECALLS), "x hnswlib at 0.95, 0.99", "two threads, queries/s at 0.95, 0.99"]
    out = [f"| engine | {' | '.join(columns)} | build s | MB beside the rows |", "|---|" + "---:|" * (len(RECALLS) + 4)]
    for name, about in abouts.items():
        times = [at_recall(lines, name, r) for r in RECALLS]
        ratios, batches = [], []
        for r, mine in zip(RECALLS[1:], times[1:], strict=True):
            theirs, batch = at_recall(lines, "hnswlib", r), at_recall(lines, name, r, "batch_us")
            ratios.append(f"{theirs / mine:.1f}" if mine and theirs else "-")
            batches.append(f"{1e6 / batch:,.0f}" if batch else "-")
        cells = [f"{name} {version(name)}", *(f"{t:,.0f}" if t else "-" for t in times), ", ".join(ratios)]
        cells += [", ".join(batches), f"{about['build_s']:.1f}", f"{about['bytes'] / 1e6:.0f}"]
        out.append(f"| {' | '.join(cells)} |")
    return "\n".join(out)


def words_of(abouts: dict[str, dict[str, Any]], left_out: dict[str, str]) -> str:
    tuned = "; ".join(f"{name}: {about['about']}" for name, about in abouts.items() if about["about"])
    return f"{tuned}.\n\nLeft out: {'; '.join(f'{name} ({why})' for name, why in left_out.items())}."


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


def draw(lines: list[dict[str, Any]], abouts: dict[str, dict[str, Any]], title: str, path: Path) -> bool:
    """Recall against queries a second of CPU time, and what building took; False without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (axis, side) = plt.subplots(1, 2, figsize=(13, 5.6), width_ratios=(1.5, 1))
    for i, name in enumerate(abouts):
        colour, mark = plt.colormaps["tab20"](i % 20), "o" if name.startswith("hither") else "."
        points = sorted((p["recall"], 1e6 / p["cpu_us"]) for p in lines if p["engine"] == name and p["recall"] >= 0.8)
        if points:
            wide = 2.4 if name.startswith("hither") else 1.2
            axis.plot(*np.array(points).T, marker=mark, color=colour, linewidth=wide, label=name)
        about = abouts[name]
        side.scatter(max(about["build_s"], 0.1), max(about["bytes"] / 1e6, 1), color=colour, marker="o", s=36)
        side.annotate(f" {name}", (max(about["build_s"], 0.1), max(about["bytes"] / 1e6, 1)), fontsize=8)
    axis.set(yscale="log", xlabel=f"recall@{K}", ylabel="queries a second of CPU time, one thread (more is better)")
    side.set(xscale="log", yscale="log", xlabel="seconds to build, two threads", ylabel="MB beside the rows")
    side.margins(x=0.25)
    for each in (axis, side):
        each.grid(alpha=0.25)
        each.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8, ncols=2)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    return True


def keep(about: dict[str, Any], lines: list[dict[str, Any]], part: str) -> None:
    path = ROOT / "bench" / "results" / f"ann-{part}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(about | line) + "\n")


def write_down(report: str, path: Path) -> None:
    """Into the page, between the two marks that are there for it."""
    page = path.read_text(encoding="utf-8")
    before, rest = page.split(MARKS[0])
    path.write_text(f"{before}{MARKS[0]}\n\n{report}\n\n{MARKS[1]}{rest.split(MARKS[1])[1]}", encoding="utf-8")


def store(folder: str, base: Floats, queries: Floats) -> None:
    """What the engines' processes read."""
    for name, array in (("base", base), ("queries", queries), ("truth", truth_of(base, queries))):
        np.save(f"{folder}/{name}.npy", array)


def curves(options: argparse.Namespace, folder: str) -> tuple[list[dict[str, Any]], dict[str, Any], str]:
    """The lines of all engines, what building them took, and the table."""
    peers, left_out = serve(options.engines, folder)
    abouts = {name: peer.about for name, peer in peers.items()}
    lines = singly(peers, options.rounds, options.queries)
    together(peers, lines, folder)
    for peer in peers.values():
        peer.close()
    return lines, abouts, f"{table(lines, abouts)}\n\n{words_of(abouts, left_out)}"


def far(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Half a million rows in clusters, one thread."""
    with tempfile.TemporaryDirectory(prefix="hither-ann-") as folder:
        store(folder, *clustered(options.far, options.dim, options.queries, options.seed))
        peers, _ = serve(["hither hnsw", "faiss IVF-PQ fast scan"], folder)
        lines = singly(peers, 1, options.queries)
        for peer in peers.values():
            peer.close()
    return lines


def arguments_of(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py ann", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20,000 rows, one round; nothing is written down")
    parser.add_argument("--data", default="spectral", help=f"{', '.join(DATA)}, or rows of your own, .npy")
    parser.add_argument("--asked", type=Path, help="queries for rows of your own, .npy; else the last of the rows")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--far", type=int, default=500_000, help="rows in clusters, beside faiss")
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--queries", type=int, default=300, help="of one thread; 1,000 are asked at once on two")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "images" / "ann.png")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "performance.md", help="where the tables go")
    parser.add_argument("--no-docs", action="store_true", help="neither a picture nor a page")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rows, options.rounds, options.no_docs = min(options.rows, 20_000), 1, True
        options.far = min(options.far, 50_000)
    return options


def data_of(options: argparse.Namespace) -> tuple[Floats, Floats, str]:
    if options.data in DATA:
        return *DATA[options.data](options.rows, options.dim, 1000, options.seed), options.data
    rows = np.load(options.data, mmap_mode="r")
    if options.asked:
        asked = np.load(options.asked, mmap_mode="r")[:1000]
    else:
        rows, asked = rows[:-1000], rows[-1000:]
    return unit(rows[: options.rows].astype(np.float32)), unit(asked.astype(np.float32)), "rows of a file"


def main(arguments: list[str]) -> int:
    options = arguments_of(arguments)
    about = machine() | {"rows": options.rows, "dim": options.dim}
    about["at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    report: list[str] = []
    with tempfile.TemporaryDirectory(prefix="hither-ann-") as folder:
        base, queries, what = data_of(options)
        store(folder, base, queries)
        title = f"{len(base):,} rows of {base.shape[1]} dimensions ({what}), k = {K}"
        lines, abouts, text = curves(options, folder) if "curves" in options.only else ([], {}, "")
        more = []
        if "goals" in options.only:
            more += ann_goals.apart(ann_goals.filters, folder, min(len(queries), 400), options.seed)
            more += ann_goals.apart(ann_goals.inserts, folder, len(base) * 2 // 5, min(len(base) // 10, 4000))
            more += ann_goals.apart(ann_goals.calls, options.dim, options.seed)
    away = far(options) if "far" in options.only else []
    for part, kept in (("curves", lines), ("goals", more), ("far", away)):
        keep(about | {"data": what}, kept, part)
    goals = ann_goals.table(
        lambda name, recall: at_recall(lines, name, recall),
        lambda name, recall: at_recall(lines, name, recall, "batch_us"),
        lambda name, recall: at_recall(away, name, recall),
        abouts,
        more,
        len(base),
        options.far,
    )
    report += [f"{title}. {about['cpu']}, {about['cpus']} CPUs.", goals, text]
    if more:
        report.append(ann_goals.other_table(more))
    print("\n\n".join(report))
    if not options.no_docs and lines and draw(lines, abouts, title, options.picture):
        write_down("\n\n".join([*report, "![Recall and queries a second](images/ann.png)"]), options.page)
        print(f"\npicture: {options.picture}; tables: {options.page}")
    if "receipts" in options.only:
        made = receipts(min(options.rows, 20_000), 96 if options.quick else options.dim, 200, options.seed)
        keep(about, made, "receipts")
        print(f"\nrecall asked for and got\n\n{receipt_table(made)}")
    return 0
