"""Checks that the documents cannot drift: links resolve, every function is used somewhere, the README's code is real.

A fenced block of C or Python in README.md must stand word for word in a file under examples/, which the tests compile
and run. A function of hither.h counts as shown when a test or an example names it.
"""

import re
import sys
from pathlib import Path

from c_source import ROOT, report
from check_exports import declared

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img[^>]*\ssrc=\"([^\"]+)\"")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ANCHOR = re.compile(r"^#+\s+(.*)$", re.MULTILINE)
SHOWN_IN = {"c": ("examples/c", "*.c"), "python": ("examples/python", "*.py")}
SKIP = {"build", "dist", ".venv", ".venv-integrations", ".git", ".pytest_cache", ".hypothesis"}


def documents(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.md") if not SKIP.intersection(path.relative_to(root).parts))


def anchors(text: str) -> set[str]:
    """The names GitHub gives to the headings."""
    plain = FENCE.sub("", text)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in ANCHOR.findall(plain)}


def broken_links(root: Path) -> list[str]:
    problems = []
    for path in documents(root):
        text = path.read_text(encoding="utf-8")
        for match in LINK.finditer(FENCE.sub("", text)):
            target = match.group(1) or match.group(2)
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            place = path.parent / file if file else path
            if not place.exists():
                problems.append(f"{path.relative_to(root)}: link to {target}: no such file")
            elif anchor and place.suffix == ".md" and anchor not in anchors(place.read_text(encoding="utf-8")):
                problems.append(f"{path.relative_to(root)}: link to {target}: no such heading")
    return problems


def unshown_functions(root: Path) -> list[str]:
    names = declared((root / "include" / "hither.h").read_text(encoding="utf-8"))
    used: set[str] = set()
    for folder in ("tests", "examples"):
        for path in (root / folder).rglob("*.c"):
            used.update(re.findall(r"\bhither_\w+", path.read_text(encoding="utf-8")))
    return [f"include/hither.h: no test and no example uses {name}" for name in sorted(names - used)]


def plain(code: str) -> str:
    """The code without its indentation, which differs between a program and a page."""
    return "\n".join(line.strip() for line in code.splitlines())


def unreal_code(root: Path) -> list[str]:
    problems = []
    for match in FENCE.finditer((root / "README.md").read_text(encoding="utf-8")):
        language, code = match.groups()
        if language in SHOWN_IN:
            folder, pattern = SHOWN_IN[language]
            if not any(
                plain(code) in plain(path.read_text(encoding="utf-8")) for path in (root / folder).glob(pattern)
            ):
                first = code.splitlines()[0] if code else ""
                problems.append(f"README.md: the {language} code that starts with {first!r} is in no file of {folder}/")
    return problems


def main(root: Path = ROOT) -> int:
    problems = broken_links(root) + unshown_functions(root) + unreal_code(root)
    return report("documents", problems, f"{len(documents(root))} documents hold")


if __name__ == "__main__":
    sys.exit(main())
