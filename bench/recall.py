"""Recall that is asked for, and recall that is had: on five sets of rows that are unlike one another.

Each set is given to an index of each kind, and to a collection with an index of that kind. Searches ask for a recall
(0.99) with queries that are none of the rows, once as the index was built (`new`: it knows its own rows alone), and
once after `tune` and other queries (`tuned`; a collection measures by itself). What is had is, of a query's 10 true
neighbours, the share found; one counts as found where something as near is, so that which of several equal rows comes
does not matter. Printed are the mean and the worst decile: the mean of the tenth of the queries that fared worst.

    make bench SUITE=recall            or   .venv/bin/python bench/run.py recall [--rows N] [--dim N] [--asked 0.99]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from measure import Floats, clustered, machine, noise, spectral, unit

K = 10
KINDS = ("hnsw", "ivf")


class Had(NamedTuple):
    """What a set's searches found."""

    rows: str
    kind: str
    state: str  # "new" or "tuned"
    how: str  # the effort that the recall came to, or that it was a scan
    mean: float
    worst: float  # of the worst decile
    us: float  # CPU time of a query, the median


def duplicated(rows: int, dim: int, queries: int, seed: int) -> tuple[Floats, Floats]:
    """Like sentences, and three rows in ten are copies of one of fifty others."""
    base, asked = spectral(rows, dim, queries, seed)
    base[np.arange(rows) % 10 < 3] = base[5::10][np.arange(np.count_nonzero(np.arange(rows) % 10 < 3)) % 50]
    return base, asked


def tiny(rows: int, dim: int, queries: int, seed: int) -> tuple[Floats, Floats]:
    """Clusters of seven rows, fewer than are asked for, far from one another."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((rows // 7 + 1, dim), np.float32)

    def some(of: NDArray[np.int64]) -> Floats:
        return unit(centres[of] + 0.2 * rng.standard_normal((len(of), dim), np.float32))

    return some(np.arange(rows) % len(centres)), some(rng.integers(len(centres), size=queries))


SETS: dict[str, Callable[[int, int, int, int], tuple[Floats, Floats]]] = {
    "sentences": spectral,
    "clustered": clustered,
    "gaussian": noise,
    "duplicates": duplicated,
    "tiny clusters": tiny,
}


def shares(found: Floats, truth: Floats) -> NDArray[np.float64]:
    """Of each query: the part of the true neighbours that something as near was found for."""
    return np.asarray((found <= truth[:, -1:]).mean(axis=1, dtype=np.float64))


def worst_decile(of: NDArray[np.float64]) -> float:
    return float(np.sort(of)[: max(1, len(of) // 10)].mean())


def of_index(kind: str, base: Floats, others: Floats, asked: float) -> Iterator[tuple[str, Any, Any]]:
    import hither

    with hither.Index(base.shape[1], kind=kind) as index:
        index.add(base, wait=False)
        index.build()

        def search(queries: Floats) -> Floats:
            return np.stack([index.search(query, K, recall=asked)[1] for query in queries])

        def how(query: Floats) -> str:
            walk = index.explain(query, K, recall=asked).get("walk")
            effort = "ef" if kind == "hnsw" else "nprobe"
            return f"{effort} {walk[effort]}" if walk else "scan"

        yield "new", search, how
        index.search(others, K, ef=64, nprobe=16)
        index.tune()
        yield "tuned", search, how


def of_collection(kind: str, base: Floats, others: Floats, asked: float) -> Iterator[tuple[str, Any, Any]]:
    import hither

    with hither.connect(":memory:") as db:
        c = db.collection("rows", dim=base.shape[1], metric="cosine")
        for at in range(0, len(base), 10_000):
            c.add(range(at, min(at + 10_000, len(base))), base[at : at + 10_000])
        c.create_index(kind)

        def search(queries: Floats) -> Floats:
            return np.stack([c.search(q, k=K, recall=asked, include=()).distances for q in queries]).astype(np.float32)

        def how(query: Floats) -> str:
            walk = c.search(query, k=K, recall=asked, include=()).plan.get("walk")
            effort = "ef" if kind == "hnsw" else "nprobe"
            return f"{effort} {walk[effort]}" if walk else "scan"

        yield "new", search, how
        for query in others:
            c.search(query, k=K, ef=64, nprobe=16, include=())
        time.sleep(0.5)  # the thread that measures has begun, or is done
        yield "tuned", search, how


def measure(
    name: str, rows: int, dim: int, queries: int, asked: float, places: tuple[str, ...] = ("index", "collection")
) -> Iterator[Had]:
    """Both kinds, of an index and of a collection, on one set of rows."""
    import hither

    base, all_queries = SETS[name](rows, dim, 2 * queries, 11)
    ours, others = all_queries[:queries], all_queries[queries:]
    with hither.Index.wrap(base) as exact:
        truth = exact.search(ours, K)[1]
    for place in places:
        for kind in KINDS:
            made = (of_index if place == "index" else of_collection)(kind, base, others, asked)
            for state, search, how in made:
                began = time.thread_time()
                had = shares(search(ours), truth)
                us = (time.thread_time() - began) / len(ours) * 1e6
                yield Had(name, f"{place} {kind}", state, how(ours[0]), float(had.mean()), worst_decile(had), us)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench/run.py recall", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--asked", type=float, default=0.99)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    args = parser.parse_args(argv)
    print(f"{machine()}; {args.rows} rows of {args.dim}, {args.queries} queries, recall {args.asked} asked\n")
    print("| rows | searched by | state | how | mean | worst decile | CPU us |\n|---|---|---|---|---:|---:|---:|")
    missed = 0
    for name in args.sets:
        for had in measure(name, args.rows, args.dim, args.queries, args.asked):
            missed += had.mean < args.asked
            figures = f"{had.mean:.4f} | {had.worst:.3f} | {had.us:.0f}"
            print(f"| {had.rows} | {had.kind} | {had.state} | {had.how} | {figures} |", flush=True)
    print(f"\nasked and not had on the mean: {missed}")
    return 1 if missed else 0
