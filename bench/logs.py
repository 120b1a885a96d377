"""Logs with known oddities, and how well a score finds them: what bench/stream.py and the tests share.

A log is any CSV with the columns Content and EventId, as public collections of log samples have them, or one made here
from a seed. Targets are the lines of rare events, the first line of each event, and, where a column says so, the lines
that are labelled.
"""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WARM_UP = 200
RARE = 2
ERRORS = {"ERROR", "SEVERE", "FATAL", "CRITICAL", "FAILURE"}
WARNINGS = {"WARN", "WARNING"}

Bools = NDArray[np.bool_]


class Log(NamedTuple):
    name: str
    messages: list[str]
    raw: list[str]  # whole lines, with time and source
    events: list[str]
    labels: Bools | None


def read_csv(path: str | Path) -> Log:
    """A sample: Content is the message, EventId what statement wrote it, Level or Label what it was marked as: of
    levels, errors and worse count, or warnings where there are no errors."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"Content", "EventId"} <= rows[0].keys():
        raise SystemExit(f"{path}: a CSV with the columns Content and EventId is wanted")
    before = [name for name in rows[0] if name not in ("LineId", "Content", "EventId", "EventTemplate", "Label")]
    labels = None
    if "Label" in rows[0]:
        labels = np.array([row["Label"] not in ("-", "", "0", "Normal") for row in rows])
    elif "Level" in rows[0]:
        levels = [row["Level"].upper() for row in rows]
        bad = ERRORS if ERRORS.intersection(levels) else WARNINGS
        labels = np.array([level in bad for level in levels])
    if labels is not None and (not labels.any() or labels.all()):
        labels = None
    return Log(
        Path(path).stem,
        [row["Content"] for row in rows],
        [" ".join([*(row[name] or "" for name in before), row["Content"]]) for row in rows],
        [row["EventId"] for row in rows],
        labels,
    )


WORDS = """request response cache queue worker session token disk volume packet socket user account order payment job
task batch index table shard replica leader node cluster thread pool buffer page block checkpoint snapshot backup
upload download stream channel message topic consumer producer broker lease lock timer retry timeout limit quota
policy role key certificate handshake route gateway proxy balancer probe metric trace span event alarm rule schema
column row cursor transaction commit rollback merge split flush compaction opened closed started stopped accepted
rejected received sent stored removed created updated expired renewed scheduled finished failed skipped reached
lost found moved copied verified rebuilt promoted demoted attached detached resumed paused""".split()


def statement(rng: random.Random) -> str:
    """A print statement of a program: words, and what changes from line to line."""
    words = rng.sample(WORDS, rng.randint(4, 8))
    for _ in range(rng.randint(1, 3)):
        words.insert(rng.randint(1, len(words)), rng.choice(["%n", "%n ms", "id=%x", "from %a", "/var/%n"]))
    return " ".join(words)


def write(rng: random.Random, text: str) -> str:
    """A line of a statement."""
    while "%" in text:
        at = text.index("%")
        value = {
            "n": lambda: str(rng.randint(0, 99999)),
            "x": lambda: f"{rng.getrandbits(40):010x}",
            "a": lambda: ".".join(str(rng.randint(1, 254)) for _ in range(4)),
        }[text[at + 1]]()
        text = text[:at] + value + text[at + 2 :]
    return text


KINDS = ("bursts", "drift", "new", "rare", "noise", "errors")


def generated(kind: str, seed: int = 1, lines: int = 3000) -> Log:
    """A log of 25 common statements in which something happens.

    bursts: a new statement writes 40 lines on end, six times. drift: what is common changes slowly; an old statement
    is replaced by a new one now and then. new: 30 statements that write once. rare: 15 that write twice, far apart.
    noise: as new, but a tenth of the labels is wrong. errors: six statements report errors, thirty times in all, while
    three of the common ones warn. Labels mark the lines of what happened.
    """
    rng = random.Random(f"{kind} {seed}")
    common = [statement(rng) for _ in range(25)]
    weights = [1 / (i + 1) for i in range(25)]
    planted: dict[int, str] = {}
    span = range(WARM_UP + 50, lines - 60)
    if kind == "bursts":
        for i in range(6):
            at, text = span.start + i * (len(span) // 6), statement(rng)
            planted.update({at + j: text for j in range(40)})
    elif kind in ("new", "noise"):
        planted = {at: statement(rng) for at in rng.sample(span, 30)}
    elif kind == "rare":
        places = rng.sample(span, 30)
        planted = {at: text for i in range(15) for text in [statement(rng)] for at in places[2 * i : 2 * i + 2]}
    elif kind == "errors":
        reports = [statement(rng) for _ in range(6)]
        planted = {at: rng.choice(reports) for at in rng.sample(span, 30)}
    changes = set(rng.sample(span, 20)) if kind == "drift" else set()
    messages, events, labels = [], [], []
    for at in range(lines):
        if at in changes:
            common[rng.randrange(25)] = statement(rng)
        text = planted.get(at) or rng.choices(common, weights)[0]
        messages.append(write(rng, text))
        events.append(text)
        labels.append(at in planted)
    marks = np.array(labels)
    if kind == "drift":
        first = {event: i for i, event in reversed(list(enumerate(events)))}
        marks = np.array([first[event] == i and i >= WARM_UP for i, event in enumerate(events)])
    if kind == "noise":
        wrong = np.array([rng.random() < 0.1 for _ in range(lines)]) & marks
        marks = marks ^ wrong
        marks[rng.sample(range(WARM_UP, lines), int(wrong.sum()))] = True
    warns = set(common[4:7]) if kind == "errors" else set()
    levels = [
        "ERROR" if kind == "errors" and at in planted else "WARN" if event in warns else "INFO"
        for at, event in enumerate(events)
    ]
    raw = [
        f"2026-11-21 10:{i // 60 % 60:02}:{i % 60:02} {level} app {text}"
        for i, (level, text) in enumerate(zip(levels, messages, strict=True))
    ]
    return Log(f"generated {kind}", messages, raw, events, marks)


def targets(log: Log) -> dict[str, Bools]:
    """What a good score would put first, after the warm-up; only those that occur."""
    counts = Counter(log.events)
    first: dict[str, int] = {}
    for at, event in enumerate(log.events):
        first.setdefault(event, at)
    found = {
        "rare": np.array([counts[event] <= RARE for event in log.events]),
        "first": np.array([first[event] == at for at, event in enumerate(log.events)]),
    }
    if log.labels is not None:
        found["labels"] = log.labels
    return {name: marks[WARM_UP:] for name, marks in found.items() if marks[WARM_UP:].any()}


def average_precision(scores: Sequence[float] | NDArray[np.floating], marks: Bools) -> float:
    """The mean, over the marked lines, of the precision down to each; of ties all are taken at once."""
    values = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    hits, ranked = marks[order], values[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    found = np.cumsum(hits)[ends]
    gained = np.diff(np.insert(found, 0, 0))
    return float((gained * found / (ends + 1)).sum() / marks.sum())


def hither_scores(lines: list[str], embedder: Any = None, window: int = 1000) -> dict[str, NDArray[np.floating]]:
    """Every score of a window, larger meaning odder, after the warm-up. By another embedder than the built-in one only
    what depends on it, under its own name."""
    import hither

    scores = hither.Window(embedder=embedder, capacity=window).push(lines)
    if embedder:
        return {"novelty, MiniLM": scores.novelty[WARM_UP:], "centroid, MiniLM": -scores.centroid[WARM_UP:]}
    fading = hither.Window(capacity=window, half_life=200).push(lines)
    return {
        "novelty": scores.novelty[WARM_UP:],
        "rarity": scores.rarity[WARM_UP:],
        "distance": scores.distance[WARM_UP:],
        "severity": scores.severity[WARM_UP:],
        "centroid": -scores.centroid[WARM_UP:],
        "fading": -fading.centroid[WARM_UP:],
    }
