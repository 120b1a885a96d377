"""Suite database: searches with filters and payloads, and the row sets of filters, by hither and by what people use.

Every engine runs in a process of its own, held to one processor. Recall is against brute force in numpy; an engine
whose answers are approximate says so there. Keyword and hybrid search stand in database_text.py and run here too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import database_goals
from measure import Floats, Others, clustered, machine

K = 10
ROOT = Path(__file__).resolve().parent.parent
SETS = ("first_ms", "other_ms", "warm_ms", "sqlite_ms")
THREADS = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "LANCE_CPU_THREADS", "HITHER_THREADS", "OPENBLAS_NUM_THREADS")


class Data(NamedTuple):
    """Rows with two whole numbers each: `random`, 0...99, and `near`, 0...9 by where the row lies."""

    rows: Floats
    queries: Floats
    random: np.ndarray
    near: np.ndarray
    query_near: np.ndarray


def make(rows: int, dim: int, queries: int) -> Data:
    vectors, asked = clustered(rows, dim, queries, 7)
    rng = np.random.default_rng(8)
    way = rng.normal(size=dim)
    edges = np.quantile(vectors @ way, np.linspace(0.1, 0.9, 9))
    return Data(
        vectors,
        asked,
        rng.integers(0, 100, rows),
        np.searchsorted(edges, vectors @ way),
        np.searchsorted(edges, asked @ way),
    )


class Engine(NamedTuple):
    """search(query, field, value) gives ids, with payloads; field None: no filter."""

    version: str
    search: Callable[[Floats, str | None, int], list[int]]
    close: Callable[[], object]


def payload(data: Data, row: int) -> dict[str, Any]:
    return {"random": int(data.random[row]), "near": int(data.near[row]), "source": f"file-{row % 97}.txt"}


def document(row: int) -> str:
    return f"document {row}: " + "some words of a text " * 6


def hither_rows(folder: str, data: Data) -> Engine:
    import hither

    db = hither.connect(f"{folder}/db.hither", durability="memory")
    c = db.collection("bench", dim=data.rows.shape[1])
    for at in range(0, len(data.rows), 10_000):
        part = range(at, min(at + 10_000, len(data.rows)))
        c.add(
            part,
            data.rows[at : at + 10_000],
            metadata=[payload(data, row) for row in part],
            documents=[document(row) for row in part],
        )

    def search(query: Floats, field: str | None, value: int) -> list[int]:
        hits = c.search(query, K, where=None if field is None else {field: value})
        return [hit.id for hit in hits if hit.metadata and hit.document]

    return Engine(f"{hither.__version__} {hither.simd()}", search, db.close)


def chroma(folder: str, data: Data) -> Engine:
    import chromadb

    c = chromadb.PersistentClient(f"{folder}/db").create_collection(
        "bench", configuration={"hnsw": {"space": "cosine"}}
    )
    for at in range(0, len(data.rows), 5000):
        part = range(at, min(at + 5000, len(data.rows)))
        c.add(
            [str(row) for row in part],
            embeddings=data.rows[at : at + 5000],
            metadatas=[payload(data, row) for row in part],
            documents=[document(row) for row in part],
        )

    def search(query: Floats, field: str | None, value: int) -> list[int]:
        where = None if field is None else {field: value}
        found = c.query(
            query_embeddings=query[None], n_results=K, where=where, include=["metadatas", "documents", "distances"]
        )
        return [int(id) for id in found["ids"][0]]

    return Engine(metadata.version("chromadb"), search, lambda: None)


def lancedb_rows(folder: str, data: Data) -> Engine:
    import lancedb
    import pyarrow

    dim = data.rows.shape[1]
    flat = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(data.rows.ravel()), dim)
    columns = {
        "id": np.arange(len(data.rows)),
        "vector": flat,
        "random": data.random,
        "near": data.near,
        "source": [f"file-{row % 97}.txt" for row in range(len(data.rows))],
        "document": [document(row) for row in range(len(data.rows))],
    }
    table = lancedb.connect(f"{folder}/db").create_table("bench", pyarrow.table(columns))
    for field in ("random", "near"):
        table.create_scalar_index(field)

    def search(query: Floats, field: str | None, value: int) -> list[int]:
        asked = table.search(query).distance_type("cosine").limit(K)
        if field is not None:
            asked = asked.where(f"{field} = {value}", prefilter=True)
        return asked.to_arrow().column("id").to_pylist()

    return Engine(metadata.version("lancedb"), search, lambda: None)


def sqlite_vec_rows(folder: str, data: Data) -> Engine:
    db = sqlite3.connect(f"{folder}/db")
    if not hasattr(db, "enable_load_extension"):
        raise SystemExit("this Python's sqlite3 loads no extensions, and it is one")
    import sqlite_vec

    db.enable_load_extension(True)
    sqlite_vec.load(db)
    db.execute(
        f"CREATE VIRTUAL TABLE bench USING vec0(id INTEGER PRIMARY KEY, random INTEGER, near INTEGER, "
        f"+source TEXT, +document TEXT, vector FLOAT[{data.rows.shape[1]}] distance_metric=cosine)"
    )
    with db:
        db.executemany(
            "INSERT INTO bench(id, random, near, source, document, vector) VALUES(?, ?, ?, ?, ?, ?)",
            (
                (row, int(data.random[row]), int(data.near[row]), "file", document(row), data.rows[row].tobytes())
                for row in range(len(data.rows))
            ),
        )

    def search(query: Floats, field: str | None, value: int) -> list[int]:
        more = "" if field is None else f" AND {field} = {value}"
        text = f"SELECT id, source, document FROM bench WHERE vector MATCH ? AND k = {K}{more}"
        return [row[0] for row in db.execute(text, (query.tobytes(),))]

    return Engine(metadata.version("sqlite-vec"), search, db.close)


def zvec_rows(folder: str, data: Data) -> Engine:
    import zvec

    inverted = zvec.InvertIndexParam()
    schema = zvec.CollectionSchema(
        name="bench",
        fields=[
            zvec.FieldSchema("random", zvec.DataType.INT64, index_param=inverted),
            zvec.FieldSchema("near", zvec.DataType.INT64, index_param=inverted),
            zvec.FieldSchema("document", zvec.DataType.STRING),
        ],
        vectors=zvec.VectorSchema(
            "vector",
            zvec.DataType.VECTOR_FP32,
            data.rows.shape[1],
            index_param=zvec.FlatIndexParam(metric_type=zvec.MetricType.COSINE),
        ),
    )
    c = zvec.create_and_open(f"{folder}/db", schema)
    for at in range(0, len(data.rows), 1000):
        c.insert(
            [
                zvec.Doc(
                    id=str(row),
                    vectors={"vector": data.rows[row].tolist()},
                    fields={
                        "random": int(data.random[row]),
                        "near": int(data.near[row]),
                        "document": document(row),
                    },
                )
                for row in range(at, min(at + 1000, len(data.rows)))
            ]
        )
    c.optimize()

    def search(query: Floats, field: str | None, value: int) -> list[int]:
        asked = zvec.VectorQuery("vector", vector=query)
        found = c.query(asked, topk=K, filter=None if field is None else f"{field} = {value}")
        return [int(doc.id) for doc in found]

    return Engine(metadata.version("zvec"), search, lambda: None)


def qdrant_local(folder: str, data: Data) -> Engine:
    """The local mode of its client: numpy over all rows."""
    import qdrant_client
    from qdrant_client import models

    client = qdrant_client.QdrantClient(":memory:")
    space = models.VectorParams(size=data.rows.shape[1], distance=models.Distance.COSINE)
    client.create_collection("bench", vectors_config=space)
    for at in range(0, len(data.rows), 5000):
        part = range(at, min(at + 5000, len(data.rows)))
        client.upsert(
            "bench",
            models.Batch(
                ids=list(part),
                vectors=data.rows[at : at + 5000].tolist(),
                payloads=[payload(data, row) | {"document": document(row)} for row in part],
            ),
        )

    def search(query: Floats, field: str | None, value: int) -> list[int]:
        wanted = None
        if field is not None:
            wanted = models.Filter(must=[models.FieldCondition(key=field, match=models.MatchValue(value=value))])
        return [point.id for point in client.query_points("bench", query, query_filter=wanted, limit=K).points]

    return Engine(metadata.version("qdrant-client"), search, client.close)


def turbovec_mask(folder: str, data: Data) -> Engine:
    """Codes of 4 bits without payloads; the mask of each value is made beforehand."""
    import turbovec

    index = turbovec.TurboQuantIndex(data.rows.shape[1], 4)
    index.add(data.rows)
    index.prepare()
    masks = {("random", value): data.random == value for value in range(100)}
    masks |= {("near", value): data.near == value for value in range(10)}

    def search(query: Floats, field: str | None, value: int) -> list[int]:
        found = index.search(query[None], K, mask=None if field is None else masks[field, value])
        return np.asarray(found[1])[0].tolist()

    return Engine(metadata.version("turbovec"), search, lambda: None)


ENGINES: dict[str, Callable[[str, Data], Engine]] = {
    "hither": hither_rows,
    "chroma": chroma,
    "lancedb": lancedb_rows,
    "sqlite-vec": sqlite_vec_rows,
    "zvec": zvec_rows,
    "qdrant local": qdrant_local,
    "turbovec mask": turbovec_mask,
}


# ---- the jobs


def truth(data: Data, query: Floats, field: str | None, value: int) -> float:
    """The similarity of the K-th best row."""
    rows = data.rows if field is None else data.rows[getattr(data, field) == value]
    return float(np.sort(rows @ query)[-K]) if len(rows) >= K else -2.0


def measure(engine: Engine, data: Data, field: str | None, seconds: float) -> dict[str, Any]:
    asked = [(data.queries[i], int(data.query_near[i]) if field == "near" else i % 100) for i in range(64)]
    good = total = 0
    until = time.perf_counter() + 8 * seconds
    for query, value in asked[:16]:
        if total and time.perf_counter() > until:  # an engine that takes seconds has been looked at enough
            break
        ids = engine.search(query, field, value)
        least = truth(data, query, field, value) - 1e-5
        good += sum(float(data.rows[id] @ query) >= least for id in ids)
        good -= sum(field is not None and int(getattr(data, field)[id]) != value for id in ids)
        total += K
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        query, value = asked[len(taken) % len(asked)]
        began = time.perf_counter()
        engine.search(query, field, value)
        taken.append(time.perf_counter() - began)
    ms = np.array(taken) * 1e3
    return {
        "p50_ms": round(float(np.percentile(ms, 50)), 3),
        "p99_ms": round(float(np.percentile(ms, 99)), 3),
        "recall": round(good / total, 4),
    }


def work(name: str, folder: str, rows: int, dim: int, seconds: float) -> dict[str, Any]:
    data = make(rows, dim, 200)
    began = time.perf_counter()
    engine = ENGINES[name](folder, data)
    found: dict[str, Any] = {"version": engine.version, "ingest_s": round(time.perf_counter() - began, 1)}
    for job, field in (("search + 10 payloads", None), ("filter 1 % random", "random"), ("filter 10 % near", "near")):
        found[job] = measure(engine, data, field, seconds)
    engine.close()
    return found


def row_sets(folder: str, rows: int) -> dict[str, Any]:
    """The rows that two conditions select, as a count: hither cold and warm, SQLite with an index on both fields."""
    import hither

    rng = np.random.default_rng(9)
    a, b = rng.integers(0, 1000, rows), rng.integers(0, 1000, rows)
    db = hither.connect(f"{folder}/sets.hither", durability="memory")
    c = db.collection("sets", dim=1)
    plain = sqlite3.connect(f"{folder}/plain.db")
    plain.execute("CREATE TABLE sets(id INTEGER PRIMARY KEY, metadata TEXT)")
    for at in range(0, rows, 50_000):
        part = range(at, min(at + 50_000, rows))
        texts = [f'{{"a": {a[row]}, "b": {b[row]}}}' for row in part]
        c.add(part, np.zeros((len(part), 1), np.float32), metadata=texts)
        with plain:
            plain.executemany("INSERT INTO sets VALUES(?, ?)", zip(part, texts, strict=True))
    plain.execute("CREATE INDEX both ON sets(metadata ->> 'a', metadata ->> 'b')")
    found: dict[str, Any] = {}
    for share, limit in (("1 %", 10), ("10 %", 100)):
        where = {"a": {"$lt": limit}, "b": {"$gte": 0}}
        text = f"SELECT id FROM sets WHERE metadata ->> 'a' < {limit} AND metadata ->> 'b' >= 0"
        began = time.perf_counter()
        count = c.count(where=where)
        cold = time.perf_counter() - began
        # another filter each time, so that none is remembered; their sets are as large
        others = [shifted(limit, by) for by in range(10)]
        other = min(timed(lambda where=where: c.count(where=where)) for where in others)
        warm = min(timed(lambda where=where: c.count(where=where)) for _ in range(10))
        peer = min(timed(lambda text=text: plain.execute(text).fetchall()) for _ in range(5))
        assert count == len(plain.execute(text).fetchall())
        found[share] = {"first_ms": ms(cold), "other_ms": ms(other), "warm_ms": ms(warm), "sqlite_ms": ms(peer)}
    db.close()
    return found


def shifted(limit: int, by: int) -> dict[str, Any]:
    return {"a": {"$gte": by + 1, "$lt": limit + by + 1}, "b": {"$gte": 0}}


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)


# ---- the suite


def child(arguments: list[str]) -> dict[str, Any]:
    environment = os.environ | dict.fromkeys(THREADS, "1")
    with tempfile.TemporaryDirectory(prefix="hither-bench-") as folder:
        run = subprocess.run(
            [sys.executable, __file__, *arguments, "--folder", folder],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder, exist_ok=True)
    if run.returncode:
        lines = run.stderr.strip().splitlines() or ["no message"]
        return {"left out": lines[-1][:200]}
    found: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    return found


def table(found: dict[str, dict[str, Any]], job: str) -> None:
    print(f"\n{job}: P50 ms, P99 ms, recall@{K}")
    for name, figures in found.items():
        if job in figures:
            one = figures[job]
            print(f"  {name:14} {one['p50_ms']:9.3f} {one['p99_ms']:9.3f}   {one['recall']:.3f}   {figures['version']}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench/run.py database", description=__doc__)
    parser.add_argument("--rows", default="20000,100000", help="of the collections, one size after another")
    parser.add_argument("--parts", default="rows,sets,words", help="searches of rows, row sets of filters, words")
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--set-rows", type=int, default=1_000_000, help="of the row sets of filters")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--quick", action="store_true", help="few rows and short measurements: does it run?")
    parser.add_argument("--json", help="write the figures to this file too")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.quick:
        given.rows, given.set_rows, given.seconds = "20000", 100_000, 0.2
    if given.worker:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        sys.path.insert(1, str(ROOT / "python"))
        if given.worker == "row sets":
            print(json.dumps(row_sets(given.folder, given.set_rows)))
        elif given.worker == "words":
            import database_text

            print(json.dumps(database_text.work(100 if given.quick else 1000)))
        else:
            print(json.dumps(work(given.worker, given.folder, int(given.rows), given.dim, given.seconds)))
        return 0
    figures: dict[str, Any] = {"machine": machine()}
    quick = ["--quick"] if given.quick else []
    sizes = [*quick, "--dim", str(given.dim), "--seconds", str(given.seconds), "--set-rows", str(given.set_rows)]
    with Others() as others:
        for rows in map(int, given.rows.split(",") if "rows" in given.parts else []):
            found = {}
            for name in given.engines.split(","):
                found[name] = child(["--worker", name, "--rows", str(rows), *sizes])
                figures[f"{rows} rows"] = found
                if given.json:  # what is known so far, should the rest not be waited for
                    Path(given.json).write_text(json.dumps(figures, indent=1))
                if "left out" in found[name]:
                    print(f"{name} is left out: {found[name]['left out']}", file=sys.stderr)
            print(f"\n{rows} rows of {given.dim} dimensions, one processor")
            for job in ("search + 10 payloads", "filter 1 % random", "filter 10 % near"):
                table(found, job)
        if "sets" in given.parts:
            figures["row sets"] = child(["--worker", "row sets", *sizes])
            print(f"\nrows of a filter on two fields, {given.set_rows} rows, ms: first, another filter, again, SQLite")
            for share, one in figures["row sets"].items():
                print(f"  {share:6}" + "".join(f" {one[name]:10.3f}" for name in SETS))
        if "words" in given.parts:
            figures["words"] = words = child(["--worker", "words", *sizes])
            print("\nsearches by words, one processor")
            if "left out" in words:
                print(f"left out: {words['left out']}", file=sys.stderr)
            else:
                import database_text

                database_text.show(words)
    database_goals.show(figures)
    figures["others_cpus"] = others.cpus
    print(f"\nother processes kept {others.cpus} processors busy meanwhile")
    if given.json:
        Path(given.json).write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
