"""Shows that each check can fail: every rule meets a small tree that breaks it, and one that does not."""

from pathlib import Path

import check_docs
import check_exports
import check_layers
import check_size
import pytest


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("src/kernels/a.c", '#include "base/error.h"\n', "kernels may use nothing only"),
        ("src/index/a.c", '#include "store/store.h"\n', "index may use base, kernels only"),
        ("src/engine/a.c", "#include <sqlite3.h>\n", "which only store may know"),
        ("src/base/a.c", '#include "error.h"\n', 'write the path from src/, as "base/error.h"'),
        ("src/new/a.c", "\n", "has no layer new"),
        ("src/store/a.c", "int f(void) { return open(p, 0); }\n", "calls open(): files are touched"),
        ("src/engine/a.c", "void f(void) { free(p); }\n", "calls free(): memory comes from"),
        ("src/index/a.c", 'char *f(void) { return getenv("X"); }\n', "the environment is read in"),
        ("src/api/a.c", 'void f(void) { printf("x"); }\n', "the library does not do this"),
        ("cli/a.c", '#include "base/io.h"\n', "the command may use"),
        ("cli/a.c", "#include <sqlite3.h>\n", "which only store may know"),
    ],
)
def test_layers_complain(tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, complaint: str):
    assert check_layers.main(tree(tmp_path, {file: text})) == 1
    assert complaint in capsys.readouterr().out


def test_layers_accept(tmp_path: Path):
    files = {
        "src/base/io_posix.c": "int f(void) { return open(p, 0); }\n",
        "src/base/alloc.c": "void *f(void) { return malloc(1); }\n",
        "src/base/pool.c": 'char *f(void) { return getenv("HITHER_THREADS"); }\n',
        "src/store/b.c": '#include <sqlite3.h>\n#include "base/io.h"\n/* open(x) and "free(y)" are only words */\n',
        "src/engine/c.c": '#include "hither.h"\n#include "store/store.h"\n',
        "src/engine/d.c": "void f(void) { io->open(x); v.free(y); ht_free(z); }\n",
        "cli/main.c": '#include "hither.h"\n#include "base/buf.h"\n#include "args.h"\n',
        "cli/args.h": "\n",
    }
    assert check_layers.main(tree(tmp_path, files)) == 0


def function(name: str, lines: int) -> str:
    return f"static int {name}(int a,\n        int b) {{\n" + "    a++;\n" * (lines - 3) + "}\n"


def test_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    struct = "struct s {\n" + "    int a;\n" * 100 + "};\n"
    assert check_size.main(tree(tmp_path, {"src/a.c": struct + function("fits", 80)})) == 0
    assert check_size.main(tree(tmp_path, {"src/a.c": struct + function("grew", 81)})) == 1
    assert "src/a.c:103: grew has 81 lines" in capsys.readouterr().out
    assert check_size.main(tree(tmp_path, {"src/a.c": "int x;\n" * 801})) == 1
    assert check_size.main(tree(tmp_path, {"src/a.c": "", "python/a.py": "def f():\n" + "    x = 1\n" * 81})) == 1


def test_exports():
    header = "#define HITHER_API x\nHITHER_API int hither_a(void);\n/* HITHER_API int hither_old(void); */\n"
    header += "HITHER_API HITHER_MUST_CHECK hither_status hither_b(const char *name,\n    int n);\n"
    assert check_exports.declared(header) == {"hither_a", "hither_b"}
    assert check_exports.differences(header, {"hither_a", "hither_b"}) == []
    assert len(check_exports.differences(header, {"hither_a", "ht_c"})) == 2


GOOD_DOCS = {
    "README.md": "# Title\n\n[a](docs/a.md#some-part) [b](#title)\n\n```c\nhither_a();\n```\n",
    "docs/a.md": "## Some part\n",
    "include/hither.h": "HITHER_API int hither_a(void);\n",
    "examples/c/x.c": "int main(void) {\nhither_a();\n}\n",
}


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("README.md", "[a](docs/missing.md)", "no such file"),
        ("README.md", "[a](docs/a.md#other)", "no such heading"),
        ("README.md", "```c\nhither_b();\n```\n", "is in no file of examples/c"),
        ("include/hither.h", "HITHER_API int hither_unused(void);\n", "uses hither_unused"),
    ],
)
def test_documents_complain(tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, complaint: str):
    assert check_docs.main(tree(tmp_path, GOOD_DOCS | {file: text})) == 1
    assert complaint in capsys.readouterr().out


def test_documents_accept(tmp_path: Path):
    assert check_docs.main(tree(tmp_path, GOOD_DOCS)) == 0
