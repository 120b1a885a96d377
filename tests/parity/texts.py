"""Texts for tokenizers to agree on: many scripts, emoji, controls, broken sequences; the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

# First and last characters of blocks; some more often than they are long.
BLOCKS = [
    (0x20, 0x7E), (0x20, 0x7E), (0x61, 0x7A), (0x61, 0x7A), (0x30, 0x39), (0xA0, 0xFF), (0x100, 0x24F), (0x250, 0x2FF),
    (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x530, 0x58F), (0x590, 0x5FF), (0x600, 0x6FF), (0x700, 0x74F),
    (0x900, 0x97F), (0x980, 0x9FF), (0xA00, 0xA7F), (0xB80, 0xBFF), (0xC00, 0xC7F), (0xD00, 0xD7F), (0xE00, 0xE7F),
    (0xE80, 0xEFF), (0xF00, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137F),
    (0x13A0, 0x13FF), (0x1780, 0x17FF), (0x1800, 0x18AF), (0x1AB0, 0x1AFF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF),
    (0x2000, 0x206F), (0x2070, 0x209F), (0x20A0, 0x20CF), (0x20D0, 0x20FF), (0x2100, 0x218F), (0x2190, 0x23FF),
    (0x2460, 0x25FF), (0x2600, 0x27BF), (0x2E80, 0x2FDF), (0x3000, 0x303F), (0x3040, 0x30FF), (0x3130, 0x318F),
    (0x3200, 0x33FF), (0x4E00, 0x9FFF), (0x4E00, 0x9FFF), (0xA000, 0xA4CF), (0xA640, 0xA69F), (0xA720, 0xA7FF),
    (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFB00, 0xFDFF), (0xFE00, 0xFE6F), (0xFF00, 0xFFEF), (0x10000, 0x100FF),
    (0x10400, 0x1044F), (0x1D400, 0x1D7FF), (0x1F300, 0x1F6FF), (0x1F900, 0x1F9FF), (0x1F1E6, 0x1F1FF),
    (0x20000, 0x2A6DF), (0xE0100, 0xE01EF), (0x1, 0x1F), (0x7F, 0x9F), (0x1, 0xD7FF), (0xE000, 0x10FFFF),
]  # fmt: skip
ODD = [
    " ", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u200d", "\u200b", "\ufeff", "\u00ad", "\ufffd", "\u2581",
    "\u0130", "\u017f", "\u212a", "\u00df", "\ufb01", "\u1e9e", "\u03c2", "\u03a3", "\u0345", "\u0e33", "\u0958",
    "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "e\u0301", "a\u0328\u0301", "q\u0323\u0307", "각", "\u1112\u1161\u11ab", "don't",
    "I'LL", "we've", "'s", "1234567", "3.14", "http://a.b/c?d=e", "[CLS]", "[SEP]", "<s>", "</s>", "<unk>", "<pad>",
    "<mask>", "<0x41>", "foo_bar", "camelCase", "x" * 130, "...", "!!!", "----", "\u2028", "\x85", "\x0b", "\x1c",
]  # fmt: skip
BROKEN = [b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"]


def text(rng: random.Random, words: list[str]) -> bytes:
    """One text of 0 to some 40 pieces."""
    parts: list[bytes] = []
    home = rng.choice(BLOCKS)
    for _ in range(min(int(rng.expovariate(0.15)), 40)):
        way = rng.random()
        if way < 0.35 and words:
            parts.append(rng.choice(words).encode())
            parts.append(rng.choice((" ", " ", " ", "", ", ", ". ", "\n")).encode())
        elif way < 0.5:
            parts.append(rng.choice(ODD).encode())
        elif way < 0.52:
            parts.append(rng.choice(BROKEN))
        else:
            block = home if rng.random() < 0.7 else rng.choice(BLOCKS)
            chars = [rng.randint(*block) for _ in range(rng.randint(1, 9))]
            parts.append("".join(chr(c) for c in chars if not 0xD800 <= c < 0xE000).encode())
            if rng.random() < 0.5:
                parts.append(b" ")
    return b"".join(parts).replace(b"\0", b"")


def texts(count: int, seed: int, words: list[str]) -> Iterator[bytes]:
    rng = random.Random(seed)
    for _ in range(count):
        yield text(rng, words)
