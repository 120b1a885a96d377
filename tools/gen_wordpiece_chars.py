#!/usr/bin/env python3
"""Writes src/base/wordpiece_tables.c: what characters count as to WordPiece models of the BERT family.

    .venv/bin/python tools/gen_wordpiece_chars.py > src/base/wordpiece_tables.c

The models were trained behind one tokenizer, whose Unicode tables are older than anybody's today and do not agree among
themselves, so what it does is asked of it, character by character, through the package `tokenizers` (0.23.3 when this
was last run). Decomposition and lower case come from utf8proc and agree with it but for the characters listed as WHOLE.
"""

import unicodedata

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

CLEAN = BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
CHINESE = BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
STRIP = BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
SPLIT = BertPreTokenizer()


def kind_of(cp: int) -> str | None:
    c = chr(cp)
    pieces = len(SPLIT.pre_tokenize_str(f"a{c}a"))
    if CLEAN.normalize_str(c) == "":
        return "DROPPED"
    if CLEAN.normalize_str(c) == " ":
        return "SPACE"
    if pieces == 3:
        return "PUNCTUATION"
    if CHINESE.normalize_str(c) != c:
        return "CHINESE"
    if STRIP.normalize_str(c) == "":
        return "MARK"
    if STRIP.normalize_str(c) == c != unicodedata.normalize("NFD", c):
        return "WHOLE"
    return None


def main() -> None:
    ranges: list[tuple[int, int, str]] = []
    for cp in range(0x80, 0x110000):
        if 0xD800 <= cp < 0xE000:
            continue
        kind = kind_of(cp)
        if kind and ranges and ranges[-1][1] == cp - 1 and ranges[-1][2] == kind:
            ranges[-1] = (ranges[-1][0], cp, kind)
        elif kind:
            ranges.append((cp, cp, kind))
    print("/*")
    print(" * wordpiece_tables.c: what characters count as to WordPiece models of the BERT family. Written by")
    print(" * tools/gen_wordpiece_chars.py. Constant data: any thread.")
    print(" */")
    print('#include "base/wordpiece_chars.h"')
    print("\n/* clang-format off */")
    print(f"const size_t ht_wordpiece_range_count = {len(ranges)};")
    print("const ht_wordpiece_range ht_wordpiece_ranges[] = {")
    line = "   "
    for first, last, kind in ranges:
        item = f" {{{first:#x}, {last:#x}, HT_WORDPIECE_{kind}}},"
        if len(line) + len(item) > 120:
            print(line)
            line = "   "
        line += item
    print(line)
    print("};")
    print("/* clang-format on */")


if __name__ == "__main__":
    main()
