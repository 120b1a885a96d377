"""Encoders from ONNX files: the weights are found by what the graph does with them, in every way that exporters write
them; and hostile files, of which none may do harm or open anything outside the folder."""

from __future__ import annotations

import json
import random
from pathlib import Path

import hither
import numpy as np
import onnx_write
import pytest
import tiny_bert

TEXTS = ["a bird of prey", "the hawk eats a mouse.", "", "connection error: port 8080", "bread " * 60, "über Alles 😀"]
HOSTILE = 300


def tiny(folder: Path, **how: object) -> Path:
    """The tiny model's folder, with an ONNX file in the place of safetensors."""
    tiny_bert.write(folder)
    (folder / "model.safetensors").unlink()
    data, beside = onnx_write.bert(tiny_bert.weights(), tiny_bert.HEADS, **how)  # type: ignore[arg-type]
    (folder / "model.onnx").write_bytes(data)
    if beside:
        (folder / str(how["beside"])).write_bytes(beside)
    return folder


def own(folder: Path) -> hither.Embedder:
    return hither.Embedder.open(folder, engine="own")


@pytest.mark.parametrize("way", ["f32", "gemm"])
@pytest.mark.parametrize("norms", ["joined", "apart"])
def test_numbers_give_the_vectors_and_the_name_of_the_same_weights(tmp_path: Path, way: str, norms: str) -> None:
    plain = tiny_bert.write(tmp_path / "plain")
    folder = tiny(tmp_path / "m", way=way, norms=norms, forms="varied")
    for precision in ("f32", "i8"):
        a, b = (hither.Embedder.open(f, precision=precision) for f in (plain, folder))
        assert a.name == b.name
        assert np.array_equal(a(TEXTS), b(TEXTS))


@pytest.mark.parametrize("way", ["weights", "qdq", "dynamic", "dynamic-u8", "dynamic-zero"])
def test_bytes_give_nearly_the_same_vectors(tmp_path: Path, way: str) -> None:
    plain = hither.Embedder.open(tiny_bert.write(tmp_path / "plain"), precision="f32")
    folder = tiny(tmp_path / "m", way=way, norms="apart", forms="varied", pooled=True)
    exact, fast = (hither.Embedder.open(folder, precision=p) for p in ("f32", "i8"))
    assert len({plain.name, exact.name, fast.name}) == 3
    assert (exact(TEXTS) * plain(TEXTS)).sum(1).min() > 0.99
    assert (fast(TEXTS) * exact(TEXTS)).sum(1).min() > 0.99


def test_the_files_bytes_are_used_as_they_are(tmp_path: Path) -> None:
    """Of bytes with a step a column, the product by bytes loses nothing that the file has."""
    folder = tiny(tmp_path / "m", way="dynamic")
    weights = tiny_bert.weights()
    rounded = {}
    for name, array in weights.items():
        dense = name.endswith(".weight") and array.ndim == 2 and "embeddings" not in name
        step = np.maximum(np.abs(array).max(1, keepdims=True), 1e-9) / 127 if dense else None
        table = np.float32(np.abs(array).max() / 127) if "_embeddings" in name else None
        by = step.astype(np.float32) if step is not None else table
        rounded[name] = array if by is None else (np.rint(array / by) * by).astype(np.float32)
    twin = tiny_bert.write(tmp_path / "twin")
    (twin / "model.safetensors").write_bytes(tiny_bert.safetensors(rounded, "F32"))
    a, b = (hither.Embedder.open(f, precision="f32")(TEXTS) for f in (folder, twin))
    assert np.abs(a - b).max() < 1e-6
    a, b = (hither.Embedder.open(f)(TEXTS) for f in (folder, twin))
    assert np.abs(a - b).max() < 1e-4


def test_which_file(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "m")
    name = hither.Embedder.open(folder).name
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "model.onnx")
    assert hither.Embedder.open(folder).name == name
    (folder / "onnx" / "model.onnx").rename(folder / "onnx" / "other.onnx")
    with pytest.raises(hither.ModelError, match=r"neither model\.safetensors nor model\.onnx"):
        hither.Embedder.open(folder)
    assert hither.Embedder.open(folder, file="onnx/other.onnx").name == name
    for bad in ("", "/x.onnx", "../x.onnx", "onnx/../x.onnx", "onnx//x.onnx", "x/", "a" * 300):
        with pytest.raises(hither.InvalidError, match="plain path"):
            hither.Embedder.open(folder, file=bad)


def test_numbers_beside(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "m", beside="model.onnx_data")
    plain = hither.Embedder.open(tiny_bert.write(tmp_path / "plain"))
    assert own(folder).name == plain.name
    data = folder / "model.onnx_data"
    whole = data.read_bytes()
    data.write_bytes(whole[:-1])
    with pytest.raises(hither.ModelError, match=r"of .model\.onnx_data., which has"):
        own(folder)
    data.rename(tmp_path / "elsewhere")
    with pytest.raises(hither.ModelError, match="which is missing"):
        own(folder)
    data.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(hither.ModelError, match="which is not a file"):
        own(folder)
    for name in ("../elsewhere", "/etc/hostname", "..", ".", "a/b", "a\\b", "a\0b"):
        broken = onnx_write.bert(tiny_bert.weights(), tiny_bert.HEADS, beside=name)[0]
        (folder / "model.onnx").write_bytes(broken)
        with pytest.raises(hither.ModelError, match="not a plain one"):
            own(folder)


def graph_of(*parts: bytes) -> bytes:
    return onnx_write.model(b"".join(parts))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "there is no graph"),
        (b"\xff" * 40, "broken"),
        (graph_of(), "there is no norm"),
        (graph_of(onnx_write.chunk(1, onnx_write.node("Evil", [], ["y"], "evil"))), 'operators of "evil"'),
        (graph_of(onnx_write.chunk(1, onnx_write.node("EPContext", [], ["y"], "com.microsoft"))), "loads other files"),
        (graph_of(onnx_write.chunk(1, onnx_write.node("Attention", [], ["y"], "com.microsoft"))), "take apart"),
        (graph_of(onnx_write.chunk(1, onnx_write.node("Add", ["x", "x"], ["y"]))), "nothing before it gives"),
        (graph_of(2 * onnx_write.chunk(1, onnx_write.node("Add", [], ["y"]))), "given twice"),
        (graph_of(onnx_write.chunk(15, b"")), "sparse"),
        (onnx_write.model(b"", domains=("evil",)), 'operators of "evil"'),
        (onnx_write.model(b"") + onnx_write.chunk(25, b""), "functions"),
        (graph_of() + onnx_write.chunk(7, b""), "two graphs"),
    ],
)
def test_what_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    folder = tiny(tmp_path / "m")
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(hither.ModelError, match=message):
        own(folder)


def test_other_shapes_than_the_settings_say(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    for key, value in (
        ("num_hidden_layers", 1),
        ("num_hidden_layers", 3),
        ("vocab_size", 10),
        ("hidden_size", 16),
        ("intermediate_size", 32),
        ("intermediate_size", 32768),
        ("max_position_embeddings", 41),
    ):
        (folder / "config.json").write_text(json.dumps({**config, key: value}))
        with pytest.raises(hither.ModelError):
            own(folder)


def hostile(whole: bytes, pick: random.Random) -> bytes:
    """A file with something wrong: bits turned, lengths grown, parts left out, doubled, or taken from elsewhere."""
    data = bytearray(whole)
    for _ in range(pick.choice((1, 1, 2, 8))):
        at, length = pick.randrange(len(data)), pick.choice((1, 2, 10, 200, 3000))
        match pick.randrange(6):
            case 0:
                data[at] ^= 1 << pick.randrange(8)
            case 1:
                data[at] = pick.choice((0, 127, 128, 255))
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                other = pick.randrange(len(data))
                data[at : at + length] = data[other : other + length]
            case _:
                data[at:at] = bytes([255] * pick.choice((1, 9)))
        if not data:
            break
    return bytes(data[: pick.randrange(len(data) + 1)] if pick.random() < 0.1 else data)


def test_hostile_files(tmp_path: Path) -> None:
    """Each is refused by a message, or gives finite vectors."""
    pick = random.Random(20240611)
    ways = ["f32", "dynamic", "qdq", "weights", "dynamic-zero"]
    files = [onnx_write.bert(tiny_bert.weights(), tiny_bert.HEADS, way=way, norms="apart")[0] for way in ways]
    folder = tiny(tmp_path / "m")
    refused = 0
    for i in range(HOSTILE):
        (folder / "model.onnx").write_bytes(hostile(files[i % len(files)], pick))
        try:
            embedder = own(folder)
            assert np.isfinite(embedder(TEXTS[0])).all()
        except hither.Error as error:
            assert str(error)
            refused += 1
    assert refused > HOSTILE // 3
