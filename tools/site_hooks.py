"""What turns docs/ into a site without a second copy of anything: the reference pages, and links that leave docs/.

mkdocs loads this file (mkdocs.yml, hooks) and calls the functions by their names. The page on Python is written by
mkdocstrings from the docstrings; the one on C is hither.h itself, cut at its headings.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import hither
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
SECTION = re.compile(r"^/\* -{5,} (.*?) \*/$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((\.\./[^)\s]*)\)")


def python_reference() -> str:
    """One heading for each public name, in the order of `hither.__all__`."""
    names = [name for name in hither.__all__ if not name.startswith("_")]
    return "# Python\n\n" + "\n\n".join(f"::: hither.{name}" for name in names) + "\n"


def c_reference() -> str:
    """hither.h as a page: its first comment in prose, then its sections as they stand."""
    header = (ROOT / "include" / "hither.h").read_text(encoding="utf-8")
    body = header[header.index('extern "C" {') :].split("\n#endif\n", 1)[1]
    body = body[: body.rindex("#ifdef __cplusplus")]
    opening, *rest = SECTION.split(body)
    page = "# C\n\nThis is `hither.h`, section by section; its comments are the contract.\n\n"
    page += f"## Conventions\n\n```c\n{header[: header.index('#ifndef')].strip()}\n{opening.rstrip()}\n```\n"
    for title, code in zip(rest[::2], rest[1::2], strict=True):
        page += f"\n## {title[0].upper()}{title[1:]}\n\n```c\n{code.strip()}\n```\n"
    return page


def on_files(files: Any, config: Any) -> Any:
    files.append(File.generated(config, "reference/python.md", content=python_reference()))
    files.append(File.generated(config, "reference/c.md", content=c_reference()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A link to a file of the repository that is no page becomes its path."""

    def plain(match: re.Match[str]) -> str:
        text, target = match.groups()
        place = (ROOT / "docs" / page.file.src_uri).parent / target.split("#")[0]
        inside = place.resolve().is_relative_to(ROOT / "docs")
        path = place.resolve().relative_to(ROOT).as_posix()
        return match.group() if inside else f"{text} (`{path}`)" if text != path else f"`{path}`"

    return LINK.sub(plain, markdown)
