"""txtai's published cases for dense ANN backends: its package carries no tests, so each case is written down here with
the sizes and numbers of its repository's base class (version 9.14), and run for an exact index and one with a graph."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("txtai.ann")

from txtai.ann import ANN, ANNFactory

BACKEND = "hither.integrations.txtai.Hither"
DIM = 240


def unit(rng: np.random.Generator, rows: int) -> np.ndarray:
    made = rng.random((rows, DIM), dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture(params=["auto", "hnsw"])
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"kind": request.param, "seed": 1}


def made(settings: dict[str, Any], rows: int = 10000) -> tuple[ANN, np.random.Generator, np.ndarray]:
    rng = np.random.default_rng(7)
    data = unit(rng, rows)
    ann = ANNFactory.create({"backend": BACKEND, "dimensions": DIM, BACKEND: settings})
    ann.index(data)
    return ann, rng, data


def test_the_backend_is_the_one_named(settings: dict[str, Any]) -> None:
    ann, _, _ = made(settings)
    assert ann.config["backend"] == BACKEND and ann.count() == 10000
    assert ann.config["offset"] == 10000 and ann.config["build"]["settings"]["kind"] == settings["kind"]


def test_save_close_and_load(settings: dict[str, Any], tmp_path: Path) -> None:
    ann, rng, _ = made(settings)
    query = unit(rng, 1)
    ann.save(str(tmp_path / "ann"))
    before = ann.search(query, 1)
    assert before[0][0][1] > 0
    ann.close()
    ann.load(str(tmp_path / "ann"))
    assert ann.search(query, 1) == before and ann.count() == 10000


def test_append(settings: dict[str, Any]) -> None:
    ann, rng, _ = made(settings)
    more = unit(rng, 500)
    ann.append(more)
    assert ann.count() == 10500 and ann.config["offset"] == 10500
    assert ann.search(more[7:8], 1)[0][0][0] == 10007


@pytest.mark.parametrize(("ids", "left"), [([0, 1], 9998), ([100000], 10000)])
def test_delete(settings: dict[str, Any], ids: list[int], left: int) -> None:
    ann, _, data = made(settings)
    ann.delete(ids)
    assert ann.count() == left
    assert (ann.search(data[:1], 1)[0][0][0] == 0) == (left == 10000)


def test_delete_by_an_array(settings: dict[str, Any]) -> None:
    ann, rng, _ = made(settings, 10)
    ann.delete(np.array([3, 4]))
    assert ann.count() == 8
    assert sorted(id for id, _ in ann.search(unit(rng, 1), 10)[0]) == [0, 1, 2, 5, 6, 7, 8, 9]


def test_search_and_a_limit_beyond_the_rows(settings: dict[str, Any]) -> None:
    ann, rng, _ = made(settings)
    assert ann.search(unit(rng, 1), 1)[0][0][1] > 0
    ann, rng, _ = made(settings, 50)
    found = ann.search(unit(rng, 1), 100)[0]
    assert len(found) == 50 and found[0][1] > 0


def test_scores_are_those_of_numpy() -> None:
    ann, rng, data = made({})
    queries = unit(rng, 20)
    exact = queries @ data.T
    for row, found in enumerate(ann.search(queries, 10)):
        assert [id for id, _ in found] == np.argsort(-exact[row], kind="stable")[:10].tolist()
        assert np.allclose([score for _, score in found], np.sort(exact[row])[::-1][:10], rtol=1e-5)


def test_names_that_are_no_backend_are_refused() -> None:
    for name in ("pprint.pprint", "notfound.ann"):
        with pytest.raises(ImportError):
            ANNFactory.create({"backend": name})


def test_in_embeddings(tmp_path: Path) -> None:
    """From end to end, with vectors of our own in the place of a model."""
    from hither import Embedder
    from txtai import Embeddings

    embedder = Embedder()
    config = {"method": "external", "transform": lambda texts: embedder(texts), "backend": BACKEND, "content": True}
    embeddings = Embeddings(config)
    embeddings.index(["a hawk is a bird of prey", "bread is baked from flour"])
    assert embeddings.search("baked bread", 1)[0]["text"] == "bread is baked from flour"
    embeddings.upsert([(2, "an owl hunts at night", None)])
    embeddings.delete([0])
    assert embeddings.search("owls", 1)[0]["id"] == "2" and embeddings.count() == 2


@pytest.mark.skipif("HITHER_TXTAI" not in os.environ, reason="HITHER_TXTAI names no checkout of txtai's repository")
@pytest.mark.parametrize("kind", ["auto", "hnsw"])
def test_its_own_base_class(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The class of txtai's repository itself, unmodified."""
    monkeypatch.syspath_prepend(os.path.join(os.environ["HITHER_TXTAI"], "test", "python"))
    module = importlib.import_module("testann.testdense")
    if not hasattr(module, "TestDense"):  # from 9.14 on a class of its own
        module = importlib.import_module("testann.testdense.base")
    suite = getattr(module, "TestDense", None) or module.DenseTest
    suite().runTests(BACKEND, {BACKEND: {"kind": kind}})
