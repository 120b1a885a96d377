"""Static models: a table of rows, a text's vector the mean of its tokens' rows; against the formula in numpy, with
every way such a folder is written, and what is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import hither
import numpy as np
import pytest
import tiny_bert
from test_embed_models import tokens

WIDTH, COUNT = 24, len(tiny_bert.VOCABULARY)
TEXTS = ["a bird of prey", "the hawk eats a mouse.", "", "connection error: port 8080", "bread " * 700, "\u0416"]


def safetensors(arrays: dict[str, np.ndarray]) -> bytes:
    names = {"float32": "F32", "float16": "F16", "int8": "I8", "int32": "I32", "int64": "I64", "float64": "F64"}
    header, data = {}, b""
    for name, array in arrays.items():
        end = len(data) + array.nbytes
        header[name] = {"dtype": names[array.dtype.name], "shape": list(array.shape), "data_offsets": [len(data), end]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def write(folder: Path, arrays: dict[str, np.ndarray], **config: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True, **config}))
    (folder / "tokenizer.json").write_text(json.dumps(tiny_bert.tokenizer(), ensure_ascii=False), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(safetensors(arrays))
    return folder


def rows(dtype: type, count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(7).integers(-99, 99, (count, WIDTH)).astype(dtype)


def vector(text: str, arrays: dict[str, np.ndarray], most: int = 512) -> np.ndarray:
    unknown = tiny_bert.VOCABULARY.index("[UNK]")
    ids = [i for i in all_tokens(text)[:most] if i != unknown]
    table = next(array for name, array in arrays.items() if name.startswith("embedding"))
    total = np.zeros(WIDTH)
    for i in ids:
        row = arrays["mapping"][i] if "mapping" in arrays else i
        total += table[row].astype(np.float64) * (arrays["weights"][i] if "weights" in arrays else 1)
    return total / (np.linalg.norm(total) or 1)


def all_tokens(text: str) -> list[int]:
    """Without those around a text, and without the tiny encoder's limit."""
    return [i for word in text.replace("\u0416", "\u0416 ").split() for i in tokens(word)[1:-1]]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8])
@pytest.mark.parametrize("name", ["embeddings", "embedding.weight"])
def test_vectors_are_those_of_the_formula(tmp_path: Path, dtype: type, name: str) -> None:
    arrays = {name: rows(dtype)}
    e = hither.Embedder.open(write(tmp_path / "m", arrays))
    assert e.dim == WIDTH and e.name.startswith(f"static-{COUNT}x{WIDTH}@")
    assert np.abs(e(TEXTS) - [vector(text, arrays) for text in TEXTS]).max() < 1e-6
    assert not e("").any()
    assert np.array_equal(e(TEXTS)[1], e(TEXTS[1])) and np.array_equal(e.queries(TEXTS), e(TEXTS))


@pytest.mark.parametrize("whole", [np.int32, np.int64])
def test_weights_and_rows_that_tokens_share(tmp_path: Path, whole: type) -> None:
    arrays = {
        "embeddings": rows(np.int8, 10),
        "weights": np.linspace(0.1, 2, COUNT, dtype=np.float32),
        "mapping": (np.arange(COUNT) * 7 % 10).astype(whole),
    }
    e = hither.Embedder.open(write(tmp_path / "m", arrays), max_tokens=3)
    assert np.abs(e(TEXTS) - [vector(text, arrays, 3) for text in TEXTS]).max() < 1e-6
    whole_text = hither.Embedder.open(tmp_path / "m")
    assert whole_text.name != e.name
    with hither.connect(":memory:") as db:
        notes = db.collection("notes", embedder=e)
        notes.upsert([1, 2], documents=["the hawk eats a mouse", "bread"])
        assert notes.search("the hawk eats", k=1)[0].id == 1
        with pytest.raises(hither.ModelError, match="was made with"):
            db.collection("notes", embedder=whole_text)


def test_prefixes(tmp_path: Path) -> None:
    arrays = {"embeddings": rows(np.float32)}
    folder = write(tmp_path / "m", arrays)
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "bird: "}}')
    e = hither.Embedder.open(folder)
    assert np.abs(e.queries("owl") - vector("bird: owl", arrays)).max() < 1e-6
    assert np.abs(e("owl") - vector("owl", arrays)).max() < 1e-6


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, 'no array "embeddings"'),
        ({"embeddings": rows(np.float64)}, "of type F64"),
        ({"embeddings": rows(np.float32, 9)}, "has vectors for 9 tokens"),
        ({"embeddings": rows(np.float32), "weights": np.ones(3, np.float32)}, "settings say"),
        ({"embeddings": rows(np.float32), "weights": np.full(COUNT, np.nan, np.float32)}, "not finite, at 0"),
        ({"embeddings": rows(np.float32), "mapping": np.arange(COUNT)[::-1] - 1}, "holds -1 at"),
        ({"embeddings": rows(np.float32, 5), "mapping": np.arange(COUNT)}, "holds 5 at 5; below 5"),
        ({"embeddings": rows(np.float32), "mapping": rows(np.float32)[:, 0].copy()}, "of type F32; I32 and I64"),
        ({"embeddings": np.zeros((0, WIDTH), np.float32)}, "table is 0 x 24"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    folder = write(tmp_path / "m", arrays)
    with pytest.raises(hither.ModelError, match=message):
        hither.Embedder.open(folder)
