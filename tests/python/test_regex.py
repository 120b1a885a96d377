"""`$regex` against Python's own `re`, on random patterns of the syntax that docs/filters.md names."""

from __future__ import annotations

import random
import re

import hither
import pytest

LETTERS = "abcABC01 _-.\näÄжЖ東🦉"
CLASSES = {
    "\\d": "0-9",
    "\\w": "A-Za-z0-9_",
    "\\s": "\\t-\\r ",
}
OPPOSITES = {"\\D": "\\d", "\\W": "\\w", "\\S": "\\s"}


def literal(rng: random.Random) -> str:
    return re.escape(rng.choice(LETTERS)).replace("\\\n", "\n").replace("\\ ", " ")


def brackets(rng: random.Random) -> tuple[str, str]:
    """A class in our syntax and in Python's, where \\d and the like are spelled out: there they are wider."""
    ours = theirs = ""
    for _ in range(1 + rng.randrange(3)):
        kind = rng.randrange(4)
        if kind == 0:
            name = rng.choice(list(CLASSES))
            ours += name
            theirs += CLASSES[name]
        elif kind == 1:
            part = rng.choice(["a-c", "A-B", "0-1", "ä-ж", "東-龍"])
            ours += part
            theirs += part
        else:
            part = re.escape(rng.choice(LETTERS))
            ours += part.replace("\\\n", "\\n").replace("\\ ", " ")
            theirs += part
    sign = "^" if rng.random() < 0.3 else ""
    return f"[{sign}{ours}]", f"[{sign}{theirs}]"


def pattern(rng: random.Random, depth: int = 3) -> tuple[str, str]:
    kind = rng.randrange(12 if depth else 7)
    if kind <= 2:
        one = literal(rng)
        return one, one
    if kind == 3:
        return ".", "."
    if kind == 4:
        return brackets(rng)
    if kind == 5:
        name = rng.choice([*CLASSES, *OPPOSITES])
        inside = CLASSES.get(name) or "^" + CLASSES[OPPOSITES[name]]
        return name, f"[{inside}]"
    if kind == 6:
        return rng.choice([("^", "^"), ("$", "\\Z"), ("\\A", "\\A"), ("\\z", "\\Z"), ("", "")])
    parts = [pattern(rng, depth - 1) for _ in range(1 + rng.randrange(3))]
    if kind <= 9:
        return "".join(ours for ours, _ in parts), "".join(theirs for _, theirs in parts)
    if kind == 10:
        group = rng.choice(["(", "(?:"])
        return (
            group + "|".join(ours for ours, _ in parts) + ")",
            group + "|".join(theirs for _, theirs in parts) + ")",
        )
    times = rng.choice(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "{1,3}?"])
    return f"(?:{parts[0][0]}){times}", f"(?:{parts[0][1]}){times}"


@pytest.mark.parametrize("seed", range(3))
def test_as_python_does(seed: int) -> None:
    rng = random.Random(20261121 + seed)
    texts = [""] + ["".join(rng.choice(LETTERS) for _ in range(rng.randrange(9))) for _ in range(199)]
    with hither.connect(":memory:") as db:
        c = db.collection("texts", dim=1)
        c.add(range(len(texts)), [[0.0]] * len(texts), documents=texts, metadata=[{"t": text} for text in texts])
        found = 0
        for _ in range(700):
            ours, theirs = pattern(rng)
            flags = rng.choice(["", "", "(?i)", "(?s)", "(?is)"])
            wanted = [i for i, text in enumerate(texts) if re.search(flags + theirs, text)]
            assert [hit.id for hit in c.scan(where={"t": {"$regex": flags + ours}})] == wanted, flags + ours
            if rng.random() < 0.1:
                ids = [hit.id for hit in c.scan(where_document={"$not": {"$regex": flags + ours}})]
                assert sorted([*ids, *wanted]) == list(range(len(texts))), flags + ours
            found += 0 < len(wanted) < len(texts)
        assert found > 200


def test_errors() -> None:
    with hither.connect(":memory:") as db:
        c = db.collection("texts", dim=1)
        with pytest.raises(
            hither.InvalidError, match=r"^where\.a\.\$regex: at character 2 of the pattern: a \( without"
        ):
            c.count(where={"a": {"$regex": "a(b"}})
        with pytest.raises(
            hither.InvalidError, match=r"^where\.\$document\.\$regex: at character 1 .*nothing to repeat"
        ):
            c.count(where_document={"$regex": "*"})
        with pytest.raises(hither.InvalidError, match="expected a string, found a number"):
            c.count(where={"a": {"$regex": 1}})
        with pytest.raises(hither.TooLargeError, match="the pattern is too large"):
            c.count(where={"a": {"$regex": "((x{1000}){1000}){1000}"}})
        many = [{"a": {"$regex": "x"}}] * 16
        assert c.count(where={"$or": many}) == 0
        with pytest.raises(hither.TooLargeError, match="more than 16 regular expressions"):
            c.count(where={"$or": [*many, {"a": {"$regex": "x"}}]})
