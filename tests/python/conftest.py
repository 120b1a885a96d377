"""Fixtures shared by the tests of the Python package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import hither
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # reference.py and the children that tests start


@pytest.fixture(params=["folder", "memory"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[hither.Database]:
    """A fresh database, once on disk and once in memory."""
    with hither.connect(tmp_path / "test.hither" if request.param == "folder" else ":memory:") as opened:
        yield opened


@pytest.fixture
def points(db: hither.Database) -> hither.Collection:
    """Four points on a line, under l2, with everything a row can have, or not."""
    c = db.collection("points", dim=2, metric="l2")
    c.add(
        ["a", "b", "c", "d"],
        np.array([[0, 0], [1, 0], [2, 0], [4, 0]], np.float32),
        metadata=[{"n": 1}, {"n": 2, "deep": {"list": [1, None, "ä"]}}, None, "{}"],
        documents=["first", None, "dritte ☃", ""],
    )
    return c
