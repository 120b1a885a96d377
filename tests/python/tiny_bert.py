"""A tiny sentence model in a folder, as published ones are, with weights from a fixed generator; and its twin in numpy.

    python tests/python/tiny_bert.py FOLDER

The model means nothing. It has every part that real ones have, at 2 layers and 32 dimensions.
"""

from __future__ import annotations

import functools
import json
import math
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

LAYERS, WIDTH, HEADS, INNER, POSITIONS = 2, 32, 4, 64, 40
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:;!?'\"()[]/#&%$-_=+*@<>|~^{}\\`" + "äßéøαβγабв日本語中文😀"
WORDS = "the a of to and in bird hawk prey bread owl night eats flies hunts mouse river error port connection".split()
PIECES = ["##" + c for c in LETTERS] + ["##ing", "##ed", "##s", "##er", "##tion", "##ion", "##ly"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *WORDS, *PIECES]


def tokenizer() -> dict[str, Any]:
    added = [
        {
            "id": VOCABULARY.index(token),
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for token in VOCABULARY[:5]
    ]
    special = {t: {"id": t, "ids": [VOCABULARY.index(t)], "tokens": [t]} for t in ("[CLS]", "[SEP]")}
    cls, text, sep = (
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
    )
    return {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 9, "strategy": "LongestFirst", "stride": 0},
        "padding": None,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [cls, text, sep],
            "pair": [cls, text, sep, {"Sequence": {"id": "B", "type_id": 1}}, sep],
            "special_tokens": special,
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {token: i for i, token in enumerate(VOCABULARY)},
        },
    }


def config() -> dict[str, Any]:
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": len(VOCABULARY),
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
    }


@functools.cache
def _weights() -> dict[str, np.ndarray]:
    """Multiples of 1/256 from a fixed generator, so that f16 and bf16 hold them too."""
    state = np.uint64(20240611)

    def numbers(*shape: int, scale: int = 64) -> np.ndarray:
        nonlocal state
        out = np.empty(math.prod(shape), np.float32)
        with np.errstate(over="ignore"):
            for i in range(out.size):
                state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
                out[i] = (int(state >> np.uint64(40)) % (2 * scale + 1) - scale) / 256
        return out.reshape(shape)

    arrays = {
        "embeddings.word_embeddings.weight": numbers(len(VOCABULARY), WIDTH, scale=128),
        "embeddings.position_embeddings.weight": numbers(POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": numbers(2, WIDTH),
    }

    def norm(name: str) -> None:
        arrays[name + ".weight"] = 1 + 2 * numbers(WIDTH, scale=32)
        arrays[name + ".bias"] = numbers(WIDTH, scale=32)

    def dense(name: str, columns: int, depth: int) -> None:
        arrays[name + ".weight"] = numbers(columns, depth)
        arrays[name + ".bias"] = numbers(columns)

    norm("embeddings.LayerNorm")
    for n in range(LAYERS):
        layer = f"encoder.layer.{n}."
        for part in ("query", "key", "value"):
            dense(f"{layer}attention.self.{part}", WIDTH, WIDTH)
        dense(layer + "attention.output.dense", WIDTH, WIDTH)
        norm(layer + "attention.output.LayerNorm")
        dense(layer + "intermediate.dense", INNER, WIDTH)
        dense(layer + "output.dense", WIDTH, INNER)
        norm(layer + "output.LayerNorm")
    return arrays


def weights() -> dict[str, np.ndarray]:
    """The weights by name, the caller's."""
    return {name: array.copy() for name, array in _weights().items()}


def safetensors(arrays: dict[str, np.ndarray], dtype: str) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, array in arrays.items():
        if dtype == "BF16":
            raw = (np.ascontiguousarray(array, np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
        else:
            raw = array.astype({"F32": np.float32, "F16": np.float16}[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def write(folder: Path, dtype: str = "F32", pooling: str = "mean") -> Path:
    """The folder of the model; files that are there already stay, but for these."""
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config(), indent=1))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(), ensure_ascii=False), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(safetensors(weights(), dtype))
    modes = {"pooling_mode_cls_token": pooling == "cls", "pooling_mode_mean_tokens": pooling == "mean"}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": WIDTH, **modes}))
    return folder


# ---- the twin


def _norm(x: np.ndarray, w: dict[str, np.ndarray], name: str) -> np.ndarray:
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12) * w[name + ".weight"] + w[name + ".bias"]


def _dense(x: np.ndarray, w: dict[str, np.ndarray], name: str) -> np.ndarray:
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def vector(tokens: list[int], pooling: str = "mean") -> np.ndarray:
    """The unit vector of one text's tokens, in f64."""
    w = {name: array.astype(np.float64) for name, array in weights().items()}
    x = w["embeddings.word_embeddings.weight"][tokens]
    x = x + w["embeddings.position_embeddings.weight"][: len(tokens)] + w["embeddings.token_type_embeddings.weight"][0]
    x = _norm(x, w, "embeddings.LayerNorm")
    for n in range(LAYERS):
        layer = f"encoder.layer.{n}."
        q, k, v = (
            _dense(x, w, f"{layer}attention.self.{part}").reshape(len(tokens), HEADS, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(WIDTH // HEADS)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        attended = (shares @ v).transpose(1, 0, 2).reshape(len(tokens), WIDTH)
        x = _norm(x + _dense(attended, w, layer + "attention.output.dense"), w, layer + "attention.output.LayerNorm")
        inner = _dense(x, w, layer + "intermediate.dense")
        inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        x = _norm(x + _dense(inner, w, layer + "output.dense"), w, layer + "output.LayerNorm")
    pooled = x[0] if pooling == "cls" else x.mean(0)
    return pooled / np.linalg.norm(pooled)


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
