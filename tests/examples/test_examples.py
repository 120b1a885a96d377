"""Runs every Python example in an empty folder, twice, and holds it to its .expected output."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "python"


@pytest.mark.parametrize("example", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_example_prints_what_it_says(example: Path, tmp_path: Path) -> None:
    expected = example.with_suffix(".expected").read_text(encoding="utf-8")
    for _ in range(2):
        run = subprocess.run([sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (run.returncode, run.stdout, run.stderr) == (0, expected, "")
