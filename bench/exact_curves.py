"""How exact search scales: the time of one query by rows, by k and by dimension, and the picture of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from exact_goals import Call, faiss_flat, take_turns
from measure import Floats, clustered

ROWS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000)
KS = (1, 10, 100, 1_000, 10_000)
DIMS = (64, 128, 256, 384, 768, 1_536, 4_096)
NAMES = {"index": "hither Index", "knn": "hither knn, no codes", "faiss": "faiss IndexFlatIP", "nseekfs": "NSeekFS"}
COLOURS = {"index": "#d9480f", "knn": "#f59f00", "faiss": "#495057", "nseekfs": "#1971c2"}


def point(curve: str, x: int, base: Floats, queries: Floats, k: int) -> dict[str, Any]:
    """P50 and P99 in microseconds of everybody at one place of a curve."""
    import hither

    index, flat = hither.Index.wrap(base, "dot"), faiss_flat(base)
    calls: dict[str, Call] = {
        "index": lambda i: index.search(queries[i], k),
        "knn": lambda i: hither.knn(base, queries[i], k, "dot", threads=1),
        "faiss": lambda i: flat.search(queries[i : i + 1], k),
    }
    try:
        import nseekfs
    except ImportError:
        pass
    else:
        if curve == "rows":
            other = nseekfs.from_embeddings(base, metric="dot", normalized=True)
            calls["nseekfs"] = lambda i: other.query_simple_arrays(queries[i], k)
    times = take_turns(list(calls.values()), len(queries), turns=3, a_turn=25)
    line: dict[str, Any] = {"curve": curve, "x": x, "rows": len(base), "dim": base.shape[1], "k": k}
    for name, timing in zip(calls, times, strict=True):
        line[name] = {"p50_us": round(timing.p50 * 1e6, 1), "p99_us": round(timing.p99 * 1e6, 1)}
    return line


def points(quick: bool, seed: int) -> Iterator[dict[str, Any]]:
    """All places of all curves; quick: none above 100,000 rows."""
    base, queries = clustered(100_000, 384, 100, seed)
    for k in KS:
        yield point("k", k, base, queries, k)
    for rows in ROWS:
        if rows > len(base):
            if quick:
                break
            base, queries = clustered(ROWS[-1], 384, 100, seed)
        yield point("rows", rows, base[:rows], queries, 10)
    for dim in DIMS:
        yield point("dim", dim, *clustered(20_000, dim, 100, seed), 10)


def worker(quick: bool, seed: int) -> None:
    """All points as JSON on standard output, each as soon as it is measured."""
    for line in points(quick, seed):
        print(json.dumps(line), flush=True)


def table(lines: list[dict[str, Any]]) -> str:
    """P50 and P99 in Markdown."""
    out = ["| by | rows | dim | k | " + " | ".join(f"{name}: P50 us | P99 us" for name in NAMES.values()) + " |"]
    out.append("|---" * 4 + "|---:" * (2 * len(NAMES)) + "|")
    for line in lines:
        cells = [line["curve"], f"{line['rows']:,}", f"{line['dim']:,}", f"{line['k']:,}"]
        for name in NAMES:
            cells += [f"{line[name]['p50_us']:,.0f}", f"{line[name]['p99_us']:,.0f}"] if name in line else ["", ""]
        out.append(f"| {' | '.join(cells)} |")
    return "\n".join(out)


def draw(lines: list[dict[str, Any]], title: str, path: Path) -> bool:
    """One panel a curve, both axes logarithmic; False without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter

    panels = (("rows", "rows (384 dimensions, k = 10)"), ("k", "k (100,000 rows)"), ("dim", "dimensions (20,000 rows)"))
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.4))
    for axis, (curve, label) in zip(axes, panels, strict=True):
        part = [line for line in lines if line["curve"] == curve]
        for name in NAMES:
            there = [(line["x"], line[name]["p50_us"] / 1000) for line in part if name in line]
            if there:
                axis.plot(*np.array(there).T, marker="o", markersize=4, color=COLOURS[name], label=NAMES[name])
        axis.set(xscale="log", yscale="log", xlabel=label)
        ticks = [line["x"] for line in part]
        axis.set_xticks(ticks if len(ticks) < 8 else ticks[::2])
        axis.minorticks_off()
        plain = FuncFormatter(lambda x, _: f"{x:,.0f}")
        short = FuncFormatter(lambda x, _: f"{x / 1000:g}k" if x >= 1000 else f"{x:g}")
        axis.xaxis.set_major_formatter(plain if curve == "dim" else short)
        axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("one query, ms at P50 (less is better)")
    axes[0].legend(frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return True
