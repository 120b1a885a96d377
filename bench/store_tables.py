"""The tables of suite store: its goals, each with the figure beside it, then every measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Payload = dict[str, Any]
OTHERS = ("srvdb", "lancedb", "chroma", "sqlite-vec", "zvec")


class Lines:
    """The lines of a run, by job and by what else is asked of them."""

    def __init__(self, lines: list[Payload]) -> None:
        self.lines = lines

    def all(self, job: str, **wanted: object) -> list[Payload]:
        """Those of a job with these values; None: without that key."""
        return [
            line
            for line in self.lines
            if line["job"] == job and all(line.get(key) == value for key, value in wanted.items())
        ]

    def one(self, job: str, **wanted: object) -> Payload:
        """The largest of them. KeyError: there is none."""
        found = self.all(job, **wanted)
        if not found:
            raise KeyError(job)
        return max(found, key=lambda line: line.get("rows", 0))


Goal = tuple[str, str, str, bool]  # the work, what is wanted, what was measured, whether that is enough


def ingest_of_large_rows(lines: Lines) -> Goal:
    """Against SrvDB and against the disk."""
    ours = lines.one("ingest", engine="hither", dim=1536, batch=10_000)
    theirs = lines.one("ingest", engine="srvdb", dim=1536, batch=10_000)
    ratio, share = ours["rows_per_s"] / theirs["rows_per_s"], ours["mb_per_s"] / ours["disk_mb_per_s"]
    fine = ratio >= 1 and (ours["rows_per_s"] >= 100_000 or share >= 0.6)
    figure = f"{ours['rows_per_s']:,}/s, {ratio:.1f} x srvdb, {share:.0%} of the disk's {ours['disk_mb_per_s']:,} MB/s"
    return "durable ingest, 1536-d, batches of 10k", "srvdb, and 100k/s or 60 % of the disk", figure, fine


def ingest_of_small_rows(lines: Lines, batch: int) -> Goal:
    """Against whoever is best."""
    ours = lines.one("ingest", engine="hither", dim=384, batch=batch)
    theirs = [x for x in lines.all("ingest", dim=384, batch=batch) if x["engine"] in OTHERS]
    if not theirs:
        raise KeyError("ingest")
    best = max(theirs, key=lambda line: line["rows_per_s"])
    ratio = ours["rows_per_s"] / best["rows_per_s"]
    figure = f"{ours['rows_per_s']:,}/s, {ratio:.1f} x {best['engine']} ({best['rows_per_s']:,}/s)"
    return f"durable ingest, 384-d, batches of {batch:,}", "2 x the best other", figure, ratio >= 2


def single_rows(lines: Lines) -> Goal:
    """The goal holds where a sync is quick; elsewhere the ratio to SQLite says how many share one."""
    ours, sqlite = lines.one("singles", engine="hither", threads=16), lines.one("sqlite_singles")
    rate, sync = ours["rows_per_s"], ours["sync_ms"]
    ratio = rate / sqlite["rows_per_s"]
    figure = f"{rate:,}/s at {sync} ms a sync, {ratio:.1f} x sqlite3's INSERT with FULL ({sqlite['rows_per_s']:,}/s)"
    return (
        "durable single rows, 16 threads",
        "10k/s where a sync takes 0.2 ms at most",
        figure,
        rate >= 10_000 or sync > 0.2,
    )


def search_beside(lines: Lines, what: str) -> Goal:
    """The slowest searches, beside a writer and alone."""
    ours = lines.one("beside", engine="hither")
    ratio = ours[what]["p99_ms"] / ours["idle"]["p99_ms"]
    figure = f"P99 {ours['idle']['p99_ms']} -> {ours[what]['p99_ms']} ms, {ratio:.1f} x"
    return f"search while {what}", "P99 at most 2 x idle", figure, ratio <= 2


def many_threads(lines: Lines) -> Goal:
    """One thread of hither uses all cores for one search, so it is held to one core for the comparison."""
    ours, alone = lines.one("five", engine="hither", pool=None), lines.one("five", engine="hither", pool=1)
    ratio = ours["qps_16"] / alone["qps_1"]
    figure = (
        f"{ours['qps_16']:,}/s; one thread {alone['qps_1']:,}/s on one core ({ratio:.1f} x), "
        f"{ours['qps_1']:,}/s on all of them"
    )
    return "16 threads x 50 searches", "1.8 x one thread", figure, ratio >= 1.8


def many_threads_of_srvdb(lines: Lines) -> Goal:
    """The same by SrvDB, with the answers counted."""
    ours, theirs = lines.one("five", engine="hither", pool=None), lines.one("five", engine="srvdb")
    ratio = ours["qps_16"] / theirs["qps_16"]
    figure = f"{ratio:.1f} x ({theirs['qps_16']:,}/s); rows that found themselves: {ours['exact']}"
    found, tried = ours["exact"].split("/")
    return "16 threads x 50 searches", "5 x srvdb, all right", figure, ratio >= 5 and found == tried


def one_search(lines: Lines) -> Goal:
    """P50 in SrvDB's second test."""
    ours, theirs = lines.one("five", engine="hither", pool=None), lines.one("five", engine="srvdb")
    ratio = theirs["p50_ms"] / ours["p50_ms"]
    figure = f"P50 {ours['p50_ms']} ms, {ratio:.1f} x srvdb ({theirs['p50_ms']} ms)"
    return f"search, {ours['rows']:,} x 1536", "3 x srvdb, below 5 ms", figure, ratio >= 3 and ours["p50_ms"] < 5


def memory(lines: Lines) -> Goal:
    """Of a C program; of the Python process what the database added to it."""
    ours, python = lines.one("memory"), lines.one("five", engine="hither", pool=None)
    figure = f"{ours['c_mb']} MB ({ours['c_mapped_mb']} of them mapped); {python['mb']} MB more in a Python process"
    return f"memory of a C program, {ours['rows']:,} x 1536", "below 100 MB", figure, ours["c_mb"] < 100


def opening(lines: Lines) -> Goal:
    """The largest that was opened."""
    ours = lines.one("opening", engine="hither", killed=None)
    figure = f"{ours['first_ms']} ms ({ours['open_ms']} ms to open)"
    return f"first answer after opening {ours['rows']:,} rows", "below 100 ms, 1M rows", figure, ours["first_ms"] < 100


GOALS: tuple[Callable[[Lines], Goal], ...] = (
    ingest_of_large_rows,
    lambda lines: ingest_of_small_rows(lines, 1000),
    lambda lines: ingest_of_small_rows(lines, 10_000),
    single_rows,
    lambda lines: search_beside(lines, "writing"),
    lambda lines: search_beside(lines, "compacting"),
    many_threads,
    many_threads_of_srvdb,
    one_search,
    memory,
    opening,
)


def reached(lines: Lines) -> Iterator[Goal]:
    """The goals whose measurements are there."""
    for goal in GOALS:
        try:
            yield goal(lines)
        except KeyError:
            continue


def goals(lines: list[Payload]) -> str:
    """The goals as a Markdown table."""
    out = ["| work | goal | measured | |", "|---|---|---|---|"]
    out += [
        f"| {work} | {goal} | {figure} | {'reached' if fine else 'missed'} |"
        for work, goal, figure, fine in reached(Lines(lines))
    ]
    return "\n".join(out)


def of_iqdb(lines: Lines) -> list[str]:
    """iQDB's three: one durable row at a time, one row by its id, and what comes after a kill, by size."""
    out = ["| iQDB's three, hither | |", "|---|---:|"]
    out += [
        f"| durable upserts/s, one thread | {x['rows_per_s']:,} |"
        for x in lines.all("singles", engine="hither", threads=1)
    ]
    out += [
        f"| get, {x['rows']:,} rows | {x['get_p50_ms']} ms |" for x in lines.all("five", engine="hither", pool=None)
    ]
    out += [
        f"| recovery, {x['rows']:,} rows, to the first exact answer | {x['first_ms']} ms |"
        for x in lines.all("opening", engine="hither", killed=True)
    ]
    return out


def table(lines: list[Payload]) -> str:
    """Every measurement, as Markdown tables."""

    def of(job: str) -> list[Payload]:
        return [line for line in lines if line["job"] == job]

    out = ["| ingest | dim | batch | rows/s | MB/s of vectors | sync ms |", "|---|---:|---:|---:|---:|---:|"]
    out += [
        f"| {x['engine']} ({x['version']}) | {x['dim']} | {x['batch']:,} | {x['rows_per_s']:,} | {x['mb_per_s']:,} "
        f"| {x['sync_ms']} |"
        for x in of("ingest")
    ]
    out += ["", "| single rows | threads | rows/s | sync ms |", "|---|---:|---:|---:|"]
    out += [
        f"| {x['engine']} ({x['version']}) | {x.get('threads', 1)} | {x['rows_per_s']:,} | {x['sync_ms']} |"
        for x in of("sqlite_singles") + of("singles")
    ]
    out += ["", "| search, ms | idle P50 | idle P99 | writing P50 | writing P99 | compacting P99 |"]
    out += ["|---|---:|---:|---:|---:|---:|"]
    out += [
        f"| {x['engine']}, {x['rows']:,} x {x['dim']} | {x['idle']['p50_ms']} | {x['idle']['p99_ms']} "
        f"| {x['writing']['p50_ms']} | {x['writing']['p99_ms']} | {x.get('compacting', {}).get('p99_ms', '-')} |"
        for x in of("beside")
    ]
    out += ["", *of_iqdb(Lines(lines))]
    out += [
        "",
        "| SrvDB's five | ingest/s | P50 ms | P99 ms | MB | QPS, 1 thread | QPS, 16 | found themselves | get ms |",
    ]
    out += ["|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    out += [
        f"| {x['engine']}{', one core' if x.get('pool') == 1 else ''}, {x['rows']:,} x {x['dim']} "
        f"| {x['rows_per_s']:,} | {x['p50_ms']} | {x['p99_ms']} | {x['mb']} | {x['qps_1']:,} | {x['qps_16']:,} "
        f"| {x['exact']} | {x['get_p50_ms'] or '-'} |"
        for x in of("five")
    ]
    out += ["", "| open, ms | open | first answer | then P50 |", "|---|---:|---:|---:|"]
    out += [
        f"| {x['engine']}, {x['rows']:,} x {x['dim']}{', writer killed' if x.get('killed') else ''} "
        f"| {x['open_ms']} | {x['first_ms']} | {x['then_p50_ms']} |"
        for x in of("opening")
    ]
    return "\n".join(out)
