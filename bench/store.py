"""Suite store: durable writes, searches beside them, and opening, by hither and by the databases people use for it.

Every measurement runs in a process of its own, in a fresh folder. A write counts as done when the engine says it is
durable: after `persist` for SrvDB; LanceDB and Chroma have no such call and promise less. Where the folder lies decides
the figures (--folder), so the time of a bare sync there is printed with them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from measure import Floats, Others, clustered, machine
from store_tables import goals, table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
Payload = dict[str, Any]


class Engine(NamedTuple):
    """An open database: its version, a durable write, a search for ten, an end; one row by its id, and giving space
    back, where it is measured."""

    version: str
    write: Callable[[list[str], Floats, list[Payload]], object]
    search: Callable[[Floats], object]
    close: Callable[[], object]
    get: Callable[[str], object] | None = None
    compact: Callable[[], object] | None = None


def hither_at(folder: str, dim: int, durability: Any) -> Engine:
    import hither

    db = hither.connect(f"{folder}/db.hither", durability=durability)
    collection = db.collection("bench", dim=dim)
    return Engine(
        f"{hither.__version__} {hither.simd()}",
        lambda ids, vectors, rows: collection.upsert(ids, vectors, metadata=rows),
        lambda query: collection.search(query, k=10),
        db.close,
        lambda id: collection[id],
        collection.compact,
    )


def hither_full(folder: str, dim: int) -> Engine:
    """What has returned survives a power cut."""
    return hither_at(folder, dim, "full")


def hither_memory(folder: str, dim: int) -> Engine:
    """What has returned survives kill -9."""
    return hither_at(folder, dim, "memory")


def hither_relaxed(folder: str, dim: int) -> Engine:
    """What was returned 100 ms ago, or flushed, survives a power cut; the time of a last flush is not counted."""
    return hither_at(folder, dim, "relaxed")


def srvdb_flat(folder: str, dim: int) -> Engine:
    """Durable after persist; vectors become lists and payloads JSON, as its interface wants them."""
    import srvdb

    db = srvdb.Database(f"{folder}/db", dimension=dim, mode="flat")

    def write(ids: list[str], vectors: Floats, rows: list[Payload]) -> None:
        db.upsert(ids, vectors.tolist(), [json.dumps(row) for row in rows])
        db.persist()

    return Engine(metadata.version("srvdb"), write, lambda query: db.search(query, 10), lambda: None)


def lancedb_table(folder: str, dim: int) -> Engine:
    """Appends a fragment a batch; searches without an index."""
    import lancedb
    import pyarrow

    vector = pyarrow.list_(pyarrow.float32(), dim)
    schema = pyarrow.schema([("id", pyarrow.string()), ("vector", vector), ("payload", pyarrow.string())])
    table = lancedb.connect(f"{folder}/db").create_table("bench", schema=schema, exist_ok=True)

    def write(ids: list[str], vectors: Floats, rows: list[Payload]) -> None:
        flat = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.ravel()), dim)
        columns = [pyarrow.array(ids), flat, pyarrow.array([json.dumps(row) for row in rows])]
        table.add(pyarrow.table(columns, schema=schema))

    return Engine(
        metadata.version("lancedb"), write, lambda query: table.search(query).limit(10).to_list(), lambda: None
    )


def chroma(folder: str, dim: int) -> Engine:
    """Builds its graph as it writes; takes some thousand rows a call."""
    import chromadb

    collection = chromadb.PersistentClient(f"{folder}/db").get_or_create_collection("bench")

    def write(ids: list[str], vectors: Floats, rows: list[Payload]) -> None:
        for at in range(0, len(ids), 5000):
            part = slice(at, at + 5000)
            collection.upsert(ids[part], embeddings=vectors[part], metadatas=rows[part])

    return Engine(
        metadata.version("chromadb"),
        write,
        lambda query: collection.query(query_embeddings=query[None], n_results=10),
        lambda: None,
    )


def sqlite_vec(folder: str, dim: int) -> Engine:
    """One transaction a batch, synchronous=FULL; searches scan."""
    import sqlite_vec as extension

    db = sqlite3.connect(f"{folder}/plain.db", isolation_level=None, check_same_thread=False)
    if not hasattr(db, "enable_load_extension"):
        raise ImportError("this Python's sqlite3 cannot load extensions")
    db.enable_load_extension(True)
    extension.load(db)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute(
        f"CREATE VIRTUAL TABLE IF NOT EXISTS rows USING vec0(id TEXT PRIMARY KEY, vector FLOAT[{dim}], +payload TEXT)"
    )

    def write(ids: list[str], vectors: Floats, rows: list[Payload]) -> None:
        db.execute("BEGIN")
        db.executemany("DELETE FROM rows WHERE id = ?", [(id,) for id in ids])
        payload = [json.dumps(row) for row in rows]
        db.executemany("INSERT INTO rows VALUES(?, ?, ?)", list(zip(ids, map(bytes, vectors), payload, strict=True)))
        db.execute("COMMIT")

    find = "SELECT id, payload, distance FROM rows WHERE vector MATCH ? AND k = 10"
    return Engine(
        metadata.version("sqlite-vec"), write, lambda query: db.execute(find, (query.tobytes(),)).fetchall(), db.close
    )


def zvec_flat(folder: str, dim: int) -> Engine:
    """A flat index, flushed after each write; takes a thousand rows a call."""
    import zvec

    if Path(f"{folder}/db").exists():
        collection = zvec.open(f"{folder}/db")
    else:
        flat = zvec.FlatIndexParam(metric_type=zvec.MetricType.COSINE)
        schema = zvec.CollectionSchema(
            name="bench",
            fields=[zvec.FieldSchema("payload", zvec.DataType.STRING)],
            vectors=zvec.VectorSchema("vector", zvec.DataType.VECTOR_FP32, dim, index_param=flat),
        )
        collection = zvec.create_and_open(f"{folder}/db", schema)

    def write(ids: list[str], vectors: Floats, rows: list[Payload]) -> None:
        docs = [
            zvec.Doc(id=id, vectors={"vector": vector}, fields={"payload": json.dumps(row)})
            for id, vector, row in zip(ids, vectors.tolist(), rows, strict=True)
        ]
        for at in range(0, len(docs), 1000):
            collection.upsert(docs[at : at + 1000])
        collection.flush()

    def search(query: Floats) -> list[dict[str, str]]:
        found = collection.query(zvec.VectorQuery("vector", vector=query), topk=10)
        return [{"id": doc.id} for doc in found]

    return Engine(metadata.version("zvec"), write, search, lambda: None)


ENGINES: dict[str, Callable[[str, int], Engine]] = {
    "hither": hither_full,
    "hither memory": hither_memory,
    "hither relaxed": hither_relaxed,
    "srvdb": srvdb_flat,
    "lancedb": lancedb_table,
    "chroma": chroma,
    "sqlite-vec": sqlite_vec,
    "zvec": zvec_flat,
}


def payloads(start: int, count: int) -> tuple[list[str], list[Payload]]:
    ids = [f"document-{number:08d}" for number in range(start, start + count)]
    return ids, [{"n": start + i, "source": f"file-{i % 97}.txt", "page": i % 500} for i in range(count)]


def fill(engine: Engine, rows: Floats, batch: int) -> float:
    """Seconds that the writes took, without making what is written."""
    taken = 0.0
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        ids, extra = payloads(start, len(part))
        began = time.perf_counter()
        engine.write(ids, part, extra)
        taken += time.perf_counter() - began
    return taken


def latencies(search: Callable[[Floats], object], queries: Floats, seconds: float) -> dict[str, float]:
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        search(queries[len(taken) % len(queries)])
        taken.append(time.perf_counter() - began)
    ms = np.array(taken) * 1e3
    return {"p50_ms": round(float(np.percentile(ms, 50)), 3), "p99_ms": round(float(np.percentile(ms, 99)), 3)}


# ---- the jobs


def ingest(engine: str, folder: str, dim: int, rows: int, batch: int) -> Payload:
    """Batches of rows with string ids and payloads, each durable before the next."""
    vectors, _ = clustered(rows, dim, 1, 1)
    db = ENGINES[engine](folder, dim)
    taken = fill(db, vectors, batch)
    db.close()
    return {"version": db.version, "rows_per_s": round(rows / taken), "mb_per_s": round(vectors.nbytes / taken / 1e6)}


def singles(engine: str, folder: str, dim: int, threads: int, seconds: float = 3.0) -> Payload:
    """Single rows, each durable before the next, by some threads at once."""
    vectors, _ = clustered(1000, dim, 1, 1)
    db = ENGINES[engine](folder, dim)
    done = [0] * threads
    until = time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < until:
            at = done[number]
            db.write([f"{number}-{at}"], vectors[at % 1000][None], [{"n": at}])
            done[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    taken = time.perf_counter() - began
    db.close()
    return {"version": db.version, "rows_per_s": round(sum(done) / taken)}


def sqlite_singles(folder: str, dim: int, seconds: float = 3.0) -> Payload:
    """One INSERT a transaction with the vector as a blob: what one sync costs here."""
    db = sqlite3.connect(f"{folder}/plain.db", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE rows(id TEXT PRIMARY KEY, vector BLOB, payload TEXT)")
    vector, done = bytes(dim * 4), 0
    began = time.perf_counter()
    while time.perf_counter() < began + seconds:
        db.execute("INSERT INTO rows VALUES(?, ?, ?)", (f"0-{done}", vector, json.dumps({"n": done})))
        done += 1
    return {"version": sqlite3.sqlite_version, "rows_per_s": round(done / (time.perf_counter() - began))}


def beside(engine: str, folder: str, dim: int, rows: int) -> Payload:
    """Searches alone; beside a thread that writes batches of 100 rows as fast as it can; and beside one that gives
    space back after every ten of them."""
    vectors, queries = clustered(rows, dim, 200, 1)
    db = ENGINES[engine](folder, dim)
    fill(db, vectors, 10_000)
    latencies(db.search, queries, 0.5)
    done: Payload = {"version": db.version, "idle": latencies(db.search, queries, 2), "written": 0}

    def write(stop: threading.Event, compact: Callable[[], object] | None) -> None:
        while not stop.is_set():
            ids, extra = payloads(done["written"] % rows, 100)
            db.write(ids, vectors[:100], extra)
            done["written"] += 100
            if compact and done["written"] % 1000 == 0:
                compact()

    for name, compact in [("writing", None)] + ([("compacting", db.compact)] if db.compact else []):
        stop = threading.Event()
        writer = threading.Thread(target=write, args=(stop, compact))
        writer.start()
        done[name] = latencies(db.search, queries, 3)
        stop.set()
        writer.join()
    db.close()
    return done


def opening(engine: str, folder: str, dim: int, rows: int, killed: bool = False) -> Payload:
    """Time to open, to the first answer, and of the next ones; the files are in the page cache. `killed`: whoever
    wrote them was, and did not close."""
    if not Path(f"{folder}/filled").exists():  # by a process of its own
        vectors, queries = clustered(rows, dim, 20, 1)
        np.save(f"{folder}/queries.npy", queries)
        db = ENGINES[engine](folder, dim)
        fill(db, vectors, 10_000)
        Path(f"{folder}/filled").touch()
        if killed:
            print(json.dumps({"again": True}), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        db.close()
        return {"again": True}
    queries: Floats = np.load(f"{folder}/queries.npy")
    os.mkdir(f"{folder}/other")
    ENGINES[engine](f"{folder}/other", dim).close()  # what is imported and loaded once in a process is not meant
    began = time.perf_counter()
    db = ENGINES[engine](folder, dim)
    opened = time.perf_counter() - began
    db.search(queries[0])
    first = time.perf_counter() - began
    then = latencies(db.search, queries, 0.5)
    db.close()
    return {
        "version": db.version,
        "open_ms": round(opened * 1e3, 1),
        "first_ms": round(first * 1e3, 1),
        "then_p50_ms": then["p50_ms"],
    }


def resident_mb() -> float:
    """Of this process, mapped pages counted."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def five(engine: str, folder: str, dim: int, rows: int) -> Payload:
    """SrvDB's own five: ingest, latency, memory at `rows`, 16 threads x 50 searches, and rows found by themselves."""
    vectors, queries = clustered(rows, dim, 100, 1)
    before = resident_mb()
    db = ENGINES[engine](folder, dim)
    taken = fill(db, vectors, 1000)
    idle = latencies(db.search, queries, 1)
    used = resident_mb() - before

    def fifty() -> None:
        for query in queries[:50]:
            db.search(query)

    def rate(threads: int) -> float:
        workers = [threading.Thread(target=fifty) for _ in range(threads)]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return round(threads * 50 / (time.perf_counter() - began))

    one, sixteen = rate(1), rate(16)
    get, numbers = db.get, np.arange(rows)
    got = latencies(lambda at: get(f"document-{int(at):08d}"), numbers, 0.5)["p50_ms"] if get else None
    exact = sum(first_id(db.search(vectors[at])) == f"document-{at:08d}" for at in range(0, rows, max(1, rows // 1000)))
    tried = len(range(0, rows, max(1, rows // 1000)))
    db.close()
    return {
        "version": db.version,
        "rows_per_s": round(rows / taken),
        **idle,
        "mb": round(used, 1),
        "qps_1": one,
        "qps_16": sixteen,
        "get_p50_ms": got,
        "exact": f"{exact}/{tried}",
    }


def first_id(found: Any) -> str:
    """The id of the best hit, whatever the engine calls it."""
    if hasattr(found, "ids"):
        return str(found.ids[0])
    if isinstance(found, dict):
        return str(found["ids"][0][0])
    best = found[0]
    return str(best["id"] if isinstance(best, dict) else best[0])


def memory(engine: str, folder: str, dim: int, rows: int) -> Payload:
    """What a C program has resident that searches such a database."""
    if not Path(f"{folder}/filled").exists():
        return opening(engine, folder, dim, rows)
    library, compiler = ROOT / "build", shutil.which("cc")
    if not compiler or not (library / "libhither.so").exists():
        raise ImportError("it takes cc and build/libhither.so")
    program, source = f"{folder}/bench_memory", str(HERE / "bench_memory.c")
    paths = [f"-I{ROOT}/include", f"-L{library}", f"-Wl,-rpath,{library}"]
    subprocess.run([compiler, "-O2", "-std=c11", source, *paths, "-lhither", "-o", program], check=True)
    done = subprocess.run([program, f"{folder}/db.hither", "bench"], stdout=subprocess.PIPE, check=True)
    return {"version": "C", **json.loads(done.stdout)}


def disk_mb_per_s(folder: str) -> float:
    """What the disk takes: pieces of 64 MiB, written into a file with space set aside and synced, at P50."""
    piece = np.random.default_rng(1).bytes(64 << 20)
    taken: list[float] = []
    with open(f"{folder}/bandwidth", "wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, 4 * len(piece))
        for _ in range(4):
            began = time.perf_counter()
            left = memoryview(piece)
            while left:
                left = left[file.write(left) :]
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    os.remove(f"{folder}/bandwidth")
    return round(len(piece) / float(np.median(taken)) / 1e6)


def bare_sync(folder: str) -> float:
    """Milliseconds of one fdatasync of 4 KiB appended, at P50."""
    taken: list[float] = []
    with open(f"{folder}/sync", "wb", buffering=0) as file:
        for _ in range(100):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return round(float(np.percentile(taken, 50)) * 1e3, 3)


# ---- all of them


def jobs(options: argparse.Namespace) -> list[Payload]:
    scale = options.scale
    wanted: list[Payload] = []
    for dim, batch, rows in ((384, 1000, 20_000), (384, 10_000, 40_000), (1536, 1000, 50_000), (1536, 10_000, 30_000)):
        count = max(batch, int(rows * scale) // batch * batch)
        wanted += [{"job": "ingest", "engine": e, "dim": dim, "batch": batch, "rows": count} for e in options.engines]
    wanted.append({"job": "sqlite_singles", "engine": "sqlite3 INSERT", "dim": 384})
    for name in options.engines:
        for threads in (1, 16) if name.startswith("hither") else (1,):
            wanted.append({"job": "singles", "engine": name, "dim": 384, "threads": threads})
    searchers = [e for e in options.engines if e not in ("hither memory", "hither relaxed")]  # rows are rows
    wanted += [{"job": "five", "engine": e, "dim": 1536, "rows": int(10_000 * scale)} for e in searchers]
    rows = int(20_000 * scale)
    wanted += [{"job": "beside", "engine": e, "dim": 384, "rows": rows} for e in searchers]
    wanted += [{"job": "opening", "engine": e, "dim": 384, "rows": int(100_000 * scale)} for e in searchers]
    if "hither" in options.engines:
        ours = {"engine": "hither", "dim": 384}
        wanted.append({"job": "five", "engine": "hither", "dim": 1536, "rows": int(10_000 * scale), "pool": 1})
        wanted.append({"job": "memory", "engine": "hither", "dim": 1536, "rows": int(10_000 * scale)})
        for count in (1_000, 10_000, 100_000):
            wanted.append({"job": "opening", **ours, "rows": int(count * scale), "killed": True})
        wanted.append({"job": "opening", **ours, "rows": int(1_000_000 * scale)})
    return [job for job in wanted if not options.only or job["job"].removeprefix("sqlite_") in options.only]


def run_one(job: Payload, folder: str) -> Payload:
    """In this process."""
    arguments = {key: value for key, value in job.items() if key not in ("job", "pool")}
    if job["job"] == "sqlite_singles":
        return sqlite_singles(folder, job["dim"])
    works: dict[str, Callable[..., Payload]] = {
        "ingest": ingest,
        "singles": singles,
        "beside": beside,
        "opening": opening,
        "five": five,
        "memory": memory,
    }
    try:
        with Others() as others:
            done = works[job["job"]](folder=folder, **arguments)
        return {**done, "others_cpu": others.cpus}
    except ImportError as error:
        return {"skipped": str(error)}


def measure(options: argparse.Namespace) -> list[Payload]:
    lines: list[Payload] = []
    skipped: set[str] = set()
    for job in jobs(options):
        if job["engine"] in skipped:
            continue
        folder = tempfile.mkdtemp(prefix="hither-bench-", dir=options.folder)
        line: Payload = {"again": True}
        while line.get("again"):
            disk: Payload = {"sync_ms": bare_sync(folder)}
            if job["job"] == "ingest" and job["engine"] == "hither":
                disk["disk_mb_per_s"] = disk_mb_per_s(folder)
            environment = {**os.environ, **({"HITHER_THREADS": str(job["pool"])} if "pool" in job else {})}
            command = [sys.executable, str(HERE / "run.py"), "store", "--worker", json.dumps(job), "--folder", folder]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=False, env=environment)
            words = done.stdout.splitlines()
            ended = done.returncode in (0, -signal.SIGKILL) and words
            line = json.loads(words[-1]) if ended else {"skipped": "it failed"}
        shutil.rmtree(folder, ignore_errors=True)
        if "skipped" in line:
            print(f"{job['engine']}, {job['job']}: left out ({line['skipped']})", file=sys.stderr)
            if job["engine"] != "hither":
                skipped.add(job["engine"])
            continue
        lines.append({**job, **line, **disk})
        print(json.dumps(lines[-1]), file=sys.stderr)
    return lines


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench/run.py store", description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--only", nargs="+", metavar="JOB", help="ingest, singles, five, beside, opening or memory")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of rows")
    parser.add_argument("--quick", action="store_true", help="a quarter of the rows")
    parser.add_argument("--folder", help="where the databases are made; default: the system's temporary folder")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        print(json.dumps(run_one(options.worker, options.folder)))
        return 0
    options.scale /= 4 if options.quick else 1
    lines = measure(options)
    if not lines:
        return 1
    about = {"suite": "store", **machine()}
    results = HERE / "results" / f"store-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    results.parent.mkdir(exist_ok=True)
    results.write_text("".join(json.dumps({**about, **line}) + "\n" for line in lines))
    print(f"\n{about['cpu']}, {about['cpus']} CPUs\n\n{goals(lines)}\n\n{table(lines)}\n")
    print(f"lines: {results.relative_to(ROOT)}")
    return 0
