"""The demo, `make demo`: hither's main job on real text, from import to crash and recovery, in about two minutes.

Everything is done the way a user would: by the command in build/bin and by the Python package. Each claim is checked
as it is made, and the program ends with a failure if one does not hold.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import hither
import numpy as np
import wordnet
from numpy.typing import NDArray

HITHER = Path(__file__).resolve().parent.parent / "build" / "bin" / "hither"
WRITER = Path(__file__).resolve().parent / "writer.py"
LOGS = [Path("/var/log/dpkg.log"), Path("/var/log/dpkg.log.1"), Path("/var/log/apt/history.log")]
QUESTIONS = ["a bird of prey", "a vessel that travels on water", "to move quickly on foot", "without any doubt"]
K = 5
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ

Floats = NDArray[np.float32]


def bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if COLOUR else text


def heading(text: str) -> None:
    print(f"\n{bold(text)}", flush=True)


def check(holds: bool, what: str) -> None:
    """Prints the claim with a tick; ends the demo if it does not hold."""
    print(f"  {'✓' if holds else '✗'} {what}", flush=True)
    if not holds:
        sys.exit("demo: that should have held; please report it")


def run(*arguments: str | Path, show: bool = True, notes: bool = False) -> str:
    """Runs the command, showing what a person would type, and returns what it printed; notes go to the terminal."""
    words = [str(argument) for argument in arguments]
    if show:
        print("  $ hither " + " ".join(f'"{w}"' if " " in w else os.path.basename(w) for w in words), flush=True)
    stderr = None if notes else subprocess.PIPE
    done = subprocess.run([HITHER, *words], stdout=subprocess.PIPE, stderr=stderr, text=True, check=False)
    if done.returncode:
        sys.exit(f"demo: hither ended with {done.returncode}: {done.stderr or 'see above'}")
    return done.stdout


def indent(text: str, limit: int = 100) -> None:
    for line in text.splitlines():
        print("    " + (line if len(line) <= limit else line[: limit - 1] + "…"), flush=True)


def answers(database: Path) -> list[list[str]]:
    """Ids found for each question, by a process of its own that opens the database anew."""
    found = []
    for question in QUESTIONS:
        lines = run("search", database, "glosses", question, "-k", str(K), "--json", show=False)
        found.append([json.loads(line)["id"] for line in lines.splitlines()])
    return found


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def import_glosses(work: Path, database: Path) -> tuple[int, float]:
    heading("1. Import WordNet's glosses: real English, one definition a row")
    jsonl = work / "glosses.jsonl"
    with open(jsonl, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in wordnet.glosses())
    with open(jsonl, encoding="utf-8") as lines:
        indent(lines.readline())
    began = time.perf_counter()
    run("import", database, "glosses", jsonl, "--text", "gloss", notes=True)
    seconds = time.perf_counter() - began
    count = int(run("count", database, "glosses"))
    check(count == sum(1 for _ in wordnet.glosses()), f"{count:,} rows, embedded and durable, in {seconds:.1f} s")
    return count, count / seconds


def brute_force(vectors: NDArray[np.float64], norms: NDArray[np.float64], query: Floats) -> NDArray[np.float64]:
    """Cosine distances of all rows in f64; a zero vector has similarity 0."""
    q = query.astype(np.float64)
    scale = norms * np.linalg.norm(q)
    return 1 - np.divide(vectors @ q, scale, out=np.zeros_like(norms), where=scale > 0)


def same_order(ids: list[str], index: dict[str, int], exact: NDArray[np.float64]) -> bool:
    """Whether the ids are the brute-force answer; rows may trade places only where f64 cannot tell them apart."""
    mine = exact[[index[i] for i in ids]]
    best = np.sort(np.partition(exact, len(ids) - 1)[: len(ids)])
    return bool(np.all(np.abs(mine - best) <= 1e-12))


def search(database: Path) -> tuple[NDArray[np.float64], list[list[str]]]:
    heading("2. Ask, and hold every answer against brute force in numpy")
    indent(run("search", database, "glosses", QUESTIONS[0], "-k", str(K)))
    embed = hither.Embedder()
    with hither.connect(database, readonly=True) as db:
        glosses = db["glosses"]
        ids = [row["id"] for row in wordnet.glosses()]
        index = {name: row for row, name in enumerate(ids)}
        vectors = glosses.get(ids, include="vector").vectors
        wide = vectors.astype(np.float64)
        norms = np.linalg.norm(wide, axis=1)

        print("\n  question                           hither     numpy   same ids")
        for question in QUESTIONS:
            began = time.perf_counter()
            hits = glosses.search(question, k=K)
            ours = time.perf_counter() - began
            began = time.perf_counter()
            scores = vectors @ embed([question])[0]
            np.argsort(-scores[(top := np.argpartition(-scores, K)[:K])])
            theirs = time.perf_counter() - began
            same = same_order(hits.ids, index, brute_force(wide, norms, embed([question])[0]))
            print(f"  {question:32} {ours * 1e3:6.1f} ms {theirs * 1e3:6.1f} ms   {'yes' if same else 'NO'}")
            if not same:
                sys.exit(f"demo: numpy finds {[ids[i] for i in top]}, hither {hits.ids}")

        sample = np.random.default_rng(1).choice(len(ids), 200, replace=False)
        texts = [hit.document or "" for hit in glosses.get([ids[i] for i in sample])]
        queries = embed([" ".join(text.split()[:6]) for text in texts])
        seconds, wrong = [], 0
        for query in queries:
            began = time.perf_counter()
            hits = glosses.search(query, k=10)
            seconds.append(time.perf_counter() - began)
            wrong += not same_order(hits.ids, index, brute_force(wide, norms, query))
        check(wrong == 0, f"{len(queries)} more searches, k = 10: ids equal to brute force in f64 every time")
    return np.array(seconds), answers(database)


def reopen(database: Path, before: list[list[str]]) -> None:
    heading("3. Close, open again, ask the same")
    began = time.perf_counter()
    with hither.connect(database) as db:
        count = len(db["glosses"])
    check(
        answers(database) == before,
        f"opened in {(time.perf_counter() - began) * 1e3:.0f} ms or less: {count:,} rows, the same answers",
    )


def crash(work: Path, database: Path) -> None:
    heading("4. kill -9 in the middle of an import")
    with open(work / "glosses.jsonl", encoding="utf-8") as lines:
        writer = subprocess.Popen(
            [sys.executable, WRITER, database, "crash"], stdin=lines, stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout
        said = [int(writer.stdout.readline()) for _ in range(40)]
        writer.send_signal(signal.SIGKILL)
        said += [int(line) for line in writer.stdout if line.endswith("\n")]
        writer.wait()
    acknowledged = said[-1]
    print(f"  the importer had said that {acknowledged:,} rows are safe when it died (signal {-writer.returncode})")
    with hither.connect(database) as db:
        rows = {hit.id: hit.document for hit in db["crash"].scan(include="document")}
    wanted = {row["id"]: row["gloss"] for row, _ in zip(wordnet.glosses(), range(acknowledged), strict=False)}
    check(wanted.items() <= rows.items(), f"reopened: all {acknowledged:,} are there, each with its text")
    check(len(rows) % 100 == 0, f"and nothing half done: {len(rows):,} rows, whole batches only")
    indent(run("verify", database))
    run("drop", database, "crash")


def watch() -> None:
    heading("5. The machine's own package log: what is new in it?")
    log = next((path for path in LOGS if path.is_file() and path.stat().st_size), None)
    if not log:
        print("  this machine keeps none; try: tail -f app.log | hither watch")
        return
    began = time.perf_counter()
    shown = run("watch", log).splitlines()
    seconds = time.perf_counter() - began
    indent("\n".join(shown[:12]))
    lines = log.read_bytes().count(b"\n")
    print(f"  {len(shown) // 2} alarms, each with the nearest line known before it; {lines:,} lines in {seconds:.2f} s")


def main() -> int:
    print(bold(f"hither {hither.__version__}: a tour on real text. Everything stays in one temporary folder."))
    with tempfile.TemporaryDirectory(prefix="hither-demo-") as folder:
        work = Path(folder)
        database = work / "notes.hither"
        rows, rate = import_glosses(work, database)
        seconds, before = search(database)
        reopen(database, before)
        size = folder_bytes(database)
        crash(work, database)
        watch()
        raw = rows * 384 * 4
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    heading("In short")
    for name, value in [
        ("rows", f"{rows:,} texts, 384 dimensions each"),
        ("ingest", f"{rate:,.0f} rows/s: parsed, embedded, durable"),
        ("query, P50 / P99", f"{p50:.1f} / {p99:.1f} ms, exact, k = 10"),
        ("size on disk", f"{size / 1e6:,.0f} MB, of which the vectors are {raw / 1e6:,.0f}"),
        ("kernels", hither.simd()),
    ]:
        print(f"  {name:18} {value}")
    print("\n  Next:  build/bin/hither --help")
    print("         build/bin/hither import notes.hither notes README.md")
    print('         build/bin/hither search notes.hither notes "two commands"')
    print("         tail -f /var/log/syslog | build/bin/hither watch")
    print("         make bench SUITE=exact")
    return 0


if __name__ == "__main__":
    if not shutil.which(HITHER):
        sys.exit(f"demo: {HITHER} is not built; run make demo")
    sys.exit(main())
