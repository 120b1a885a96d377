"""What the checks share: finding C files and blanking out what is not code."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_NOT_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


def c_files(root: Path, *folders: str) -> list[Path]:
    """All .c and .h files (and .inc, which are C) under the folders, sorted."""
    found: list[Path] = []
    for folder in folders:
        found += [path for path in (root / folder).rglob("*") if path.suffix in (".c", ".h", ".inc")]
    return sorted(found)


def code_only(text: str) -> str:
    """The text with comments and literals replaced by blanks, so that offsets and line numbers stay."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match.group())

    return _NOT_CODE.sub(blank, text)


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def report(name: str, problems: list[str], checked: str) -> int:
    """Prints the problems, or what was checked; the exit status."""
    for problem in problems:
        print(problem)
    print(f"{name}: {len(problems)} problem(s)" if problems else f"{name}: {checked}")
    return 1 if problems else 0
