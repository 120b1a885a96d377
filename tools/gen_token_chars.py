#!/usr/bin/env python3
"""Writes src/base/token_tables.c: what characters count as to the tokenizers that sentence models were trained behind.

    .venv/bin/python tools/gen_token_chars.py > src/base/token_tables.c

Patterns, pre-tokenizers and normalizers of the package `tokenizers` (0.23.3 when this was last run) each have Unicode
tables of another age, so what they do is asked of them, character by character. One entry is the first character of a
run of equal ones and, in its low bits, what they are (base/token_chars.h); a character is INERT where its normal forms
or its place among marks are unknown there, and decomposition is else left to utf8proc, which this asks as well.
"""

import ctypes
import ctypes.util
from collections.abc import Iterable

from tokenizers import Regex, normalizers as norm, pre_tokenizers as pre

CATEGORIES = "Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co".split()
WORD, RUST_WORD, NUMERIC, PUNCTUATION, MARK, INERT = (1 << bit for bit in range(5, 11))
CHARS = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
PAGED = 0x20000  # below it, where a page of 256 characters begins is written down
FORMS = {"NFC": 2 | 8, "NFD": 2 | 16, "NFKC": 2 | 4 | 8, "NFKD": 2 | 4 | 16}

utf8proc = ctypes.CDLL(ctypes.util.find_library("utf8proc"))
utf8proc.utf8proc_map.argtypes = [ctypes.c_char_p, ctypes.c_ssize_t, ctypes.POINTER(ctypes.c_void_p), ctypes.c_int]
utf8proc.utf8proc_tolower.restype = ctypes.c_int32
libc = ctypes.CDLL(None)
libc.free.argtypes = [ctypes.c_void_p]


def matching(pattern: str) -> set[int]:
    gone = norm.Replace(Regex(pattern), "")
    return {c for c in CHARS if gone.normalize_str(chr(c)) == ""}


def splitting(pre_tokenizer: pre.PreTokenizer, pieces: Iterable[int]) -> set[int]:
    return {c for c in CHARS if len(pre_tokenizer.pre_tokenize_str(f"a{chr(c)}a")) in pieces}


def form(text: str, options: int) -> str:
    out = ctypes.c_void_p()
    raw = text.encode()
    size = utf8proc.utf8proc_map(raw, len(raw), ctypes.byref(out), options)
    result = ctypes.string_at(out.value, size).decode()
    libc.free(out)
    return result


def inert() -> set[int]:
    found = set()
    for name, options in FORMS.items():
        theirs = getattr(norm, name)()
        for c in CHARS:
            beside = [f"{chr(c)}\u0334", f"{chr(c)}\u0316", f"\u0316{chr(c)}", f"\u0345{chr(c)}", f"\uac00{chr(c)}"]
            if any(theirs.normalize_str(text) != form(text, options) for text in (chr(c), *beside)):
                found.add(c)
    return found


def numbers(name: str, kind: str, values: list[str]) -> None:
    print(f"const size_t {name}_count = {len(values)};")
    print(f"const {kind} {name}s[] = {{")
    line = "   "
    for value in values:
        if len(line) + len(value) + 2 > 120:
            print(line)
            line = "   "
        line += f" {value},"
    print(f"{line}\n}};")


def main() -> None:
    facts = dict.fromkeys(CHARS, 0)
    for number, category in enumerate(CATEGORIES):
        if number and category != "Cs":
            for c in matching(rf"\p{{{category}}}"):
                facts[c] |= number
    for bit, chars in (
        (WORD, matching(r"\w")),
        (RUST_WORD, splitting(pre.Whitespace(), (1,))),
        (NUMERIC, splitting(pre.Digits(individual_digits=True), (3,))),
        (PUNCTUATION, splitting(pre.Punctuation(), (3,))),
        (MARK, {c for c in CHARS if norm.StripAccents().normalize_str(chr(c)) == ""}),
        (INERT, inert()),
    ):
        for c in chars:
            facts[c] |= bit
    runs, pages, last = [], [], None
    for c in range(0x110000):
        fact = facts.get(c, 0)
        if c < PAGED and c % 256 == 0:
            pages.append(str(len(runs) - (fact == last)))
        if fact != last:
            runs.append(f"{c << 11 | fact:#x}u")
            last = fact
    lower = norm.Lowercase()
    lowers = [
        f"{{{c:#x}, {ord(theirs):#x}}}"
        for c in CHARS
        if len(theirs := lower.normalize_str(chr(c))) == 1 and ord(theirs) != utf8proc.utf8proc_tolower(c)
    ]
    print("/*")
    print(" * token_tables.c: what characters count as to the tokenizers of sentence models. Written by")
    print(" * tools/gen_token_chars.py. Constant data: any thread.")
    print(" */")
    print('#include "base/token_chars.h"')
    print("\n/* clang-format off */")
    numbers("ht_token_run", "uint32_t", runs)
    numbers("ht_token_page", "uint16_t", pages)
    numbers("ht_token_lower", "ht_token_lower_case", lowers)
    print("/* clang-format on */")


if __name__ == "__main__":
    main()
