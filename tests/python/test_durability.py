"""connect(durability=...): what a database says of itself, what is refused, and that rows are there again."""

from __future__ import annotations

from pathlib import Path

import hither
import numpy as np
import pytest


@pytest.mark.parametrize("durability", ["full", "memory", "relaxed"])
def test_rows_are_there_again(tmp_path: Path, durability: str) -> None:
    path = tmp_path / "a.hither"
    with hither.connect(path, durability=durability) as db:  # type: ignore[arg-type]
        assert db.info()["durability"] == durability
        db.collection("c", dim=3).upsert(range(200), np.eye(200, 3, dtype=np.float32))
        db.flush()
        db["c"].upsert([200], [[1, 2, 3]])
    with hither.connect(path) as db:
        assert db.info()["durability"] == "full"
        assert db["c"].count() == 201
        db.verify()
    with hither.connect(path, readonly=True) as db:
        assert db.info()["durability"] is None


def test_other_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(hither.InvalidError, match="durability is 'none'; one of full, memory, relaxed"):
        hither.connect(tmp_path / "a.hither", durability="none")  # type: ignore[arg-type]
    with hither.connect(":memory:") as db:
        assert db.info()["durability"] == "memory"
