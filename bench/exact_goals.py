"""The goals of exact search, each measured beside what it is a goal against, in one process.

Those who are compared take turns, some queries each, so that a disturbance falls on all of them; of the turns of each
the one with the lowest median counts. All on one thread, unless the line says otherwise. hither is asked through its
Python interface, like the others, and the answers of each line are checked against float64.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from measure import Floats, clustered, noise, spectral

HERE = Path(__file__).resolve().parent
K = 10
TURNS, A_TURN, CHECKED = 6, 40, 20
ASKED = 1000

Call = Callable[[int], object]


class Timing(NamedTuple):
    """Of one call, in seconds."""

    p50: float
    p99: float


class Goal(NamedTuple):
    """One line of the table. `figure` and `goal` are ratios unless `unit` says what else they are."""

    work: str
    reference: str
    theirs_us: float | None
    ours_us: float | None
    p99_us: float | None
    without_us: float | None  # hither.knn: no codes, nothing kept
    figure: float
    goal: float
    at_most: bool = False
    unit: str = "x"
    correct: float | None = None
    remark: str = ""

    @property
    def reached(self) -> bool:
        """Whether the figure is what was wanted."""
        return self.figure <= self.goal if self.at_most else self.figure >= self.goal


def take_turns(calls: list[Call], items: int, turns: int = TURNS, a_turn: int = A_TURN) -> list[Timing]:
    """P50 and P99 of each call in the turn with its lowest P50. A turn of slow calls is cut short."""
    best = [Timing(float("inf"), 0.0)] * len(calls)
    for call in calls:
        call(0)
    for turn in range(turns):
        for at, call in enumerate(calls):
            taken: list[float] = []
            until = time.perf_counter() + 1.5
            while len(taken) < a_turn and (not taken or time.perf_counter() < until):
                began = time.perf_counter()
                call((turn * a_turn + len(taken)) % items)
                taken.append(time.perf_counter() - began)
            median = float(np.median(taken))
            if median < best[at].p50:
                best[at] = Timing(median, float(np.percentile(taken, 99)))
    return best


def right(base: Floats, queries: Floats, labels: NDArray[Any]) -> float:
    """The share of answers that are among the nearest by inner product in float64; equal ones (1e-6) may swap."""
    share = 0
    for query, found in zip(queries, labels, strict=True):
        scores = np.concatenate(
            [part @ query.astype(np.float64) for part in np.array_split(base, 1 + len(base) // 50_000)]
        )
        kth = np.partition(scores, -K)[-K]
        share += sum(scores[int(label)] >= kth - 1e-6 for label in set(found.tolist()) if 0 <= label < len(base))
    return share / (len(queries) * K)


# ---- who is asked


def faiss_flat(base: Floats) -> Any:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(base.shape[1])
    index.add(base)
    return index


def turbo(base: Floats) -> Callable[[Floats], NDArray[Any]]:
    """turbovec's scan of 4-bit codes, the best 30 scored again in float32."""
    import turbovec

    index = turbovec.TurboQuantIndex(base.shape[1], 4)
    index.add(base)
    index.prepare()

    def search(query: Floats) -> NDArray[Any]:
        found = index.search(query[None], 30)[1][0].astype(np.int64)
        return np.asarray(found[np.argsort(-(base[found] @ query))[:K]])

    return search


@cache
def peak(turn: int) -> dict[str, float]:
    """What bench_peak.c measures; empty without a compiler. Each turn measures anew."""
    compiler = shutil.which("cc")
    if not compiler:
        return {}
    with tempfile.TemporaryDirectory(prefix="hither-peak-") as folder:
        program = f"{folder}/bench_peak"
        source = str(HERE / "bench_peak.c")
        subprocess.run([compiler, "-O3", "-std=gnu11", "-pthread", source, "-o", program], check=True)
        done = subprocess.run([program, "--threads", "2"], stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


def most(what: str) -> float:
    """The best that was measured, before and after what it is compared with."""
    return max(peak(turn).get(what, 0) for turn in (0, 1))


# ---- the lines


def single(what: str, goal: float, base: Floats, queries: Floats) -> Goal:
    """One query at a time, beside faiss."""
    import hither

    flat, index = faiss_flat(base), hither.Index.wrap(base, "dot")
    theirs, ours, without = take_turns(
        [
            lambda i: flat.search(queries[i : i + 1], K),
            lambda i: index.search(queries[i], K),
            lambda i: hither.knn(base, queries[i], K, "dot", threads=1),
        ],
        len(queries),
    )
    correct = right(base, queries[:CHECKED], index.search(queries[:CHECKED], K)[0])
    ratio = theirs.p50 / ours.p50
    return Goal(
        what, "faiss", theirs.p50 * 1e6, ours.p50 * 1e6, ours.p99 * 1e6, without.p50 * 1e6, ratio, goal, correct=correct
    )


def beside_turbovec(what: str, base: Floats, queries: Floats) -> Goal:
    """Exact answers against approximate ones of the fastest scan there is."""
    import hither

    search, index = turbo(base), hither.Index.wrap(base, "dot")
    theirs, ours = take_turns([lambda i: search(queries[i]), lambda i: index.search(queries[i], K)], len(queries))
    recall = right(base, queries[:CHECKED], np.array([search(query) for query in queries[:CHECKED]]))
    return Goal(
        what,
        "turbovec, 30 re-ranked",
        theirs.p50 * 1e6,
        ours.p50 * 1e6,
        ours.p99 * 1e6,
        None,
        theirs.p50 / ours.p50,
        1,
        correct=right(base, queries[:CHECKED], index.search(queries[:CHECKED], K)[0]),
        remark=f"turbovec's answers: {recall:.3f} right",
    )


def many(what: str, goal: float, base: Floats, queries: Floats, threads: int) -> Goal:
    """A batch in one call, beside faiss, on one thread or on all, whatever serves it better; times are of one query."""
    import faiss
    import hither

    flat, index = faiss_flat(base), hither.Index.wrap(base, "dot")

    def flat_on(number: int) -> None:
        faiss.omp_set_num_threads(number)
        flat.search(queries, K)

    count = len(queries)
    *of_faiss, ours, without = take_turns(
        [
            *(lambda _, number=number: flat_on(number) for number in range(1, threads + 1)),
            lambda _: index.search(queries, K, threads=threads),
            lambda _: hither.knn(base, queries, K, "dot", threads=threads),
        ],
        1,
        3 if count > 100 else TURNS,
        3 if count > 100 else 10,
    )
    theirs = min(of_faiss)
    faiss.omp_set_num_threads(1)
    remark = ""
    peak_s = most("products_s") * threads if count > 100 else 0
    if peak_s:
        remark = f"{count * base.size / ours.p50 / peak_s:.0%} of the integer peak of {peak_s / 1e9:,.0f} G products/s"
    each = 1e6 / count
    return Goal(
        what,
        "faiss",
        theirs.p50 * each,
        ours.p50 * each,
        ours.p99 * each,
        without.p50 * each,
        theirs.p50 / ours.p50,
        goal,
        correct=right(base, queries[:CHECKED], index.search(queries, K)[0][:CHECKED]),
        remark=remark,
    )


def bandwidth(base: Floats, queries: Floats) -> Iterator[Goal]:
    """Bytes of codes and rows that a search reads a second, beside what can be read."""
    import hither

    if not peak(0):
        return
    index = hither.Index.wrap(base, "dot")
    ours = take_turns([lambda i: index.search(queries[i], K)], len(queries))[0]
    read = float(np.mean([index.explain(query, K)["bytes_read"] for query in queries[:CHECKED]]))
    peak.cache_clear()
    read_s = most("read_bytes_s")
    yield Goal(
        f"scan, {len(base):,} rows: bytes read a second",
        "a read of 1 GiB",
        None,
        ours.p50 * 1e6,
        ours.p99 * 1e6,
        None,
        read / ours.p50 / read_s,
        0.85,
        unit="share",
        remark=f"{read / ours.p50 / 1e9:.1f} of {read_s / 1e9:.1f} GB/s, {read / 1e6:.1f} MB a query"
        + (": in part from the cache" if read / ours.p50 > read_s else ""),
    )


def nseekfs_lines(sizes: list[int], base: Floats, queries: Floats) -> Iterator[Goal]:
    """Single queries, a batch, and building, beside NSeekFS 1.x; it writes its file into the current folder."""
    import hither
    import nseekfs

    for size in sizes:
        rows = base[:size]
        began = time.perf_counter()
        theirs_index = nseekfs.from_embeddings(rows, metric="dot", normalized=True)
        theirs_built = time.perf_counter() - began
        index = hither.Index.wrap(rows, "dot")
        theirs, ours = take_turns(
            [
                lambda i, of=theirs_index: of.query_simple_arrays(queries[i], K),
                lambda i, of=index: of.search(queries[i], K),
            ],
            len(queries),
        )
        yield Goal(
            f"one query, {size:,} rows",
            "NSeekFS",
            theirs.p50 * 1e6,
            ours.p50 * 1e6,
            ours.p99 * 1e6,
            None,
            theirs.p50 / ours.p50,
            5 if size >= 50_000 else 1,
        )
        if size != sizes[-1]:
            continue
        part = queries[:50]
        theirs, ours = take_turns(
            [
                lambda _, of=theirs_index, part=part: of.query_batch_arrays(part, K),
                lambda _, of=index, part=part: of.search(part, K, threads=1),
            ],
            1,
            3,
            3,
        )
        each = 1e6 / len(part)
        yield Goal(
            f"batch of {len(part)}, {size:,} rows",
            "NSeekFS",
            theirs.p50 * each,
            ours.p50 * each,
            ours.p99 * each,
            None,
            theirs.p50 / ours.p50,
            2,
        )
        del theirs_index, index
        yield from _build(rows, theirs_built)


def _build(rows: Floats, theirs: float) -> Iterator[Goal]:
    """From numpy to an index that answers, on all cores: over the array itself, and over a copy of it."""
    import hither
    import nseekfs

    def copied() -> None:
        hither.Index(rows.shape[1], metric="dot").add(rows)

    ours = [float("inf")] * 2
    for _ in range(2):
        began = time.perf_counter()
        nseekfs.from_embeddings(rows, metric="dot", normalized=True)
        theirs = min(theirs, time.perf_counter() - began)
        for at, build in enumerate((lambda: hither.Index.wrap(rows, "dot"), copied)):
            began = time.perf_counter()
            build()
            ours[at] = min(ours[at], time.perf_counter() - began)
    for what, taken in zip(("Index.wrap", "Index.add, a copy"), ours, strict=True):
        yield Goal(
            f"build from numpy, {len(rows):,} rows: {what}",
            "NSeekFS",
            theirs * 1e6,
            taken * 1e6,
            None,
            None,
            theirs / taken,
            5,
        )


def opening(base: Floats, query: Floats) -> Goal:
    """A saved index whose pages are in memory: open and one answer, in a process of its own."""
    import hither

    hither.Index.wrap(base, "dot").save("opened.hi")
    np.save("query.npy", query)
    script = (
        "import time, numpy, hither; q = numpy.load('query.npy'); began = time.perf_counter(); "
        "hither.Index.open('opened.hi').search(q, 10); print(time.perf_counter() - began)"
    )
    taken = [
        float(subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True).stdout)
        for _ in range(4)
    ]
    os.remove("opened.hi")
    return Goal(
        f"open a saved index of {len(base):,} rows, answer once",
        "-",
        None,
        min(taken[1:]) * 1e6,
        max(taken[1:]) * 1e6,
        None,
        min(taken[1:]) * 1e3,
        50,
        True,
        "ms",
    )


def memory(base: Floats) -> Iterator[Goal]:
    """What an index takes, codes included, beside what its rows take as float32."""
    import hither

    for dtype, most, what in (("f32", 0.30, "extra over"), ("f16", 0.55, "in all, of"), ("i8", 0.30, "in all, of")):
        index = hither.Index(base.shape[1], metric="dot", dtype=dtype)
        index.add(base)
        info = index.info()
        used = info["bytes_extra"] + (info["bytes_rows"] if dtype != "f32" else 0)
        yield Goal(
            f"memory of {dtype} rows, {what} f32 rows",
            "-",
            None,
            None,
            None,
            None,
            used / base.nbytes,
            most,
            True,
            "share",
        )


def _without(name: str, lines: Callable[[], Iterator[Goal]]) -> Iterator[Goal]:
    """The lines that need `name`, or a word on standard error."""
    try:
        yield from lines()
    except ImportError as error:
        print(f"left out, {name} is not installed: {error}", file=sys.stderr)


def goals(quick: bool, seed: int, data: Floats | None) -> Iterator[Goal]:
    """All lines, in the order of the table. quick: nothing above 100,000 rows. data: rows to measure as well."""
    base, queries = clustered(100_000, 384, ASKED, seed)
    yield single("one query, 5,000 rows", 3, base[:5000].copy(), queries)
    yield single("one query, 20,000 rows", 5, base[:20_000].copy(), queries)
    yield single("one query, 100,000 rows", 10, base, queries)
    yield from _without("turbovec", lambda: iter([beside_turbovec("one query, 100,000 rows", base, queries)]))
    yield many("16 queries, 100,000 rows", 8, base, queries[:16].copy(), 1)
    yield many("1,000 queries, 100,000 rows, two threads", 2.5, base, queries, 2)
    yield single("one query, 100,000 rows of gaussian noise", 3, *noise(100_000, 384, 200, seed))
    yield single("one query, 100,000 rows like a model's of texts", 10, *spectral(100_000, 384, 200, seed))
    if data is not None:
        yield single(f"one query, {len(data) - 200:,} rows of the file given", 10, data[:-200], data[-200:])
    if not quick:
        base, queries = clustered(500_000, 384, 200, seed)
        yield single("one query, 500,000 rows", 7, base, queries)
    yield from bandwidth(base, queries)
    sizes = [10_000, 50_000] + ([100_000] if quick else [200_000, 500_000])
    yield from _without("nseekfs", lambda: nseekfs_lines(sizes, base, queries))
    yield opening(base, queries[0])
    yield from memory(base[:100_000])


def figure(line: Goal, value: float) -> str:
    """A figure or a goal as people read it."""
    if line.unit == "x":
        return f"{value:.1f}x" if value < 10 or value % 1 else f"{value:.0f}x"
    return f"{value:.1%}" if line.unit == "share" else f"{value:.1f} {line.unit}"


def row(line: Goal) -> str:
    """One line of the table."""
    times = [
        "" if value is None else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
        for value in (line.theirs_us, line.ours_us, line.p99_us, line.without_us)
    ]
    correct = "" if line.correct is None else f"{line.correct:.4f}"
    wanted = f"{'at most' if line.at_most else 'at least'} {figure(line, line.goal)}"
    cells = [
        line.work,
        line.reference,
        *times,
        figure(line, line.figure),
        wanted,
        "yes" if line.reached else "NO",
        correct,
    ]
    return f"| {' | '.join(cells)} | {line.remark} |"


HEAD = (
    "| work | reference | its P50 us | hither P50 us | P99 us | without codes | figure | goal | reached | right | |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---|---:|---|"
)


def versions() -> dict[str, str]:
    """Of everybody who is compared."""
    found = {}
    for name in ("faiss-cpu", "turbovec", "nseekfs", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def worker(quick: bool, seed: int, data: Path | None) -> None:
    """All lines as JSON on standard output, each as soon as it is measured."""
    rows = np.load(data) if data else None
    for line in goals(quick, seed, rows):
        print(json.dumps({**line._asdict(), "reached": line.reached}), flush=True)
