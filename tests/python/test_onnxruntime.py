"""ONNX Runtime, opened at run time: every slot of its table that we declare is called here, against its own Python
package as the oracle; and what is said where it is missing, too old, or no such library."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import hither
import numpy as np
import onnx_write
import pytest
import tiny_bert
from test_onnx import TEXTS, tiny

onnxruntime = pytest.importorskip("onnxruntime")

COMMAND = Path(os.environ.get("HITHER_COMMAND") or Path(__file__).parents[2] / "build" / "bin" / "hither")
FOLDER = Path(onnxruntime.__file__).parent / "capi"
WAYS = ["f32", "gemm", "weights", "qdq", "dynamic", "dynamic-u8"]


def oracle(folder: Path, tokens: list[list[int]], output: str = "last_hidden_state") -> list[np.ndarray]:
    """What the package itself makes of each text's tokens, alone."""
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    out = []
    for ids in tokens:
        row = np.array([ids], np.int64)
        feed = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        out.append(session.run([output], feed)[0][0])
    return out


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows)


def runtime(folder: Path, **how: object) -> hither.Embedder:
    return hither.Embedder.open(folder, engine="onnxruntime", **how)  # type: ignore[arg-type]


def tokens_of(texts: list[str]) -> list[list[int]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(json.dumps(tiny_bert.tokenizer()))
    tokenizer.no_padding()
    tokenizer.enable_truncation(tiny_bert.POSITIONS)
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken"])
def test_vectors_are_those_of_the_package(tmp_path: Path, way: str, pooling: str) -> None:
    pytest.importorskip("tokenizers")
    folder = tiny(tmp_path / "m", way=way)
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps(
            {f"pooling_mode_{mode}": mode.startswith(pooling) for mode in ("mean_tokens", "cls_token", "lasttoken")}
        )
    )
    pool = {"mean": lambda x: x.mean(0), "cls": lambda x: x[0], "lasttoken": lambda x: x[-1]}[pooling]
    wanted = np.array([unit(pool(rows)) for rows in oracle(folder, tokens_of(TEXTS))])
    there = runtime(folder)
    assert there.dim == tiny_bert.WIDTH and there.name.startswith(f"onnx-{tiny_bert.WIDTH}@")
    assert np.abs(there(TEXTS) - wanted).max() < 1e-5
    own = hither.Embedder.open(folder, precision="f32")(TEXTS)
    assert (own * wanted).sum(1).min() > (0.99999 if way in ("f32", "gemm") else 0.99)


def test_a_vector_of_the_models_own(tmp_path: Path) -> None:
    """A graph that pools by itself is taken at its word, whatever the folder says of pooling and modules."""
    folder = tiny(tmp_path / "m", pooled=True)
    (folder / "modules.json").write_text(json.dumps([{"type": "x.Dense"}]))
    plain = tiny_bert.write(tmp_path / "plain")
    wanted = hither.Embedder.open(plain, precision="f32")(TEXTS)
    assert np.abs(runtime(folder)(TEXTS) - wanted).max() < 1e-5
    with pytest.raises(hither.ModelError, match="Dense"):
        hither.Embedder.open(folder, engine="own")
    assert hither.Embedder.open(folder).name == runtime(folder).name  # not for ours, so the other


@pytest.mark.parametrize("way", ["f32", "dynamic"])
def test_many_texts_of_many_lengths(tmp_path: Path, way: str) -> None:
    folder = tiny(tmp_path / "m", way=way)
    texts: list[str | None] = [" ".join(["bird", "owl", "mouse 7"][: i % 3 + 1] * (i % 17)) for i in range(2300)]
    there = runtime(folder)
    some = there([t for t in texts if t is not None][:40])
    all_of_them = there([t for t in texts if t is not None])
    assert np.abs(all_of_them[:40] - some).max() < 1e-5
    for i in (0, 1, 16, 1023, 1024, 2299):
        alone = there(str(texts[i]))
        assert np.abs(all_of_them[i] - alone).max() < 1e-5
        assert way == "f32" or np.array_equal(all_of_them[i], alone)  # nothing beside it had a say


def test_numbers_beside(tmp_path: Path) -> None:
    """The runtime finds a file beside, in the model's folder; its bytes are part of the name."""
    folder = tiny(tmp_path / "m", beside="model.onnx_data")
    plain = tiny(tmp_path / "plain")
    a, b = runtime(folder), runtime(plain)
    assert np.abs(a(TEXTS) - b(TEXTS)).max() < 1e-6
    data = bytearray((folder / "model.onnx_data").read_bytes())
    data[-4] ^= 1
    (folder / "model.onnx_data").write_bytes(data)
    assert len({a.name, b.name, runtime(folder).name}) == 3


def test_prefixes_and_most_tokens(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "m")
    there = runtime(folder, query_prefix="owl ", max_tokens=4)
    assert np.abs(there.queries("bird") - runtime(folder)("owl bird")).max() < 1e-6
    assert np.array_equal(there("bird owl hawk"), there("bird owl"))
    assert there.name != runtime(folder).name


def test_without_settings(tmp_path: Path) -> None:
    """imesde's models come as model.onnx and tokenizer.json alone."""
    folder = tiny(tmp_path / "m")
    wanted = runtime(folder)(TEXTS[:4])
    (folder / "config.json").unlink()
    (folder / "1_Pooling" / "config.json").unlink()
    assert np.abs(hither.Embedder.open(folder)(TEXTS[:4]) - wanted).max() < 1e-6


def info(name: str) -> bytes:
    return onnx_write.chunk(11, onnx_write.value_info(name, 7, ["b", "t"]))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([info("pixel_values")], "pixel_values"),
        ([info("attention_mask")], 'no input "input_ids"'),
        ([info("input_ids")], "no output"),
        (
            [
                info("input_ids"),
                onnx_write.chunk(1, onnx_write.node("NoSuchOperator", ["input_ids"], ["y"])),
                onnx_write.chunk(12, onnx_write.value_info("y", 1, ["b", "t"])),
            ],
            "could not take the model: .*NoSuchOperator",
        ),
        (
            [
                info("input_ids"),
                onnx_write.chunk(1, onnx_write.node("Identity", ["input_ids"], ["y"])),
                onnx_write.chunk(12, onnx_write.value_info("y", 7, ["b", "t"])),
            ],
            "output .y. is of type 7",
        ),
        (
            [
                info("input_ids"),
                onnx_write.chunk(5, onnx_write.tensor("two", np.array([2, 2], np.int64))),
                onnx_write.chunk(1, onnx_write.node("Reshape", ["input_ids", "two"], ["y"])),
                onnx_write.chunk(12, onnx_write.value_info("y", 7, ["b", "t"])),
            ],
            "could not run the model",
        ),
    ],
)
def test_models_that_are_refused(tmp_path: Path, parts: list[bytes], message: str) -> None:
    folder = tiny(tmp_path / "m")
    (folder / "model.onnx").write_bytes(onnx_write.model(b"".join(parts)))
    with pytest.raises(hither.ModelError, match=message):
        runtime(folder)


def test_libraries_that_are_none(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "m")
    for library, message in (
        (tmp_path / "nowhere.so", "there is no .*pip install onnxruntime"),
        (tmp_path, r"there is no libonnxruntime\.so in it"),
        (folder / "config.json", "no ONNX Runtime"),
    ):
        with pytest.raises(hither.ModelError, match=message):
            runtime(folder, onnxruntime=library)
    assert np.isfinite(runtime(folder, onnxruntime=FOLDER)(TEXTS)).all()
    assert hither.Embedder.open(folder, onnxruntime=tmp_path / "nowhere.so").name.startswith("bert-")
    with pytest.raises(hither.InvalidError, match="engine"):
        hither.Embedder.open(folder, engine="torch")
    with pytest.raises(hither.ModelError, match=r"takes a model\.onnx"):
        runtime(tiny_bert.write(tmp_path / "plain"))


def stand_in(folder: Path, version: str) -> Path:
    """A library that says it is ONNX Runtime of that version, and has no functions."""
    source = folder / "stand_in.c"
    source.write_text(
        "static const void *get(unsigned v) { (void)v; return 0; }\n"
        f'static const char *version(void) {{ return "{version}"; }}\n'
        "static const struct { const void *(*a)(unsigned); const char *(*b)(void); } base = {get, version};\n"
        "const void *OrtGetApiBase(void) { return &base; }\n"
    )
    out = folder / f"libonnxruntime.so.{version}"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", out, source], check=True)
    return out


def test_versions(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "m")
    for version, message in (
        ("1.19.2", r"of version 1\.19\.2; 1\.20 or newer is needed: python3 -m pip install onnxruntime"),
        ("2.0.0", r"of version 2\.0\.0"),
        ("1.99.0", "does not give its functions"),
    ):
        with pytest.raises(hither.ModelError, match=message):
            runtime(folder, onnxruntime=stand_in(tmp_path, version))


def test_the_command(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "m")

    def run(*arguments: str, fails: bool = False, **environment: str) -> str:
        result = subprocess.run(
            [COMMAND, "embed", "--model", folder, *arguments],
            input="bread\n",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **environment},
        )
        assert (result.returncode != 0) == fails, result.stderr
        return result.stderr if fails else result.stdout

    wanted = runtime(folder)("bread")
    for line in (
        run("--engine", "onnxruntime", "--onnxruntime", str(FOLDER)),
        run("--engine", "onnxruntime", HITHER_ONNXRUNTIME=str(next(FOLDER.glob("libonnxruntime.so.*")))),
    ):
        assert np.abs(np.array(json.loads(line)) - wanted).max() < 1e-5
    assert "pip install onnxruntime" in run("--engine", "onnxruntime", "--onnxruntime", "/nowhere", fails=True)
    assert len(json.loads(run("--engine", "own"))) == tiny_bert.WIDTH


def test_beside_the_program_and_in_its_environment(tmp_path: Path) -> None:
    """A copy of the command, with the library beside it, and then as a Python environment has it."""
    folder = tiny(tmp_path / "m")
    bin_ = tmp_path / "env" / "bin"
    packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages" / "onnxruntime" / "capi"
    bin_.mkdir(parents=True)
    program = bin_ / "hither"
    program.write_bytes(COMMAND.read_bytes())
    program.chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if k != "HITHER_ONNXRUNTIME"}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, "embed", "--model", folder, "--engine", "onnxruntime"],
            input="bread\n",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environment,
        )

    if (first := run()).returncode != 0:  # no system-wide one
        assert "pip install onnxruntime" in first.stderr
    library = next(FOLDER.glob("libonnxruntime.so.*"))
    (bin_ / library.name).write_bytes(library.read_bytes())
    assert run().returncode == 0, run().stderr
    packages.mkdir(parents=True)
    (bin_ / library.name).rename(packages / library.name)
    assert run().returncode == 0, run().stderr


def test_threads_at_once(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "m")
    program = (
        "import hither, sys, threading, numpy as np\n"
        "e = hither.Embedder.open(sys.argv[1], engine='onnxruntime')\n"
        "texts = ['bird ' * (i % 9) for i in range(300)]\n"
        "wanted, wrong = e(texts), []\n"
        "def work():\n"
        "    for _ in range(5):\n"
        "        if np.abs(e(texts) - wanted).max() > 1e-5: wrong.append(1)\n"
        "threads = [threading.Thread(target=work) for _ in range(4)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "sys.exit(len(wrong))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HITHER_THREADS": "3"}
    subprocess.run([sys.executable, "-c", program, folder], check=True, env=environment, timeout=120)
    assert math.isclose(np.linalg.norm(runtime(folder)("bread")), 1, rel_tol=1e-5)
