"""Sentence models from a folder, on the tiny one of tiny_bert.py: vectors against its twin in numpy, what is refused,
and collections that know their model."""

from __future__ import annotations

import doctest
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import hither
import numpy as np
import pytest
import tiny_bert

COMMAND = Path(os.environ.get("HITHER_COMMAND") or Path(__file__).parents[2] / "build" / "bin" / "hither")
TEXTS = [
    "a bird of prey",
    "the hawk eats a mouse.",
    "",
    "connection error: port 8080",
    "bread " * 60,
    "日本語 😀 über Alles",
]


def tokens(text: str) -> list[int]:
    """The tiny model's tokens of texts that are cut at spaces and punctuation in ASCII alone; slow and plain."""
    vocabulary = {token: i for i, token in enumerate(tiny_bert.VOCABULARY)}
    for a, b in (("ü", "u"), ("日", " 日 "), ("本", " 本 "), ("語", " 語 ")):
        text = text.replace(a, b)
    words = "".join(f" {c} " if c in ".:," else c for c in text.lower()).split()
    ids = []
    for word in words:
        pieces, at = [], 0
        while at < len(word):
            for end in range(len(word), at, -1):
                piece = ("##" if at else "") + word[at:end]
                if piece in vocabulary:
                    pieces.append(vocabulary[piece])
                    at = end
                    break
            else:
                pieces, at = [vocabulary["[UNK]"]], len(word)
        ids += pieces
    return [2, *ids[: tiny_bert.POSITIONS - 2], 3]


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_are_those_of_the_twin(tmp_path: Path, dtype: str, pooling: str) -> None:
    folder = tiny_bert.write(tmp_path / "m", dtype, pooling)
    exact = hither.Embedder.open(folder, precision="f32")
    fast = hither.Embedder.open(folder)
    assert exact.dim == fast.dim == tiny_bert.WIDTH
    wanted = np.array([tiny_bert.vector(tokens(text), pooling) for text in TEXTS])
    assert np.abs(exact(TEXTS) - wanted).max() < 1e-5
    assert (fast(TEXTS) * wanted).sum(1).min() > 0.999
    assert np.array_equal(fast(TEXTS)[1], fast(TEXTS[1]))  # whatever it is embedded beside


@pytest.mark.parametrize("precision", ["i8", "f32"])
def test_a_vector_does_not_depend_on_the_texts_beside(tmp_path: Path, precision: str) -> None:
    embedder = hither.Embedder.open(tiny_bert.write(tmp_path / "m"), precision=precision, query_prefix="the bird ")
    texts = [" ".join(["bird", "of", "prey", "."] * (i * 7 % 13)) for i in range(150)]
    alone = np.stack([embedder(text) for text in texts])
    assert np.array_equal(embedder(texts), alone)
    assert np.array_equal(embedder(texts[::-1])[::-1], alone)
    assert np.array_equal(embedder.queries(texts), np.stack([embedder.queries(text) for text in texts]))


def test_the_name_says_which_vectors_they_are(tmp_path: Path) -> None:
    a = tiny_bert.write(tmp_path / "a")
    b = tiny_bert.write(tmp_path / "b", "F16")  # the same numbers, stored in another way
    c = tiny_bert.write(tmp_path / "c", pooling="cls")
    name = hither.Embedder.open(a).name
    assert name.startswith("bert-2x32-i8@") and len(name) < 64
    assert hither.Embedder.open(b).name == name
    others = [
        hither.Embedder.open(c),
        hither.Embedder.open(a, precision="f32"),
        hither.Embedder.open(a, max_tokens=20),
        hither.Embedder.open(a, query_prefix="query: "),
        hither.Embedder.open(a, document_prefix="query: "),
    ]
    assert len({name, *(other.name for other in others)}) == 6


@pytest.mark.parametrize("level", ["scalar", "avx2", "avx512", "avx512-vnni", "avx512-amx", "neon"])
def test_bytes_are_the_same_at_every_level(tmp_path: Path, level: str) -> None:
    folder = tiny_bert.write(tmp_path / "m")
    program = "import hither, sys; sys.stdout.buffer.write(hither.Embedder.open(sys.argv[1])(sys.argv[2:]).tobytes())"
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), *TEXTS],
        env={**os.environ, "HITHER_SIMD": level},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout == hither.Embedder.open(folder)(TEXTS).tobytes()


def test_prefixes_and_truncation(tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path / "m")
    plain = hither.Embedder.open(folder, precision="f32")
    given = hither.Embedder.open(folder, precision="f32", query_prefix="the ", document_prefix="a ")
    assert np.allclose(given.queries(["bird"]), plain(["the bird"]))
    assert np.allclose(given("bird"), plain("a bird"))
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "the ", "passage": "a "}}')
    read = hither.Embedder.open(folder, precision="f32")
    assert read.name == given.name
    assert np.array_equal(read.queries("bird"), given.queries("bird"))
    short = hither.Embedder.open(folder, precision="f32", max_tokens=4, query_prefix="", document_prefix="")
    assert np.allclose(short("the bird eats bread"), plain("the bird"))


def test_vocab_txt_stands_in_for_tokenizer_json(tmp_path: Path) -> None:
    a, b = tiny_bert.write(tmp_path / "a"), tiny_bert.write(tmp_path / "b")
    (b / "tokenizer.json").unlink()
    (b / "vocab.txt").write_text("\n".join(tiny_bert.VOCABULARY) + "\n", encoding="utf-8")
    assert np.array_equal(hither.Embedder.open(a)(TEXTS), hither.Embedder.open(b)(TEXTS))


def test_a_collection_knows_its_model(tmp_path: Path) -> None:
    model = hither.Embedder.open(tiny_bert.write(tmp_path / "a"))
    other = hither.Embedder.open(tiny_bert.write(tmp_path / "b", pooling="cls"))
    path = tmp_path / "notes.hither"
    with hither.connect(path) as db:
        c = db.collection("notes", embedder=model)
        c.upsert([1, 2], documents=["the hawk eats a mouse", "bread"])
        assert c.search("the hawk eats a mouse", k=1).ids[0] == 1
    with hither.connect(path) as db:
        assert db["notes"].embedder == model.name
        with pytest.raises(hither.ModelError, match="was made with"):
            db.collection("notes", embedder=other)
        with pytest.raises(hither.ModelError, match=model.name):
            db["notes"].search("bread")
        assert db.collection("notes", embedder=model).search("bread", k=1).ids[0] == 2


def test_a_window_with_a_model(tmp_path: Path) -> None:
    w = hither.Window(embedder=hither.Embedder.open(tiny_bert.write(tmp_path / "a")))
    w.push(["the hawk eats", "bread"])
    assert w.search("bread", 1).documents[0] == "bread"


def test_the_page_on_models(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "models.md"
    names = {"model": str(tiny_bert.write(tmp_path / "m"))}
    results = doctest.testfile(str(page), module_relative=False, globs=names)
    assert results.attempted == 4 and results.failed == 0


@pytest.mark.skipif(not COMMAND.exists(), reason="the command is not built")
def test_the_command(tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path / "m")
    other = tiny_bert.write(tmp_path / "other", pooling="cls")
    (tmp_path / "notes.txt").write_text("the hawk eats a mouse\nbread\n")

    def run(*words: str, models: str = "", input: str = "", fails: bool = False) -> str:
        env = {**os.environ, "HITHER_MODELS": models}
        done = subprocess.run(
            [str(COMMAND), *words], cwd=tmp_path, env=env, input=input, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode == 1) is fails, done.stderr
        return done.stderr if fails else done.stdout

    vector = json.loads(run("embed", "--model", "m", input="bread\n"))
    assert np.allclose(vector, hither.Embedder.open(folder)("bread"))
    run("import", "n.hither", "notes", "notes.txt", "--model", "m")
    run("import", "n.hither", "notes", "-", input="owl\n", models=f"{other}:{folder}")
    assert "--model DIR" in run("search", "n.hither", "notes", "bread", fails=True)
    assert "was made with" in run("search", "n.hither", "notes", "bread", "--model", "other", fails=True)
    for hit in (
        run("search", "n.hither", "notes", "bread", "-k", "1", "--json", "--model", "m"),
        run("search", "n.hither", "notes", "bread", "-k", "1", "--json", models=f"nowhere:{other}:{folder}"),
    ):
        assert json.loads(hit)["distance"] < 1e-6
    run("create", "n.hither", "more", "--model", "m")
    assert json.loads(run("info", "n.hither", "more", "--json"))["embedder"] == hither.Embedder.open(folder).name
    lines = "".join(f"owl {i}\n" for i in range(30)) + "the mouse eats bread\n"
    assert "mouse" in run("watch", "--model", "m", "--warmup", "10", "--rate", "10%", input=lines)


def edit(folder: Path, name: str, **changes: object) -> None:
    settings = json.loads((folder / name).read_text())
    settings.update(changes)
    (folder / name).write_text(json.dumps(settings))


def refused(folder: Path, message: str) -> None:
    with pytest.raises(hither.Error, match=message):
        hither.Embedder.open(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "roberta"}, 'model_type "roberta" is not supported'),
        ({"model_type": None}, "model_type"),
        ({"hidden_act": "relu"}, 'hidden_act "relu"'),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"hidden_size": 0}, "hidden_size must be"),
        ({"hidden_size": 40}, "multiples of 16"),
        ({"hidden_size": 64}, "the model's settings say"),
        ({"num_attention_heads": 5}, "num_attention_heads"),
        ({"num_hidden_layers": 3}, "there is no array"),
        ({"num_hidden_layers": 1e9}, "num_hidden_layers must be"),
        ({"vocab_size": 20}, "settings say"),
        ({"layer_norm_eps": -1}, "layer_norm_eps"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    folder = tiny_bert.write(tmp_path / "m")
    edit(folder, "config.json", **changes)
    refused(folder, message)


def test_files_that_are_refused(tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path / "m")
    refused(tmp_path / "none", "no config.json")
    (folder / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense"}]')
    refused(folder, '"Dense" is not supported')
    (folder / "modules.json").unlink()
    edit(folder, "1_Pooling/config.json", pooling_mode_max_tokens=True)
    refused(folder, "pooling_mode_max_tokens")
    edit(folder, "1_Pooling/config.json", pooling_mode_max_tokens=False, pooling_mode_mean_tokens=False)
    refused(folder, "one of mean, cls and last token")
    tiny_bert.write(folder)
    (folder / "tokenizer.json").unlink()
    refused(folder, "neither tokenizer.json nor vocab.txt")
    (folder / "vocab.txt").write_text("a\nb\n")
    refused(folder, r"without \[CLS\]")
    (folder / "config.json").write_text("{")
    refused(folder, "config.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"type": "WordLevel"}}, '"WordLevel" is not supported'),
        ({"model": {"type": "BPE"}}, "vocabulary of 0 tokens"),
        ({"normalizer": {"type": "NFC"}}, '"NFC" is not supported'),
        ({"normalizer": None}, "normalizer"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, '"Metaspace" is not supported'),
        ({"post_processor": {"type": "FixedLength"}}, '"FixedLength" is not supported'),
        ({"post_processor": {"type": "TemplateProcessing", "single": []}}, "does not hold it"),
        ({"added_tokens": [{"id": 9, "content": "xyz", "normalized": True}]}, "normalized"),
        ({"added_tokens": [{"id": 9999, "content": "xyz"}]}, "the tokenizer gives numbers up to 9999"),
        ({"added_tokens": [{"id": -1, "content": "xyz"}]}, "has no number"),
        ({"added_tokens": [{"id": 1, "content": "x"}]}, "in the vocabulary it is"),
    ],
)
def test_tokenizers_that_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    folder = tiny_bert.write(tmp_path / "m")
    edit(folder, "tokenizer.json", **changes)
    refused(folder, message)


def test_broken_weights(tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path / "m")
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    header = json.loads(whole[8 : 8 + length])
    for bad in (b"", whole[:7], whole[: length // 2], whole[:-1], struct.pack("<Q", 2**63) + whole[8:]):
        path.write_bytes(bad)
        refused(folder, ".")

    def with_header(change: dict[str, object]) -> None:
        name = "embeddings.LayerNorm.bias"
        text = json.dumps({**header, name: {**header[name], **change}}).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + whole[8 + length :])

    with_header({"data_offsets": [0, 2**62]})
    refused(folder, "data_offsets|is bytes")
    with_header({"shape": [31]})
    refused(folder, "its shape wants")
    with_header({"shape": [2**40, 2**40]})
    refused(folder, "not described")
    with_header({"dtype": "I64"})
    refused(folder, "of type I64")
    nan = tiny_bert.weights()
    nan["embeddings.LayerNorm.bias"][3] = np.nan
    path.write_bytes(tiny_bert.safetensors(nan, "F32"))
    refused(folder, "not finite, at 3")
    huge = tiny_bert.weights()
    huge["embeddings.word_embeddings.weight"][:] = 3e38
    path.write_bytes(tiny_bert.safetensors(huge, "F32"))
    with pytest.raises(hither.ModelError, match="not finite"):
        hither.Embedder.open(folder, precision="f32")("bird")


def large(folder: Path) -> Path:
    """The tiny model with so many words that it is worth packing."""
    tiny_bert.write(folder)
    arrays = tiny_bert.weights()
    words = np.tile(arrays["embeddings.word_embeddings.weight"], (600, 1))
    arrays["embeddings.word_embeddings.weight"] = words
    (folder / "model.safetensors").write_bytes(tiny_bert.safetensors(arrays, "F32"))
    edit(folder, "config.json", vocab_size=len(words))
    return folder


def test_large_models_are_packed(tmp_path: Path) -> None:
    folder, cache = large(tmp_path / "m"), tmp_path / "made" / "cache"
    plain = hither.Embedder.open(folder, cache=False)
    wanted = plain(TEXTS)
    hither.Embedder.open(folder, cache=cache)
    assert not list(cache.parent.glob("*/*"))  # too fresh: a change might leave the same times
    time.sleep(2.1)
    for precision in ("f32", "i8"):
        hither.Embedder.open(folder, cache=cache, precision=precision)
    (pack,) = cache.iterdir()
    whole, name = pack.read_bytes(), plain.name
    assert len(whole) > 8 << 20

    def packed() -> bool:
        """Opens it; whether by the pack, which is seen by its staying as it is."""
        before = pack.stat().st_ino if pack.exists() else 0
        embedder = hither.Embedder.open(folder, cache=cache)
        assert embedder.name == name and np.array_equal(embedder(TEXTS), wanted)
        return pack.stat().st_ino == before

    assert packed()
    for bad in (whole[:-1], whole[:4096], whole[:100], b"", whole + b"x"):
        pack.write_bytes(bad)
        assert not packed() and pack.read_bytes() == whole
    for at in (0, 8, 20, 60, 100, 4096, len(whole) // 2, len(whole) - 1):
        pack.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert not packed() and pack.read_bytes() == whole
    pack.chmod(0o666)  # anybody's
    assert not packed() and pack.stat().st_mode & 0o777 == 0o600
    elsewhere = pack.rename(tmp_path / "elsewhere")
    pack.symlink_to(elsewhere)
    assert not packed() and not pack.is_symlink()
    # Other weights, and the same number of bytes: another name, and a new pack in the old one's place.
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-2] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    other = hither.Embedder.open(folder, cache=cache)
    assert other.name != name and pack.read_bytes() == whole
    time.sleep(2.1)
    assert hither.Embedder.open(folder, cache=cache).name == other.name
    assert hither.Embedder.open(folder, cache=cache).name == other.name
    assert list(cache.iterdir()) == [pack] and pack.read_bytes() != whole


def test_places_where_nothing_can_be_packed(tmp_path: Path) -> None:
    folder = large(tmp_path / "m")
    name = hither.Embedder.open(folder, cache=False).name
    time.sleep(2.1)
    (tmp_path / "file").write_text("")
    for cache in (tmp_path / "file", tmp_path / "a" / "b" / "c", "/proc", ""):
        assert hither.Embedder.open(folder, cache=cache).name == name
    program = "import hither, sys; hither.Embedder.open(sys.argv[1])"
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    for key, where in (("HITHER_CACHE", ""), ("XDG_CACHE_HOME", "hither"), ("HOME", ".cache/hither")):
        (tmp_path / key).mkdir()
        subprocess.run([sys.executable, "-c", program, folder], check=True, env={**path, key: str(tmp_path / key)})
        assert len(list((tmp_path / key / where).glob("bert-*.pack"))) == 1
