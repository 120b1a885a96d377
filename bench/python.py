"""Suite python: what the Python package costs around the engine, beside its peers, and what moving from a seed gains.

    import    milliseconds of `import X` once numpy is there: the best of nine fresh processes
    overhead  microseconds of a search for 10 of 200 x 64 rows: nearly nothing but the way in and out
    threads   searches a second of two Python threads over those of one, 20,000 x 384 rows, each search on one thread
    size      MB installed, with all that it depends on but numpy
    memory    bytes grown over 100,000 calls
    seeds     the same job by the package a page of docs/migrate leads away from, and by hither

Each measurement runs in a process of its own; an engine that is not installed is left out, and said so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from measure import Others, clustered, machine

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
Payload = dict[str, Any]
MODULES = {"faiss": "faiss-cpu", "hnswlib": "hnswlib", "usearch": "usearch", "lancedb": "lancedb"}
MODULES |= {"qdrant_client": "qdrant-client", "nseekfs": "nseekfs", "srvdb": "srvdb", "imesde": "imesde"}


def best(call: Callable[[], object], seconds: float = 1.0) -> float:
    """Microseconds of a call: the least mean of 200 in a row, over so many seconds."""
    least, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        for _ in range(200):
            call()
        least = min(least, (time.perf_counter() - began) / 200)
    return round(least * 1e6, 2)


# ---- what a process measures


def importing(engine: str) -> Payload:
    code = f"""
import numpy, time
clock, processor = time.perf_counter(), time.process_time()
import {engine}
print(time.perf_counter() - clock, time.process_time() - processor)
"""
    with tempfile.TemporaryDirectory() as folder:  # of compiled modules, as an installed package has them
        environment = os.environ | {"PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def once() -> list[float]:
            return [float(x) for x in subprocess.check_output([sys.executable, "-c", code], env=environment).split()]

        once()
        clock, processor = (round(min(took) * 1e3, 1) for took in zip(*(once() for _ in range(9)), strict=True))
    return {"ms": clock, "cpu_ms": processor}


def searcher(engine: str, rows: Any, queries: Any) -> Callable[[], object]:
    """A call that searches for the 10 nearest to the next query, by inner product or cosine, on one thread."""
    turn = iter(range(1 << 62))
    count = len(queries)

    def query() -> Any:
        return queries[next(turn) % count]

    if engine.startswith("hither"):
        import hither

        if engine == "hither Index":
            index = hither.Index.wrap(rows, "dot")
            return lambda: index.search(query(), 10)
        c = hither.connect(":memory:").collection("c", rows.shape[1])
        c.add(range(len(rows)), rows)
        return lambda: c.search(query(), 10)
    if engine == "faiss":
        import faiss

        faiss.omp_set_num_threads(1)
        flat = faiss.IndexFlatIP(rows.shape[1])
        flat.add(rows)
        return lambda: flat.search(query()[None], 10)
    if engine == "hnswlib":
        import hnswlib

        graph = hnswlib.Index("ip", rows.shape[1])
        graph.init_index(len(rows))
        graph.set_num_threads(1)
        graph.add_items(rows)
        return lambda: graph.knn_query(query(), 10)
    if engine == "usearch":
        from usearch.index import Index

        other = Index(ndim=rows.shape[1], metric="ip")
        other.add(np.arange(len(rows)), rows)
        return lambda: other.search(query(), 10)
    if engine == "srvdb":
        import srvdb

        db = srvdb.Database(tempfile.mkdtemp(), dimension=max(128, rows.shape[1]))
        db.add([str(n) for n in range(len(rows))], rows.tolist(), ["{}"] * len(rows))
        return lambda: db.search(query().tolist(), 10)
    raise ImportError(f"no way to search with {engine}")


def overhead(engine: str) -> Payload:
    dim = 128 if engine == "srvdb" else 64
    rows, queries = clustered(200, dim, 100, 5)
    return {"us": best(searcher(engine, rows, queries))}


def threads(engine: str) -> Payload:
    rows, queries = clustered(20_000, 384, 200, 5)
    call = searcher(engine, rows, queries)

    def rate(count: int) -> float:
        done = [0] * count
        until = time.perf_counter() + 2.0

        def run(number: int) -> None:
            while time.perf_counter() < until:
                call()
                done[number] += 1

        workers = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return sum(done) / (time.perf_counter() - began)

    call()
    pairs = [(rate(1), rate(2)) for _ in range(3)]
    ratios = sorted(two / one for one, two in pairs)
    out = {"per_s": round(max(one for one, _ in pairs)), "two_over_one": round(ratios[1], 2)}
    if engine == "hither Index":  # what the machine has to give
        one, two = (together(engine, count) for count in (1, 2))
        out["two_processes_over_one"] = round(two / one, 2)
    return out


def alone(engine: str) -> Payload:
    """The same searches in a process, for two seconds from a moment on that others begin at too."""
    rows, queries = clustered(20_000, 384, 200, 5)
    call = searcher(engine, rows, queries)
    call()
    time.sleep(max(0.0, float(os.environ["HITHER_BENCH_AT"]) - time.time()))
    done, until = 0, time.perf_counter() + 2.0
    while time.perf_counter() < until:
        call()
        done += 1
    return {"per_s": done / 2.0}


def together(engine: str, count: int) -> float:
    """Searches a second of so many processes."""
    command = [sys.executable, str(HERE / "run.py"), "python", "--one", "alone", engine]
    environment = os.environ | {"HITHER_BENCH_AT": str(time.time() + 5)}
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(count)]
    return sum(float(json.loads(process.communicate()[0])["per_s"]) for process in running)


def size(engine: str) -> Payload:
    """Of a package and its requirements, as their records have it; of hither, what the wheel in dist/ holds (SQLite and
    the command are in it), or else the package here."""
    seen: dict[str, int] = {}

    def add(name: str) -> None:
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in seen or key == "numpy":
            return
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            return
        files = [Path(str(found.locate_file(file))) for file in found.files or []]
        seen[key] = sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")
        for line in found.requires or []:
            if "extra ==" not in line:
                add(re.split(r"[\s;<>=!~\[(]", line, maxsplit=1)[0])

    wheels = sorted((ROOT / "dist").glob("hither-*-manylinux*_x86_64.whl"))
    if engine == "hither" and wheels:
        with zipfile.ZipFile(wheels[-1]) as wheel:
            seen["hither"] = sum(part.file_size for part in wheel.infolist())
        add("cffi")
    elif engine == "hither":
        package = ROOT / "python" / "hither"
        files = [file for file in package.rglob("*") if file.suffix in (".py", ".so", ".typed")]
        with tempfile.TemporaryDirectory() as folder:
            stripped = Path(folder) / "stripped.so"
            subprocess.run(["strip", "-o", stripped, package / "_ffi.abi3.so"], check=True)
            seen["hither"] = sum(f.stat().st_size for f in files if f.suffix != ".so") + stripped.stat().st_size
        add("cffi")
    else:
        add(MODULES[engine])
    return {"mb": round(sum(seen.values()) / 1e6, 1), "packages": len(seen)}


def memory(engine: str) -> Payload:
    rows, queries = clustered(200, 64, 100, 5)
    call = searcher(engine, rows, queries)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    for _ in range(20_000):
        call()
    start = resident()
    for _ in range(100_000):
        call()
    return {"kb_grown": round((resident() - start) / 1024)}


def seed_srvdb() -> Payload:
    """10,000 rows of 1,536 in one durable call, from lists and JSON strings, and searches for ten."""
    import hither
    import srvdb

    rows, queries = clustered(10_000, 1536, 100, 5)
    ids, texts, lists = [f"doc_{n}" for n in range(10_000)], [f'{{"id": {n}}}' for n in range(10_000)], rows.tolist()
    out: Payload = {}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        old = srvdb.Database(f"{folder}/old", dimension=1536)
        old.add(ids=ids, embeddings=lists, metadatas=texts)
        old.persist()
        out["old_ingest_s"] = round(time.perf_counter() - began, 3)
        asked = queries.tolist()
        out["old_search_us"] = best(lambda: old.search(query=asked[0], k=10))
        began = time.perf_counter()
        new = hither.connect(f"{folder}/new").collection("docs", 1536)
        new.add(ids, lists, metadata=texts)
        out["new_ingest_s"] = round(time.perf_counter() - began, 3)
        out["new_search_us"] = best(lambda: new.search(queries[0], 10))
    return out


def seed_nseekfs() -> Payload:
    """100,000 rows of 384, one query, all cores."""
    import hither
    import nseekfs

    rows, queries = clustered(100_000, 384, 100, 5)
    os.chdir(tempfile.mkdtemp())  # it writes its file into the current folder
    old = nseekfs.from_embeddings(rows, metric="cosine", normalized=True)
    new = hither.Index.wrap(rows)
    return {
        "old_search_us": best(lambda: old.query(queries[0], top_k=10), 3),
        "new_search_us": best(lambda: new.search(queries[0], 10), 3),
    }


def seed_imesde() -> Payload:
    """Texts scored a second as they come, by its model and by the built-in embedder."""
    import hither
    from imesde import PyImesde

    from stream import imesde_model

    texts = [f"user {n % 17} logged in from 10.0.{n % 200}.{n % 250} after {n} ms" for n in range(5000)]
    old, new = PyImesde(*imesde_model()), hither.Window(capacity=16_384)
    began = time.perf_counter()
    old.ingest_batch(texts[:300])
    old_rate = 300 / (time.perf_counter() - began)
    began = time.perf_counter()
    new.push(texts)
    return {
        "old_texts_per_s": round(old_rate),
        "new_texts_per_s": round(5000 / (time.perf_counter() - began)),
    }


def seed_iqdb() -> Payload:
    """10,000 rows of 384 in memory, P50 of a search for ten; and single durable upserts a second. It takes cargo."""
    import hither

    if shutil.which("cargo") is None:
        raise ImportError("it takes cargo")
    with tempfile.TemporaryDirectory() as folder:
        command = ["cargo", "run", "--quiet", "--release", "--locked", "--", folder, "10000"]
        environment = os.environ | {"CARGO_TARGET_DIR": str(ROOT / "build" / "from-iqdb")}
        place = ROOT / "tests" / "migrate" / "iqdb"
        told = json.loads(subprocess.check_output(command, cwd=place, env=environment))
        rows = np.random.default_rng(5).uniform(-1, 1, (12_000, 384)).astype(np.float32)
        c = hither.connect(":memory:").collection("c", 384)
        c.add(range(10_000), rows[:10_000])
        took = []
        for query in rows[10_000:10_200]:
            began = time.perf_counter()
            c.search(query, 10)
            took.append(time.perf_counter() - began)
        durable = hither.connect(f"{folder}/new").collection("c", 384)
        began = time.perf_counter()
        for n in range(2000):
            durable.upsert(n, rows[n])
        rate = 2000 / (time.perf_counter() - began)
    return {
        "old_search_us": round(told["search_p50_ms"] * 1e3, 1),
        "new_search_us": round(float(np.median(took)) * 1e6, 1),
        "old_durable_per_s": round(told["durable_per_s"]),
        "new_durable_per_s": round(rate),
    }


# ---- all of them

JOBS: dict[str, tuple[Callable[..., Payload], tuple[str, ...]]] = {
    "import": (importing, ("hither", *MODULES)),
    "overhead": (overhead, ("hither Index", "hither Collection", "faiss", "hnswlib", "usearch", "srvdb")),
    "threads": (threads, ("hither Index", "hither Collection", "faiss", "hnswlib", "usearch")),
    "size": (size, ("hither", *MODULES)),
    "memory": (memory, ("hither Index", "hither Collection")),
    "seeds": (lambda engine: globals()[f"seed_{engine}"](), ("srvdb", "nseekfs", "imesde", "iqdb")),
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench/run.py python", description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="*", choices=JOBS, default=list(JOBS), metavar="JOB")
    parser.add_argument("--one", nargs=2, metavar=("JOB", "ENGINE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        job, engine = options.one
        with Others() as others:
            try:
                found = alone(engine) if job == "alone" else JOBS[job][0](engine)
            except ImportError as error:
                found = {"missing": str(error)}
        print(json.dumps(found | {"others_cpus": others.cpus}))
        return 0
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    about = machine()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with open(folder / "python.jsonl", "a", encoding="utf-8") as lines:
        for job in options.only:
            what = re.search(rf"^ +{job} +(.*)$", __doc__, re.MULTILINE)
            print(f"\n{job}: {what[1] if what else ''}")
            for engine in JOBS[job][1]:
                command = [sys.executable, str(HERE / "run.py"), "python", "--one", job, engine]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
                last = done.stdout.strip().rpartition("\n")[2]
                found = json.loads(last) if done.returncode == 0 else {"failed": done.returncode}
                lines.write(json.dumps({"job": job, "engine": engine, **found, **about}) + "\n")
                shown = ", ".join(f"{key} {value}" for key, value in found.items() if key != "others_cpus")
                busy = (
                    f"  ({found['others_cpus']} CPUs were busy with others)"
                    if found.get("others_cpus", 0) > 0.2
                    else ""
                )
                print(f"  {engine:18} {shown}{busy}")
    return 0
