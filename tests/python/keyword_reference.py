"""What docs/keyword.md says, once more, as plainly as Python can: terms, queries, BM25, and the two fusions.

Independent of the library: characters are classed and folded with Python's own unicodedata (embedder_reference.py), and
every query goes through every document.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from embedder_reference import CJK, DIGIT, IGNORED, LETTER, class_of, fold

K1, B = 1.2, 0.75
MAX_WORD = 64


def terms(text: str) -> list[tuple[str, str]]:
    """(kind, term) by position; kind is "word", "pair" or "last"."""
    found: list[tuple[str, str]] = []
    i = 0
    while i < len(text):
        kind = class_of(ord(text[i]))
        if kind == CJK:
            j = i + 1
            while j < len(text) and class_of(ord(text[j])) == IGNORED:
                j += 1
            if j < len(text) and class_of(ord(text[j])) == CJK:
                found.append(("pair", fold(ord(text[i])) + fold(ord(text[j]))))
            else:
                found.append(("last", fold(ord(text[i]))))
            i += 1
        elif kind in (LETTER, DIGIT):
            word, count = "", 0
            while i < len(text) and count < MAX_WORD:
                kind = class_of(ord(text[i]))
                if kind in (LETTER, DIGIT):
                    word += fold(ord(text[i]))
                    count += 1
                elif kind != IGNORED:
                    break
                i += 1
            found.append(("word", word))
        else:
            i += 1
    return found


@dataclass
class Clause:
    kind: str  # "term", "prefix" or "phrase"
    must: bool
    never: bool
    items: tuple[tuple[int, str], ...]  # offset and term
    times: int = 1


def pieces(text: str) -> list[tuple[str, bool, str]]:
    """(sign, quoted, text) of each piece of a query."""
    found, i = [], 0
    spaces = " \t\n\v\f\r"
    while i < len(text):
        if text[i] in spaces:
            i += 1
            continue
        sign = text[i] if text[i] in "+-" else ""
        i += len(sign)
        quoted = i < len(text) and text[i] == '"'
        i += quoted
        end = i
        while end < len(text) and text[end] != '"' and (quoted or text[end] not in spaces):
            end += 1
        found.append((sign, quoted, text[i:end]))
        i = end + (quoted and end < len(text))
    return found


def parse(text: str) -> list[Clause]:
    clauses: list[Clause] = []

    def add(kind: str, items: list[tuple[int, str]], sign: str) -> None:
        for old in clauses:
            if (old.kind, old.never, old.items) == (kind, sign == "-", tuple(items)):
                old.times += 1
                old.must = old.must or sign == "+"
                return
        clauses.append(Clause(kind, sign == "+", sign == "-", tuple(items)))

    for sign, quoted, piece in pieces(text):
        found = terms(piece)
        begins = not quoted and piece.endswith("*")
        if sign or quoted:
            if len(found) > 1 and found[-1][0] == "last" and found[-2][0] == "pair":
                found.pop()
            if len(found) > 1:
                add("phrase", [(offset, term) for offset, (_, term) in enumerate(found)], sign)
            elif found:
                add("prefix" if begins or found[0][0] == "last" else "term", [(0, found[0][1])], sign)
            continue
        for i, (kind, term) in enumerate(found):
            if kind == "last" and i and found[i - 1][0] == "pair":
                continue
            prefix = kind == "last" or (begins and i == len(found) - 1)
            add("prefix" if prefix else "term", [(0, term)], "")
    return clauses


def frequency(clause: Clause, document: list[str]) -> int:
    if clause.kind == "prefix":
        return sum(term.startswith(clause.items[0][1]) for term in document)
    return sum(
        all(i + offset < len(document) and document[i + offset] == term for offset, term in clause.items)
        for i in range(len(document))
    )


class Index:
    """Documents by slot, those of live rows; None where a row has none."""

    def __init__(self, documents: dict[int, str | None]) -> None:
        self.terms = {slot: [term for _, term in terms(text or "")] for slot, text in documents.items()}
        with_terms = [len(found) for found in self.terms.values() if found]
        self.rows = len(with_terms)
        self.mean = sum(with_terms) / self.rows if self.rows else 1.0

    def scores(self, query: str) -> dict[int, float]:
        """The score of each row that matches."""
        clauses = parse(query)
        counts = [{slot: frequency(clause, document) for slot, document in self.terms.items()} for clause in clauses]
        weights = []
        for clause, count in zip(clauses, counts, strict=True):
            n = sum(value > 0 for value in count.values())
            weights.append(math.log(1 + (self.rows - n + 0.5) / (n + 0.5)) * clause.times)
        found = {}
        for slot, document in self.terms.items():
            score, any_clause, fits = 0.0, False, True
            for clause, count, weight in zip(clauses, counts, weights, strict=True):
                tf = count[slot]
                if (tf and clause.never) or (not tf and clause.must):
                    fits = False
                if tf and not clause.never:
                    norm = K1 * (1 - B + B * len(document) / self.mean)
                    score += weight * (tf * (K1 + 1) / (tf + norm))
                    any_clause = True
            if fits and any_clause:
                found[slot] = score
        return found


def best(scores: dict[int, float], k: int) -> list[int]:
    return sorted(scores, key=lambda slot: (-scores[slot], slot))[:k]


def rrf(near: list[int], words: list[int], weight: float) -> dict[int, float]:
    """Fused scores by slot, of the candidates of both halves, each best first."""

    def share(found: list[int], slot: int) -> float:
        return 1 / (60 + found.index(slot) + 1) if slot in found else 0.0

    return {
        slot: 2 * weight * share(near, slot) + 2 * (1 - weight) * share(words, slot)
        for slot in dict.fromkeys([*near, *words])
    }


def weighted(
    candidates: set[int], distances: dict[int, float], scores: dict[int, float], weight: float
) -> dict[int, float]:
    least, most = min(distances[s] for s in candidates), max(distances[s] for s in candidates)
    top = max(scores.get(s, 0.0) for s in candidates)
    fused = {}
    for slot in candidates:
        near = (most - distances[slot]) / (most - least) if most > least else 1.0
        words = scores.get(slot, 0.0) / top if top > 0 else 0.0
        fused[slot] = weight * near + (1 - weight) * words
    return fused
