"""Checks that files stay within 800 lines and functions within 80. The answer to a hit is to split by idea."""

import ast
import re
import sys
from pathlib import Path

from c_source import ROOT, c_files, line_of, report

FILE_LINES = 800
FUNCTION_LINES = 80
FOLDERS = ("include", "src", "cli", "tests", "bench", "examples")
PYTHON_FOLDERS = ("python", "tests", "bench", "examples", "demo", "tools")

# The contract stays in one file, however long it grows: a reader searches one place.
LONG_FILES = {"include/hither.h"}

# Functions that are one thing and stay longer, each with its reason: (file, function).
LONGER: dict[tuple[str, str], str] = {
    ("python/hither/collection.py", "search"): "many parameters, each with its lines of documentation",
}

# With clang-format's layout a function starts in column 0 and its body ends with a lone brace there.
_FUNCTION = re.compile(r"^([A-Za-z_][^;{}=]*\)) \{\n.*?^\}$", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"(\w+)\s*\(")


def c_functions(text: str) -> list[tuple[str, int, int]]:
    """(name, first line, length) of each function whose body has lines of its own."""
    found = []
    for match in _FUNCTION.finditer(text):
        name = _NAME.search(match.group(1))
        found.append((name.group(1) if name else "?", line_of(text, match.start()), match.group().count("\n") + 1))
    return found


def python_functions(text: str) -> list[tuple[str, int, int]]:
    return [
        (node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]


def main(root: Path = ROOT) -> int:
    problems: list[str] = []
    sources = c_files(root, *FOLDERS)
    for folder in PYTHON_FOLDERS:
        sources += sorted((root / folder).rglob("*.py"))
    functions = 0
    for path in sources:
        name = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        length = text.count("\n")
        if length > FILE_LINES and name not in LONG_FILES:
            problems.append(f"{name}: {length} lines, more than {FILE_LINES}")
        found = python_functions(text) if path.suffix == ".py" else c_functions(text)
        functions += len(found)
        for function, line, size in found:
            if size > FUNCTION_LINES and (name, function) not in LONGER:
                problems.append(f"{name}:{line}: {function} has {size} lines, more than {FUNCTION_LINES}")
    return report("sizes", problems, f"{len(sources)} files and {functions} functions are within bounds")


if __name__ == "__main__":
    sys.exit(main())
