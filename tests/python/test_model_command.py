"""`hither model`: models are added whole or not at all, found by name and by what collections store of them, tested,
and made into static ones that are what the formula says."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import hither
import numpy as np
import pytest
import tiny_bert

COMMAND = Path(os.environ.get("HITHER_COMMAND") or Path(__file__).parents[2] / "build" / "bin" / "hither")
pytestmark = pytest.mark.skipif(not COMMAND.exists(), reason="the command is not built")


def run(place: Path, *words: str, status: int = 0, input: str = "") -> str:
    env = {**os.environ, "XDG_DATA_HOME": str(place / "data")}
    env.pop("HITHER_MODELS", None)
    done = subprocess.run(
        [str(COMMAND), *words], cwd=place, env=env, input=input, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def test_added_models_are_found(tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path / "tiny")
    hidden = folder.rename(tmp_path / "cache")
    folder.mkdir()
    for path in hidden.iterdir():  # as a download cache: links
        (folder / path.name).symlink_to(path)
    name = hither.Embedder.open(hidden).name
    wanted = f"tiny\t{name}\t32\t{tmp_path}/data/hither/models/tiny\n"
    assert run(tmp_path, "model", "list") == ""
    assert run(tmp_path, "model", "add", "tiny/") == wanted
    assert "already" in run(tmp_path, "model", "add", "tiny", status=1)
    assert run(tmp_path, "model", "add", "tiny", "zwei").startswith("zwei\t")
    assert run(tmp_path, "model", "list").splitlines()[0] + "\n" == wanted
    assert name in run(tmp_path, "model", "check", "zwei")
    (tmp_path / "notes.txt").write_text("the hawk eats a mouse\nbread\n")
    run(tmp_path, "import", "n.hither", "notes", "notes.txt", "--model", "zwei")
    hit = json.loads(run(tmp_path, "search", "n.hither", "notes", "bread", "-k", "1", "--json"))
    assert hit["distance"] < 1e-6
    assert len(json.loads(run(tmp_path, "embed", "--model", "zwei", input="bread\n"))) == 32


def test_what_is_no_model_leaves_nothing(tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path / "tiny")
    (folder / "config.json").write_text('{"model_type": "clip"}')
    assert '"clip" is not supported' in run(tmp_path, "model", "add", "tiny", status=1)
    assert "holds no weights" in run(tmp_path, "model", "add", "data", status=1)
    assert "no name for a model" in run(tmp_path, "model", "add", "tiny", "../x", status=1)
    assert list((tmp_path / "data" / "hither" / "models").iterdir()) == []
    (folder / "config.json").write_text("{")
    (tmp_path / "data" / "hither" / "models" / "bad").symlink_to(folder)
    assert run(tmp_path, "model", "list") == ""
    run(tmp_path, "model", "check", "bad", status=1)


@pytest.mark.parametrize("dim", [32, 8])
def test_distilled_models_are_those_of_the_formula(tmp_path: Path, dim: int) -> None:
    folder = tiny_bert.write(tmp_path / "tiny")
    assert f"\t{dim}\t" in run(tmp_path, "model", "distill", "tiny", "static", "--dim", str(dim))
    assert "is there already" in run(tmp_path, "model", "distill", "tiny", "static", status=1)
    assert "encoders" in run(tmp_path, "model", "distill", "static", "more", status=1)
    count = len(tiny_bert.VOCABULARY)
    x = np.array([tiny_bert.vector([2, token, 3]) for token in range(count)])
    if dim < 32:
        centred = x - x.mean(0)
        values, vectors = np.linalg.eigh(centred.T @ centred)
        top = vectors[:, np.argsort(-values)[:dim]]
        x = centred @ (top * np.sign(top[np.abs(top).argmax(0), range(dim)]))
    share = 1 / np.arange(2, count + 2)
    x *= (1e-4 / (1e-4 + share / share.sum()))[:, None]
    text = "the owl hunts"
    ids = [tiny_bert.VOCABULARY.index(token) for token in ("the", "owl", "hunts")]
    wanted = x[ids].sum(0)
    wanted /= np.linalg.norm(wanted)
    ours = hither.Embedder.open(tmp_path / "static")(text)
    if dim < 32:  # which way a component points hangs on the last bits, and the encoder multiplied by bytes
        ours, wanted = np.abs(ours), np.abs(wanted)
    assert ours @ wanted > 0.99
    assert folder.exists()


def test_a_dimension_too_many(tmp_path: Path) -> None:
    tiny_bert.write(tmp_path / "tiny")
    assert "at most that" in run(tmp_path, "model", "distill", "tiny", "static", "--dim", "33", status=1)
    assert not (tmp_path / "static").exists()
