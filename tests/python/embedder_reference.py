"""A second implementation of docs/embedder.md, written from its words and sharing nothing with the C code.

It is the oracle of the built-in embedder: slow, obvious, standard library only. Characters are classed and folded with
Python's own unicodedata instead of hither's frozen tables, so it also checks those; a character that a newer Unicode
than 14.0.0 added may differ, and only such a one.

    python3 embedder_reference.py golden     prints the lines of tests/unit/embedder_golden.h
    python3 embedder_reference.py < TEXTS    prints the digest of the vector of each line
"""

import math
import struct
import sys
import unicodedata

DIM = 384
MASK64 = (1 << 64) - 1
MAX_WORD = 64

CJK_RANGES = [
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
IGNORED_RANGES = [
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
LETTER, DIGIT, CJK, IGNORED, OTHER = "letter", "digit", "cjk", "ignored", "other"


def within(cp, ranges):
    return any(first <= cp <= last for first, last in ranges)


def class_of(cp):
    if within(cp, IGNORED_RANGES):
        return IGNORED
    if within(cp, CJK_RANGES):
        return CJK
    category = unicodedata.category(chr(cp))
    if category == "Nd":
        return DIGIT
    if category == "No":
        return DIGIT if unicodedata.normalize("NFKD", chr(cp)) in tuple("0123456789") else OTHER
    if category[0] in "LM":
        return LETTER
    if category == "Nl":
        return LETTER
    return OTHER


def fold(cp):
    """The 1 to 4 characters that a letter, digit or CJK character stands for, as a string."""
    c = chr(cp)
    if within(cp, CJK_RANGES):
        return unicodedata.normalize("NFKC", c) if 0xFF66 <= cp <= 0xFFDC else c
    category = unicodedata.category(c)
    if category == "Nd":
        return str(unicodedata.decimal(c))
    compatible = category in ("No", "Nl") or 0xFB00 <= cp <= 0xFB06 or 0xFF00 <= cp <= 0xFFEF
    form = "NFKD" if compatible else "NFD"

    def decompose(s):
        return "".join(x for x in unicodedata.normalize(form, s) if not within(ord(x), IGNORED_RANGES))

    folded = decompose("".join(x.casefold() for x in decompose(c)))
    return folded if 1 <= len(folded) <= 4 else c


HEX = set("0123456789abcdefABCDEF")
NUMBER, ADDRESS, UUID, WORD = "number", "address", "uuid", "word"


def ends(text, at):
    """Whether a pattern may end before text[at]: no ASCII letter or digit and nothing beyond ASCII follows."""
    return at >= len(text) or (ord(text[at]) < 0x80 and not text[at].isalnum())


def match_groups(text, at, sizes, separators):
    """The end of hex groups of these sizes with one of the separators between them, or None."""
    separator = None
    for i, size in enumerate(sizes):
        if i:
            if at >= len(text) or text[at] not in separators or (separator and text[at] != separator):
                return None
            separator = text[at]
            at += 1
        if len(text) < at + size or any(c not in HEX for c in text[at : at + size]):
            return None
        at += size
    return at if ends(text, at) else None


def match_ipv4(text, at):
    for part in range(4):
        if part:
            if text[at : at + 1] != ".":
                return None
            at += 1
        digits = 0
        while at + digits < len(text) and text[at + digits] in "0123456789":
            digits += 1
        if not 1 <= digits <= 3 or int(text[at : at + digits]) > 255:
            return None
        at += digits
    if text[at : at + 1] == "." and text[at + 1 : at + 2] and text[at + 1] in "0123456789":
        return None
    return at if ends(text, at) else None


def match_ipv6(text, at):
    end = at
    while end < len(text) and end - at < 40 and (text[end] in HEX or text[end] == ":"):
        end += 1
    if end - at >= 40:
        return None
    if text[end - 1] == ":" and text[end - 2 : end] != "::":
        end -= 1
    run = text[at:end]
    groups = [g for g in run.split(":") if g]
    if any(len(g) > 4 for g in groups) or ":::" in run or run.count("::") > 1 or run.startswith(":"):
        return None
    if "::" in run and (not 1 <= len(groups) <= 7 or run.count(":") < 2):
        return None
    if "::" not in run and len(groups) != 8:
        return None
    if not any(c in "0123456789" for c in run):
        return None
    return end if ends(text, end) else None


def match_hex(text, at):
    if text[at : at + 2] in ("0x", "0X"):
        end = at + 2
        while end < len(text) and text[end] in HEX:
            end += 1
        return end if end > at + 2 and ends(text, end) else None
    end = at
    while end < len(text) and text[end] in HEX:
        end += 1
    run = text[at:end]
    if end - at < 7 or run.isdigit() or run.isalpha():
        return None
    return end if ends(text, end) else None


def match_pattern(text, at):
    end = match_groups(text, at, [8, 4, 4, 4, 12], "-")
    if end is not None:
        return UUID, end
    for end in (match_groups(text, at, [2] * 6, ":-"), match_ipv6(text, at), match_ipv4(text, at)):
        if end is not None:
            return ADDRESS, end
    end = match_hex(text, at)
    if end is not None:
        return "hex", end
    return None


def tokens(text):
    """(kind, folded text, whether it follows another CJK token at once) for each token."""
    at, run = 0, False  # run: the character before belongs to a token
    after_cjk = False
    while at < len(text):
        kind = class_of(ord(text[at]))
        if kind == IGNORED:
            at += 1
            continue
        if kind == OTHER:
            run = after_cjk = False
            at += 1
            continue
        if kind == CJK:
            yield CJK, fold(ord(text[at])), after_cjk
            run = after_cjk = True
            at += 1
            continue
        after_cjk = False
        found = None if run else match_pattern(text, at)
        run = True
        if found:
            yield found[0], text[at : found[1]].lower(), False
            at = found[1]
            continue
        folded, count = "", 0
        while at < len(text) and count < MAX_WORD:
            c = class_of(ord(text[at]))
            if c == kind:
                folded += fold(ord(text[at]))
                count += 1
            elif c == OTHER and kind == DIGIT and text[at] in ".,":
                if at + 1 >= len(text) or class_of(ord(text[at + 1])) != DIGIT:
                    break
                folded += text[at]
                count += 1
            elif c != IGNORED:
                break
            at += 1
        yield (NUMBER if kind == DIGIT else WORD), folded, False


FUNCTION_WORDS = set(
    """
    a about after all also an and any are as at be because been before being but by can could did do does for from get
    had has have having he her him his how i if in into is it its may me more most my no nor not of off on one only or
    other our out over s she so some such t than that the their them then there these they this those through to too
    under up upon very was we were what when where which while who whom whose why will with would you your
""".split()
)


def mix64(x):
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & MASK64
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & MASK64
    return x ^ x >> 31


def hash64(text, seed):
    h = 0xCBF29CE484222325 ^ seed
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 & MASK64
    return mix64(h)


def features(text):
    """(64-bit hash, weight) for each feature of the text, in order."""
    previous = None  # (hash, light) of the token before, unless that was a CJK character
    previous_cjk = ""
    for kind, word, after_cjk in tokens(text):
        if kind == CJK:
            yield hash64(word, 1), 4
            if after_cjk:
                yield hash64(previous_cjk + word, 2), 8
            previous, previous_cjk = None, word
            continue
        light = kind != WORD or word in FUNCTION_WORDS
        h = hash64(word, 1) if kind == WORD else hash64(kind, 5)
        if kind != WORD:
            yield h, 3
            if kind == NUMBER and len(word) <= 4:
                yield hash64(word, 4), 5
        else:
            yield h, 2 if light else 8
            if not light:
                padded = " " + word + " "
                for i in range(len(padded) - 2):
                    yield hash64(padded[i : i + 3], 3), 6
        if previous:
            yield mix64((previous[0] * 3 + h) & MASK64), 1 if light or previous[1] else 3
        previous = (h, light)


def embed(text):
    """The vector as the bytes of 384 little-endian f32."""
    sums = [0] * DIM
    for h, weight in features(text):
        for half in (h & 0xFFFFFFFF, h >> 32):
            sums[(half >> 1) * DIM >> 31] += weight if half & 1 else -weight
    total = sum(map(abs, sums))
    return struct.pack(f"<{DIM}f", *(math.copysign(math.sqrt(abs(s) / total), s) if s else 0.0 for s in sums))


def digest(data):
    """FNV-1a of bytes, 64 bits, without hash64's last step."""
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & MASK64
    return h


GOLDEN_TEXTS = [
    "",
    "the",
    "hawk",
    "a bird of prey",
    "Hawk hawk HAWK",
    "to be or not to be",
    "   \t\n.,;!",
    "caf\u00e9 cafe\u0301 CAF\u00c9",
    "Stra\u00dfe STRASSE \ufb02ie\u00dfen",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0451\u043b\u043a\u0430",
    "\u0391\u03b8\u03ae\u03bd\u03b1 \u039f\u0394\u039f\u03a3",
    "\u6771\u4eac\u30bf\u30ef\u30fc\u306f\u9ad8\u3044",
    "\ud55c\uad6d\uc5b4 \ud14d\uc2a4\ud2b8",
    "\uff21\uff22\uff23\uff11\uff12 \u216b m\u00b2 \u00bd",
    "\u0915\u094d\u0937\u0924\u094d\u0930\u093f\u092f \u0929",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u0623\u0647\u0644\u0627\u064b",
    "\U0001f600 \U0001f680 launch",
    "port 8080 of 10.0.0.1 and fe80::1: 404, 3.14, 1,024, 123456",
    "550e8400-e29b-41d4-a716-446655440000 deadbeef0",
    "00:1b:44:11:3a:b7 0xDEADBEEF 12:30:45 e3b0c44 1.2.3.4.5 256.1.1.1",
    "utf8 x86_64 sha256sum blk_38865 v1.2.3",
    "dead::beef add::face 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:8:9 ::1 abcdef1\u00e9",
    "soft\u00adhyphen zero\u200bwidth",
    "a" * 200,
    "0123456789" * 30,
    "x" * 63 + "\u00e9" * 10,
    "ab1" * 50,
    "the quick brown fox " * 40,
    "\U00020000\U0002a6d6 \u3007\u3007",
]


def lcg_texts(count):
    """Texts of characters drawn by a generator that C has too; ranges chosen so that all classes meet."""
    state = 1
    alphabets = [
        (0x20, 95),
        (0x61, 26),
        (0x30, 10),
        (0xA0, 0x250),
        (0x370, 0x1B0),
        (0x590, 0x80),
        (0x900, 0x80),
        (0x3040, 0xC0),
        (0x4E00, 0x200),
        (0xFF00, 0xE0),
        (0x41, 6),
        (0x2C, 15),
        (0x1E00, 0x200),
        (0x2150, 0x60),
    ]
    for _ in range(count):
        text = ""
        state = (state * 6364136223846793005 + 1442695040888963407) & MASK64
        base, width = alphabets[(state >> 33) % len(alphabets)]
        for _ in range((state >> 40) % 60):
            state = (state * 6364136223846793005 + 1442695040888963407) & MASK64
            if (state >> 60) == 0:
                base, width = alphabets[(state >> 33) % len(alphabets)]
            text += chr(base + (state >> 35) % width) if (state >> 56) % 7 else " "
        yield text


def class_digest(first, last):
    """Digest of class and folded text of characters first ... last - 1, as the C test computes it."""
    names = [OTHER, LETTER, DIGIT, CJK, IGNORED]
    data = bytearray()
    for cp in range(first, last):
        kind = OTHER if 0xD800 <= cp <= 0xDFFF else class_of(cp)
        data.append(names.index(kind))
        if kind in (LETTER, DIGIT, CJK):
            data += fold(cp).encode()
    return digest(data)


def c_string(text):
    """A C literal; octal escapes, which cannot run into the character that follows."""
    plain = {b for b in range(0x20, 0x7F) if b not in b'"\\?'}
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def golden():
    print(
        "/* embedder_golden.h: written by tests/python/embedder_reference.py golden; digests are FNV-1a of 384 f32. */"
    )
    print("/* clang-format off */")
    print("static const struct { const char *text; uint64_t digest; } golden_texts[] = {")
    for text in GOLDEN_TEXTS:
        print(f"    {{{c_string(text)}, 0x{digest(embed(text)):016x}u}},")
    print("};")
    print(
        f"#define GOLDEN_RANDOM_COUNT 2000\n#define GOLDEN_RANDOM_DIGEST "
        f"0x{digest(b''.join(embed(t) for t in lcg_texts(2000))):016x}u"
    )
    print("static const struct { uint32_t first, last; uint64_t digest; } golden_classes[] = {")
    for first, last in [(0, 0x80), (0x80, 0x600), (0x600, 0x2000), (0x2000, 0x10000), (0x10000, 0x110000)]:
        print(f"    {{0x{first:x}, 0x{last:x}, 0x{class_digest(first, last):016x}u}},")
    print("};\n/* clang-format on */")


if __name__ == "__main__":
    if sys.argv[1:] == ["golden"]:
        golden()
    else:
        for line in sys.stdin:
            print(f"{digest(embed(line.rstrip(chr(10)))):016x}")
