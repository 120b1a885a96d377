"""Searches by words: WordNet's glosses by BM25 against SQLite's FTS5, and lemma -> gloss by words, vectors and both.

Functions for bench/database.py; by itself: python bench/database_text.py
"""

from __future__ import annotations

import random
import sqlite3
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import hither

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))
import wordnet

COMMON = ["of the a or in", "to and with for by", "person animal water plant group", "used having made large small"]


def collection(db: hither.Database) -> tuple[hither.Collection, list[dict[str, str]]]:
    rows = list(wordnet.glosses())
    c = db.collection("glosses", embedder=hither.Embedder())
    for i in range(0, len(rows), 5000):
        part = rows[i : i + 5000]
        c.add(range(i, i + len(part)), documents=[row["gloss"] for row in part])
    return c, rows


def fts(rows: list[dict[str, str]]) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE g USING fts5(gloss, content='', tokenize='unicode61')")
    db.executemany("INSERT INTO g(rowid, gloss) VALUES (?, ?)", ((i, row["gloss"]) for i, row in enumerate(rows)))
    return db


def _best(db: sqlite3.Connection, query: str) -> list[tuple[int]]:
    return db.execute("SELECT rowid FROM g WHERE g MATCH ? ORDER BY rank LIMIT 100", (query,)).fetchall()


def _median(function: Callable[[], object], times: int) -> float:
    spent = []
    for _ in range(times):
        begin = time.perf_counter()
        function()
        spent.append(time.perf_counter() - begin)
    return sorted(spent)[times // 2]


def bm25(c: hither.Collection, db: sqlite3.Connection) -> list[tuple[str, float, float]]:
    """(query, seconds here, seconds of FTS5) for the best 100 rowids of five words each, medians."""
    found = []
    for query in COMMON:
        either = " OR ".join(query.split())
        here = _median(partial(c.search, query, 100, mode="keyword", include=()), 15)
        there = _median(partial(_best, db, either), 5)
        found.append((query, here, there))
    return found


def recall(c: hither.Collection, rows: list[dict[str, str]], queries: int = 1000) -> dict[str, float]:
    """The share of lemmas whose own gloss is among the 10 best, with the lemma's words as the query."""
    chosen = random.Random(20261121).sample(range(len(rows)), queries)
    found = {"vector": 0, "keyword": 0, "hybrid": 0}
    for mode in found:
        for i in chosen:
            found[mode] += i in c.search(rows[i]["lemma"], 10, mode=mode, include=()).ids
    return {mode: hits / queries for mode, hits in found.items()}


def work(queries: int) -> dict[str, Any]:
    """The figures of this file."""
    with hither.connect(":memory:") as db:
        c, rows = collection(db)
        begin = time.perf_counter()
        c.search("first", mode="keyword")
        first = time.perf_counter() - begin
        times = {query: {"here_s": here, "fts5_s": there} for query, here, there in bm25(c, fts(rows))}
        return {
            "rows": len(rows),
            "first_s": first,
            "bm25": times,
            "lemmas": queries,
            "recall": recall(c, rows, queries),
        }


def show(found: dict[str, Any]) -> None:
    print(f"{found['rows']} glosses; first search by words, which reads them: {found['first_s']:.2f} s")
    for query, one in found["bm25"].items():
        here, there = one["here_s"], one["fts5_s"]
        print(f"  top 100 of '{query}': {here * 1e3:.2f} ms, FTS5 {there * 1e3:.1f} ms: {there / here:.0f} x")
    for mode, share in found["recall"].items():
        print(f"  recall@10 of the gloss by its lemma, {mode}: {share:.3f}")


if __name__ == "__main__":
    show(work(1000))
