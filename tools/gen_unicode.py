#!/usr/bin/env python3
"""Writes src/base/unicode_tables.c: what characters count as, and what they fold to, frozen at Unicode 14.0.0.

    python3.11 tools/gen_unicode.py > src/base/unicode_tables.c

The tables are part of the format of the built-in embedder (docs/embedder.md), so they never change: this program is
kept to show where they came from, and refuses to run on a Python with another Unicode version.
"""

import sys
import unicodedata

VERSION = "14.0.0"
CJK = [
    (0x1100, 0x11FF),
    (0x3005, 0x3007),
    (0x3041, 0x3096),
    (0x309D, 0x309F),
    (0x30A1, 0x30FA),
    (0x30FC, 0x30FF),
    (0x3131, 0x318E),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA960, 0xA97C),
    (0xAC00, 0xD7A3),
    (0xD7B0, 0xD7FB),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),
    (0xFFA0, 0xFFDC),
    (0x20000, 0x3FFFF),
]
IGNORED = [
    (0x00AD, 0x00AD),
    (0x0300, 0x036F),
    (0x0591, 0x05BD),
    (0x0640, 0x0640),
    (0x064B, 0x065F),
    (0x200B, 0x200D),
    (0x2060, 0x2060),
    (0x3099, 0x309A),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFF9E, 0xFF9F),
]


def expand(ranges):
    return {cp for first, last in ranges for cp in range(first, last + 1)}


CJK_SET, IGNORED_SET = expand(CJK), expand(IGNORED)


def class_of(cp):
    """The name of one of ht_char_class's values without its prefix."""
    c = chr(cp)
    category = unicodedata.category(c)
    if cp in IGNORED_SET:
        return "IGNORED"
    if cp in CJK_SET:
        return "CJK"
    if category == "Nd" or (category == "No" and unicodedata.normalize("NFKD", c) in list("0123456789")):
        return "DIGIT"
    return "LETTER" if category[0] in "LM" or category == "Nl" else "OTHER"


def fold(cp):
    c = chr(cp)
    category = unicodedata.category(c)
    if cp in CJK_SET:
        return unicodedata.normalize("NFKC", c) if 0xFF66 <= cp <= 0xFFDC else c
    if category == "Nd":
        return str(unicodedata.decimal(c))
    wide = category in ("No", "Nl") or 0xFB00 <= cp <= 0xFB06 or 0xFF00 <= cp <= 0xFFEF

    def bare(text):
        parts = unicodedata.normalize("NFKD" if wide else "NFD", text)
        return "".join(x for x in parts if ord(x) not in IGNORED_SET)

    folded = bare("".join(x.casefold() for x in bare(c)))
    return folded if 1 <= len(folded) <= 4 else c


def class_ranges():
    ranges = []
    for cp in range(0x110000):
        name = class_of(cp)
        if ranges and ranges[-1][2] == name and ranges[-1][1] == cp - 1:
            ranges[-1][1] = cp
        else:
            ranges.append([cp, cp, name])
    return [r for r in ranges if r[2] != "OTHER"]


def fold_runs():
    """Runs of characters a fixed step apart that fold by the same difference, and the folds to several characters."""
    runs, several = [], []
    for cp in range(0x110000):
        folded = fold(cp) if class_of(cp) in ("LETTER", "DIGIT", "CJK") else chr(cp)
        if len(folded) > 1:
            several.append((cp, [ord(x) for x in folded]))
            continue
        delta = ord(folded) - cp
        if delta == 0:
            continue
        last = runs[-1] if runs else None
        if last and last[3] == delta and (cp - last[1] == last[2] or (last[0] == last[1] and cp - last[1] == 2)):
            last[1], last[2] = cp, cp - last[1]
        else:
            runs.append([cp, cp, 1, delta])
    return runs, several


def pages(lasts):
    """For each page of 256 characters of the first 65,536 the first entry that can hold one of it, and one past."""
    index, out = 0, []
    for page in range(0x101):
        while index < len(lasts) and lasts[index] < page << 8:
            index += 1
        out.append(index)
    return out


def emit(head, items, tail="};\n"):
    print(head)
    line = "   "
    for item in items:
        if len(line) + len(item) + 2 > 118:
            print(line)
            line = "   "
        line += " " + item + ","
    print(line)
    print(tail)


def main():
    if unicodedata.unidata_version != VERSION:
        sys.exit(f"this Python has Unicode {unicodedata.unidata_version}; the tables are frozen at {VERSION}")
    ranges, (runs, several) = class_ranges(), fold_runs()
    print(f"""/*
 * unicode_tables.c: what characters count as and what they fold to, frozen at Unicode {VERSION}. Written by
 * tools/gen_unicode.py; part of the built-in embedder's format, so it never changes. Constant data: any thread.
 */
#include "base/unicode.h"

/* clang-format off */""")
    print(f"const size_t ht_class_range_count = {len(ranges)};")
    emit(
        "const ht_class_range ht_class_ranges[] = {", (f"{{0x{a:x}, 0x{b:x}, HT_CHAR_{name}}}" for a, b, name in ranges)
    )
    emit("const uint16_t ht_class_pages[257] = {", (str(i) for i in pages([r[1] for r in ranges])))
    print(f"const size_t ht_fold_run_count = {len(runs)};")
    emit("const ht_fold_run ht_fold_runs[] = {", (f"{{0x{a:x}, 0x{b:x}, {s}, {d}}}" for a, b, s, d in runs))
    emit("const uint16_t ht_fold_pages[257] = {", (str(i) for i in pages([r[1] for r in runs])))
    print(f"const size_t ht_fold_several_count = {len(several)};")
    emit(
        "const ht_fold_several ht_fold_severals[] = {",
        (f"{{0x{cp:x}, {{{', '.join(f'0x{x:x}' for x in to)}}}}}" for cp, to in several),
    )
    print("/* clang-format on */")


if __name__ == "__main__":
    main()
