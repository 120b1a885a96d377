"""The page on integrations and the examples in the docstrings, for the libraries that are here."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARIES = {
    "langchain": "langchain_core",
    "llama_index": "llama_index.core",
    "haystack": "haystack",
    "sklearn": "sklearn",
    "txtai": "txtai",
    "mteb": "mteb",
}
HEADINGS = {"LangChain": "langchain", "LlamaIndex": "llama_index", "Haystack": "haystack", "scikit-learn": "sklearn"}


@pytest.mark.parametrize("name", LIBRARIES)
def test_docstrings(name: str) -> None:
    pytest.importorskip(LIBRARIES[name])
    results = doctest.testmod(importlib.import_module(f"hither.integrations.{name}"))
    assert results.failed == 0 and (results.attempted or name == "mteb")


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
    parts = re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    assert len(parts) == len(LIBRARIES)
    for heading, text in parts:
        pytest.importorskip(LIBRARIES[HEADINGS.get(heading, heading.lower())])
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            exec(block, {})
