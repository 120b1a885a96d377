"""What the suite's figures say of its goals: one line a goal, with whom hither is measured beside and by how much.

Functions for bench/database.py.
"""

from __future__ import annotations

from typing import Any

LARGE, SMALL = "100000 rows", "20000 rows"


def _best_other(engines: dict[str, Any], job: str) -> tuple[str, float] | None:
    times = {name: one[job]["p50_ms"] for name, one in engines.items() if name != "hither" and job in one}
    return min(times.items(), key=lambda one: one[1]) if times else None


def _line(what: str, reference: str, figure: str, goal: str, reached: bool) -> tuple[str, ...]:
    return what, reference, figure, goal, "yes" if reached else "NO"


def _filtered(found: dict[str, Any], job: str, least: float) -> list[tuple[str, ...]]:
    engines = found.get(LARGE, {})
    other = _best_other(engines, job)
    if other is None or job not in engines.get("hither", {}):
        return []
    here, (name, there) = engines["hither"][job], other
    ratio = there / here["p50_ms"]
    figure = f"{here['p50_ms']:.3f} ms, recall {here['recall']:.3f}: {ratio:.1f} x"
    missed = engines[name][job]["recall"]
    reached = ratio >= least and here["recall"] == 1
    return [_line(job, f"{name} {there:.3f} ms, recall {missed:.3f}", figure, f"{least:.0f} x, recall 1", reached)]


def _payloads(found: dict[str, Any]) -> list[tuple[str, ...]]:
    engines = {name: one for name, one in found.get(SMALL, {}).items() if name != "turbovec mask"}  # it has none
    job = "search + 10 payloads"
    other = _best_other(engines, job)
    if other is None or job not in engines.get("hither", {}):
        return []
    here, (name, there) = engines["hither"][job]["p50_ms"], other
    reached = here < there and here < 0.15
    return [_line(f"{job}, 20,000 rows", f"{name} {there:.3f} ms", f"{here:.3f} ms", "first, < 0.15 ms", reached)]


def _sets(found: dict[str, Any]) -> list[tuple[str, ...]]:
    sets = found.get("row sets", {})
    if "10 %" not in sets:
        return []
    ten = sets["10 %"]
    return [
        _line(
            "row set of two fields, 10 %, another filter",
            f"SQLite {ten['sqlite_ms']:.2f} ms",
            f"{ten['other_ms']:.2f} ms",
            "not slower",
            ten["other_ms"] <= ten["sqlite_ms"],
        ),
        _line("the same filter again", "-", f"{ten['warm_ms']:.3f} ms", "< 1 ms", ten["warm_ms"] < 1),
    ]


def _words(found: dict[str, Any]) -> list[tuple[str, ...]]:
    words = found.get("words", {})
    if "bm25" not in words:
        return []
    worst = min(words["bm25"].values(), key=lambda one: one["fts5_s"] / one["here_s"])
    ratio, share = worst["fts5_s"] / worst["here_s"], words["recall"]
    alone = max(share["vector"], share["keyword"])
    return [
        _line(
            "BM25 top 100, five common words (the least)",
            f"FTS5 {worst['fts5_s'] * 1e3:.1f} ms",
            f"{worst['here_s'] * 1e3:.2f} ms: {ratio:.0f} x",
            "20 x",
            ratio >= 20,
        ),
        _line(
            f"lemma to gloss, {words['lemmas']} lemmas, recall@10",
            f"vector {share['vector']:.3f}, words {share['keyword']:.3f}",
            f"hybrid {share['hybrid']:.3f}",
            "better than both",
            share["hybrid"] > alone,
        ),
    ]


def show(found: dict[str, Any]) -> None:
    lines = [
        ("work", "reference", "hither", "goal", "reached"),
        *_filtered(found, "filter 1 % random", 3),
        *_filtered(found, "filter 10 % near", 2),
        *_sets(found),
        *_words(found),
        *_payloads(found),
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(5)]
    print("\ngoals")
    for line in lines:
        print("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
