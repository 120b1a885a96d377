"""ONNX files of encoders of the BERT family, written by hand: no package is needed for that.

`graph` makes the graph that exporters make (of named weights, as in a safetensors file), with matrices under names that
say nothing, as theirs are. Ways: numbers, or bytes as dynamic quantization leaves them.

    python tests/python/onnx_write.py FOLDER FILE [f32|dynamic]     from FOLDER/model.safetensors to FILE
"""

from __future__ import annotations

import json
import math
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11}


# ---- protobuf


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def chunk(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def real(field: int, value: float) -> bytes:
    return varint(field << 3 | 5) + struct.pack("<f", value)


def tensor(name: str, array: np.ndarray, form: str = "raw", beside: tuple[str, int, int] | None = None) -> bytes:
    """A TensorProto; `form` says where its numbers stand, `beside` is (file, offset, length)."""
    out = b"".join(number(1, d) for d in array.shape) + number(2, TYPES[array.dtype.name]) + chunk(8, name)
    if beside:
        pairs = zip(("location", "offset", "length"), map(str, beside), strict=True)
        return out + b"".join(chunk(13, chunk(1, k) + chunk(2, v)) for k, v in pairs) + number(14, 1)
    if form == "raw":
        return out + chunk(9, array.tobytes())
    if form == "floats":
        return out + chunk(4, array.astype(np.float32).tobytes())
    return out + chunk(7 if array.dtype == np.int64 else 5, b"".join(varint(int(x)) for x in array.ravel()))


def attribute(name: str, value: Any) -> bytes:
    if isinstance(value, float):
        return chunk(1, name) + real(2, value) + number(20, 1)
    if isinstance(value, int):
        return chunk(1, name) + number(3, value) + number(20, 2)
    if isinstance(value, list):
        return chunk(1, name) + b"".join(number(8, x) for x in value) + number(20, 7)
    return chunk(1, name) + chunk(5, value) + number(20, 4)


def node(op: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: Any) -> bytes:
    out = b"".join(chunk(1, i) for i in inputs) + b"".join(chunk(2, o) for o in outputs) + chunk(4, op)
    out += b"".join(chunk(5, attribute(k, v)) for k, v in attributes.items())
    return out + (chunk(7, domain) if domain else b"")


def value_info(name: str, kind: int, dims: list[str | int]) -> bytes:
    shape = b"".join(chunk(1, number(1, d) if isinstance(d, int) else chunk(2, d)) for d in dims)
    return chunk(1, name) + chunk(2, chunk(1, number(1, kind) + chunk(2, shape)))


def model(graph: bytes, opset: int = 17, domains: tuple[str, ...] = ()) -> bytes:
    sets = [number(2, opset)] + [chunk(1, d) + number(2, 1) for d in domains]
    return number(1, 8) + chunk(2, "hither-tests") + chunk(7, graph) + b"".join(chunk(8, s) for s in sets)


# ---- BERT


class Writer:
    """A graph that grows node by node."""

    def __init__(self, way: str = "f32", norms: str = "joined", forms: str = "raw") -> None:
        self.way, self.norms, self.forms = way, norms, forms
        self.nodes: list[bytes] = []
        self.arrays: list[tuple[str, np.ndarray]] = []
        self.count = 0

    def name(self, hint: str = "") -> str:
        self.count += 1
        return f"{hint or 'val'}_{self.count}"

    def array(self, array: np.ndarray, name: str = "") -> str:
        name = name or self.name("onnx::")
        self.arrays.append((name, np.ascontiguousarray(array) if array.ndim else array))
        return name

    def f32(self, value: float) -> str:
        return self.array(np.array(value, np.float32))

    def i64(self, *values: int) -> str:
        return self.array(np.array(values, np.int64))

    def do(self, op: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        names = [self.name() for _ in range(outputs)]
        self.nodes.append(node(op, list(inputs), names, domain, **attributes))
        return names[0] if outputs == 1 else names

    def norm(self, x: str, scale: np.ndarray, shift: np.ndarray, epsilon: float) -> str:
        g, b = self.array(scale), self.array(shift)
        if self.norms == "joined":
            return str(self.do("LayerNormalization", x, g, b, axis=-1, epsilon=float(epsilon)))
        mean = self.do("ReduceMean", x, axes=[-1])
        d = self.do("Sub", x, mean)
        var = self.do("ReduceMean", self.do("Pow", d, self.f32(2)), axes=[-1])
        by = self.do("Sqrt", self.do("Add", var, self.f32(epsilon)))
        return str(self.do("Add", self.do("Mul", self.do("Div", d, by), g), b))

    def quantized(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bytes, step and zero of a matrix as dynamic quantization makes them, per column; or of all, with a zero."""
        if self.way == "dynamic":
            step = np.maximum(np.abs(matrix).max(0), 1e-9) / 127
            return np.rint(matrix / step).astype(np.int8), step.astype(np.float32), np.zeros(len(step), np.int8)
        if self.way == "dynamic-u8":  # symmetric, about 128
            step = np.float32(np.abs(matrix).max() / 127)
            return (np.rint(matrix / step) + 128).astype(np.uint8), np.array(step), np.array(128, np.uint8)
        low, high = min(float(matrix.min()), 0.0), max(float(matrix.max()), 0.0)
        step = np.float32((high - low) / 255)
        zero = np.uint8(np.rint(-low / step))
        return np.clip(np.rint(matrix / step) + zero, 0, 255).astype(np.uint8), np.array(step), np.array(zero)

    def product(self, x: str, matrix: np.ndarray) -> str:
        """x times a matrix (depth x columns), in the way that was chosen."""
        if self.way == "f32":
            return str(self.do("MatMul", x, self.array(matrix)))
        if self.way == "gemm":
            return str(self.do("MatMul", x, self.do("Transpose", self.array(matrix.T), perm=[1, 0])))
        if self.way == "weights":  # bytes that become numbers again
            step = (np.abs(matrix).max(0, keepdims=True) / 127).astype(np.float32)
            turned = self.do("Cast", self.array(np.rint(matrix / step).astype(np.int8)), to=1)
            return str(self.do("MatMul", x, self.do("Mul", turned, self.array(step))))
        data, step, zero = self.quantized(matrix)
        if self.way == "qdq":
            w = self.do("DequantizeLinear", self.array(data), self.array(step), self.array(zero), axis=1)
            return str(self.do("MatMul", x, w))
        q, by, middle = self.do("DynamicQuantizeLinear", x, outputs=3)
        sums = self.do("MatMulInteger", q, self.array(data), middle, self.array(zero))
        return str(self.do("Mul", self.do("Cast", sums, to=1), self.do("Mul", by, self.array(step))))

    def dense(self, x: str, weights: np.ndarray, bias: np.ndarray) -> str:
        return str(self.do("Add", self.array(bias), self.product(x, weights.T)))

    def table(self, rows: np.ndarray, at: str) -> str:
        if self.way in ("f32", "gemm", "weights", "qdq"):
            return str(self.do("Gather", self.array(rows), at, axis=0))
        step = np.float32(np.abs(rows).max() / 127)
        data = np.rint(rows / step).astype(np.int8)
        found = self.do("Gather", self.array(data), at, axis=0)
        return str(self.do("DequantizeLinear", found, self.array(np.array(step)), self.array(np.array(0, np.int8))))

    def attention(self, x: str, w: dict[str, np.ndarray], at: str, heads: int, mask: str) -> str:
        width = w[at + "query.weight"].shape[0]
        parts = {}
        for part in ("value", "key", "query"):  # in no order that could be relied on
            y = self.dense(x, w[f"{at}{part}.weight"], w[f"{at}{part}.bias"])
            y = self.do("Reshape", y, self.i64(0, 0, heads, width // heads))
            parts[part] = self.do("Transpose", y, perm=[0, 2, 3, 1] if part == "key" else [0, 2, 1, 3])
        scores = self.do("MatMul", parts["query"], parts["key"])
        scores = self.do("Div", scores, self.f32(math.sqrt(width // heads)))
        shares = self.do("Softmax", self.do("Add", scores, mask), axis=-1)
        y = self.do("Transpose", self.do("MatMul", shares, parts["value"]), perm=[0, 2, 1, 3])
        return str(self.do("Reshape", y, self.i64(0, 0, width)))

    def gelu(self, x: str) -> str:
        half = self.do("Erf", self.do("Div", x, self.f32(math.sqrt(2))))
        return str(self.do("Mul", self.do("Mul", x, self.do("Add", half, self.f32(1))), self.f32(0.5)))

    def encoder(self, w: dict[str, np.ndarray], heads: int, epsilon: float) -> str:
        places = w["embeddings.position_embeddings.weight"]
        ids = self.array(np.arange(len(places), dtype=np.int64)[None])
        length = self.do("Slice", self.do("Shape", "input_ids"), self.i64(1), self.i64(2))
        at = self.do("Slice", ids, self.i64(0), length, self.i64(1))
        x = self.table(w["embeddings.word_embeddings.weight"], "input_ids")
        x = self.do("Add", x, self.table(w["embeddings.token_type_embeddings.weight"], "token_type_ids"))
        x = self.do("Add", x, self.table(places, at))
        x = self.norm(x, w["embeddings.LayerNorm.weight"], w["embeddings.LayerNorm.bias"], epsilon)
        seen = self.do("Cast", self.do("Unsqueeze", "attention_mask", self.i64(1, 2)), to=1)
        mask = self.do("Mul", self.do("Sub", self.f32(1), seen), self.f32(-10000))
        layers = 1 + max(int(name.split(".")[2]) for name in w if name.startswith("encoder.layer."))
        for n in range(layers):
            at_ = f"encoder.layer.{n}."
            y = self.attention(x, w, at_ + "attention.self.", heads, mask)
            y = self.dense(y, *(w[f"{at_}attention.output.dense.{p}"] for p in ("weight", "bias")))
            norm = [w[f"{at_}attention.output.LayerNorm.{p}"] for p in ("weight", "bias")]
            x = self.norm(self.do("Add", y, x), norm[0], norm[1], epsilon)
            y = self.gelu(self.dense(x, *(w[f"{at_}intermediate.dense.{p}"] for p in ("weight", "bias"))))
            y = self.dense(y, *(w[f"{at_}output.dense.{p}"] for p in ("weight", "bias")))
            norm = [w[f"{at_}output.LayerNorm.{p}"] for p in ("weight", "bias")]
            x = self.norm(self.do("Add", y, x), norm[0], norm[1], epsilon)
        return x

    def pooled(self, x: str) -> str:
        """The mean of the tokens, as a model does it that pools by itself."""
        mask = self.do("Cast", self.do("Unsqueeze", "attention_mask", self.i64(2)), to=1)
        total = self.do("ReduceSum", self.do("Mul", x, mask), self.i64(1), keepdims=0)
        return str(self.do("Div", total, self.do("ReduceSum", mask, self.i64(1), keepdims=0)))

    def file(self, outputs: dict[str, tuple[str, list[str | int]]], beside: str = "") -> tuple[bytes, bytes]:
        """The model, and the numbers for the file `beside` it, where there is one."""
        numbers, parts, data = b"", [], []
        for name, (value, _) in outputs.items():
            self.nodes.append(node("Identity", [value], [name]))
        for name, array in self.arrays:
            if beside and array.nbytes >= 64:
                parts.append(tensor(name, array, beside=(beside, len(numbers), array.nbytes)))
                numbers += array.tobytes()
                continue
            small = array.size < 8 and self.forms == "varied"
            form = "raw" if not small else "floats" if array.dtype == np.float32 else "varints"
            parts.append(tensor(name, array, form))
        data += [chunk(1, n) for n in self.nodes] + [chunk(2, "bert")] + [chunk(5, p) for p in parts]
        for name in ("input_ids", "attention_mask", "token_type_ids"):
            data.append(chunk(11, value_info(name, 7, ["batch", "tokens"])))
        data += [chunk(12, value_info(name, 1, dims)) for name, (_, dims) in outputs.items()]
        return model(b"".join(data)), numbers


def bert(
    weights: dict[str, np.ndarray],
    heads: int,
    epsilon: float = 1e-12,
    way: str = "f32",
    norms: str = "joined",
    forms: str = "raw",
    pooled: bool = False,
    beside: str = "",
) -> tuple[bytes, bytes]:
    """The ONNX file of an encoder with these weights, and what belongs into the file `beside` it."""
    w = Writer(way, norms, forms)
    x = w.encoder(weights, heads, epsilon)
    width = weights["embeddings.LayerNorm.weight"].shape[0]
    outputs: dict[str, tuple[str, list[str | int]]] = {"last_hidden_state": (x, ["batch", "tokens", width])}
    if pooled:
        outputs["sentence_embedding"] = (w.pooled(x), ["batch", width])
    return w.file(outputs, beside)


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The f32 arrays of a file, without the prefix some have."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    out = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = (8 + length + x for x in entry["data_offsets"])
            array = np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"])
            out[name.removeprefix("bert.")] = array
    return out


def export(folder: Path, file: Path, way: str = "f32") -> Path:
    """The ONNX file of the model in a folder with safetensors."""
    config = json.loads((folder / "config.json").read_text())
    weights = read_safetensors(folder / "model.safetensors")
    data, _ = bert(weights, config["num_attention_heads"], config["layer_norm_eps"], way)
    file.write_bytes(data)
    return file


if __name__ == "__main__":
    print(export(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
