"""Every example in the docstrings and in python/README.md runs, and says what it says."""

from __future__ import annotations

import doctest
import importlib
import re
import types
from pathlib import Path

import hither
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.stem for path in Path(hither.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "plot":
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    module = hither if name == "__init__" else importlib.import_module(f"hither.{name}")
    results = doctest.testmod(module)
    assert results.failed == 0
    if name in ("db", "collection", "embed", "exact", "hits", "index", "window", "errors", "listing", "aio"):
        assert results.attempted > 0


def test_readme_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = re.search(r"```python\n(.*?)```", (ROOT / "python" / "README.md").read_text(), re.DOTALL)
    assert found
    names = {"base": np.eye(20, 8, dtype=np.float32), "queries": np.eye(2, 8), "lines": ["one", "two"]}
    exec(found[1], names)
    assert names["labels"].shape == (2, 10)


def test_pages_for_those_who_come_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for page in sorted((ROOT / "docs" / "migrate").glob("*.md")):
        blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
        assert blocks, page
        names: dict[str, object] = {}
        for block in blocks:
            exec(block, names)
        if page.stem == "imesde":
            assert "DB Query took 500ms" in [hit.document for hit in names["results"]]  # type: ignore[attr-defined]
            assert len(names["scores"]) == 3  # type: ignore[arg-type]


def test_the_page_on_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "arrays.md").read_text(), re.DOTALL)
    assert len(blocks) > 5
    for block in blocks:
        exec(block, names)


@pytest.mark.parametrize(
    "page",
    [
        "quickstart",
        "async",
        "collections",
        "embedders",
        "indexes",
        "python",
        "search",
        "explain",
        "space",
        "tables",
        "window",
    ],
)
def test_pages_of_the_guide(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / f"{page}.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, names)


def test_everything_public_has_a_docstring() -> None:
    for name in [*hither.__all__, "__version__"]:
        thing = getattr(hither, name)
        if isinstance(thing, (type, types.FunctionType)):
            assert thing.__doc__, name
        if isinstance(thing, type):
            for part, value in vars(thing).items():
                if not part.startswith("_") and (callable(value) or isinstance(value, property)):
                    assert value.__doc__, f"{name}.{part}"


@pytest.mark.parametrize("page", sorted(path.stem for path in (ROOT / "docs" / "guides").glob("*.md")))
def test_guides(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "guides" / f"{page}.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, names)
