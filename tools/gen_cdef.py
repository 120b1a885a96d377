#!/usr/bin/env python3
"""Make python/ffi/hither.cdef.txt, the C declarations that cffi reads, from include/hither.h.

    tools/gen_cdef.py            write the file
    tools/gen_cdef.py --check    fail if the file is not what the header says

The header is the contract; this only takes away what cffi cannot parse (comments, attributes, preprocessor lines) and
keeps integer macros as constants whose values the C compiler fills in. Anything unexpected is an error, never skipped.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "include" / "hither.h"
CDEF = ROOT / "python" / "ffi" / "hither.cdef.txt"

BANNER = "/* Made from include/hither.h by tools/gen_cdef.py. Do not edit. */\n"
NOT_CONSTANTS = {"HITHER_H", "HITHER_API", "HITHER_MUST_CHECK", "HITHER_OPTIONS"}
INTEGER = re.compile(r"\(?[0-9][0-9a-fA-FxXuUlL<>()+*\s-]*\)?$")


def without_comments(text: str) -> str:
    """The text with every comment replaced by one space; the header has no literals with slashes in them."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    return re.sub(r"//[^\n]*", " ", text)


def constants_and_rest(text: str) -> tuple[list[str], str]:
    """Integer macros as cffi constants, and the text without preprocessor lines and without what only C++ sees."""
    names: list[str] = []
    rest: list[str] = []
    cplusplus = False
    for line in text.replace("\\\n", " ").split("\n"):
        directive = line.strip()
        if not directive.startswith("#"):
            if not cplusplus:
                rest.append(line)
            continue
        if directive.startswith("#ifdef __cplusplus"):
            cplusplus = True
        elif directive.startswith("#endif"):
            cplusplus = False
        macro = re.match(r"#define\s+(\w+)(\(?)\s*(.*)$", directive)
        if macro and macro[1] not in NOT_CONSTANTS:
            if macro[2] or not INTEGER.match(macro[3].strip()):
                raise SystemExit(f"{HEADER.name}: no integer constant: {directive}")
            names.append(macro[1])
    return names, "\n".join(rest)


def cdef(header: str) -> str:
    """The whole of hither.cdef.txt for the text of a header."""
    names, text = constants_and_rest(without_comments(header))
    text = re.sub(r"\b(HITHER_API|HITHER_MUST_CHECK)\b", "", text)
    if "static inline" in text or "__attribute__" in text:
        raise SystemExit(f"{HEADER.name}: inline functions and attributes have no place in the contract")
    lines = [re.sub(r"(?<=\S)[ \t]+", " ", line).rstrip() for line in text.split("\n")]
    body = "\n".join(re.sub(r"^ {1,3}(?=\S)", "", line) for line in lines if line)
    body = re.sub(r",\n\s+(?=[a-z])", ", ", body)  # a declaration that went over two lines
    body = re.sub(r";\n(?=\S)(?!})", ";\n\n", body)
    return BANNER + "\n" + "".join(f"#define {name} ...\n" for name in names) + "\n" + body.strip() + "\n"


def main() -> int:
    made = cdef(HEADER.read_text(encoding="utf-8"))
    if "--check" in sys.argv[1:]:
        if not CDEF.is_file() or CDEF.read_text(encoding="utf-8") != made:
            print(
                f"{CDEF.relative_to(ROOT)} is not what {HEADER.relative_to(ROOT)} says; run tools/gen_cdef.py",
                file=sys.stderr,
            )
            return 1
        return 0
    CDEF.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
