"""What holds the package together: declarations equal to the header, versions, types, symbols."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import hither
import numpy as np
import pytest
from hither._ffi import ffi, lib

ROOT = Path(__file__).parents[2]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_declarations_are_the_headers() -> None:
    done = run(sys.executable, "tools/gen_cdef.py", "--check")
    assert done.returncode == 0, done.stderr


def test_a_drifting_header_is_noticed() -> None:
    spec = importlib.util.spec_from_file_location("gen_cdef", ROOT / "tools" / "gen_cdef.py")
    assert spec is not None
    assert spec.loader is not None
    gen_cdef = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gen_cdef)
    header = (ROOT / "include" / "hither.h").read_text()
    made = gen_cdef.cdef(header)
    assert gen_cdef.cdef(header.replace("uint32_t k,", "uint64_t k,")) != made
    assert gen_cdef.cdef(header.replace("/* ---", "/* more ---")) == made  # a comment is no drift
    with pytest.raises(SystemExit, match="no integer constant"):
        gen_cdef.cdef(header + '\n#define HITHER_WORDS "text"\n')


def test_versions_agree() -> None:
    assert hither.__version__ == (ROOT / "VERSION").read_text().strip()
    major, minor, patch = (int(part) for part in (ROOT / "VERSION").read_text().split("."))
    assert lib.HITHER_VERSION_NUMBER == major * 1_000_000 + minor * 1_000 + patch == lib.hither_version_number()


def test_scores_are_laid_out_as_in_c() -> None:
    assert np.dtype(hither._core.SCORE).itemsize == ffi.sizeof("hither_score") == 56


def test_only_the_core_sees_the_extension() -> None:
    allowed = ("_core.py", "_index.py", "_jobs.py", "_named.py", "_search.py")
    for path in Path(hither.__file__).parent.glob("*.py"):
        assert path.name in allowed or "_ffi" not in path.read_text(), path.name


def test_the_extension_shows_nothing_but_its_init() -> None:
    done = run("nm", "-D", "--defined-only", str(Path(hither.__file__).parent / "_ffi.abi3.so"))
    names = {line.split()[-1] for line in done.stdout.splitlines()}
    assert names - {"_init", "_fini"} <= {"PyInit__ffi", "_cffi_pypyinit__ffi"}


def test_types_are_strict() -> None:
    pytest.importorskip("mypy")
    done = run(sys.executable, "-m", "mypy")
    assert done.returncode == 0, done.stdout


def test_importing_brings_only_numpy_and_cffi() -> None:
    code = (
        "import sys, numpy; before = set(sys.modules); import hither; "
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(Path(hither.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(ast.literal_eval(done.stdout)) <= {"hither", "numpy", "_cffi_backend"}
