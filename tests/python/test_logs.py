"""The scores of a window on generated logs: how well each finds what was planted, with a floor for each."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import logs

# Mean of three seeds, measured, less a margin of about a tenth. (kind, target): score -> floor. fading is the centroid
# with a half life of 200. Where a score has no floor it finds next to nothing (about 0.01), or
# there are no levels in the log (severity).
FLOORS = {
    ("bursts", "first"): {"novelty": 0.9, "rarity": 0.518, "distance": 0.9, "centroid": 0.059, "fading": 0.062},
    ("bursts", "labels"): {
        "novelty": 0.234,
        "rarity": 0.225,
        "distance": 0.099,
        "centroid": 0.179,
        "fading": 0.099,
    },
    ("drift", "rare"): {"novelty": 0.139, "rarity": 0.087, "distance": 0.117},
    ("drift", "first"): {"novelty": 0.9, "rarity": 0.693, "distance": 0.9, "centroid": 0.022, "fading": 0.027},
    ("drift", "labels"): {"novelty": 0.9, "rarity": 0.693, "distance": 0.9, "centroid": 0.022, "fading": 0.027},
    ("new", "rare"): {"novelty": 0.891, "rarity": 0.795, "distance": 0.891, "centroid": 0.07, "fading": 0.067},
    ("new", "first"): {"novelty": 0.9, "rarity": 0.803, "distance": 0.9, "centroid": 0.07, "fading": 0.067},
    ("new", "labels"): {"novelty": 0.891, "rarity": 0.795, "distance": 0.891, "centroid": 0.07, "fading": 0.067},
    ("rare", "rare"): {"novelty": 0.79, "rarity": 0.669, "distance": 0.576, "centroid": 0.056, "fading": 0.046},
    ("rare", "first"): {"novelty": 0.726, "rarity": 0.554, "distance": 0.726, "centroid": 0.03, "fading": 0.021},
    ("rare", "labels"): {"novelty": 0.79, "rarity": 0.669, "distance": 0.576, "centroid": 0.056, "fading": 0.046},
    ("noise", "rare"): {"novelty": 0.874, "rarity": 0.748, "distance": 0.874, "centroid": 0.04, "fading": 0.037},
    ("noise", "first"): {"novelty": 0.9, "rarity": 0.774, "distance": 0.9, "centroid": 0.04, "fading": 0.037},
    ("noise", "labels"): {"novelty": 0.761, "rarity": 0.62, "distance": 0.76, "centroid": 0.039, "fading": 0.036},
    ("errors", "rare"): {
        "novelty": 0.54,
        "rarity": 0.13,
        "distance": 0.513,
        "severity": 0.189,
        "centroid": 0.479,
        "fading": 0.468,
    },
    ("errors", "first"): {
        "novelty": 0.719,
        "rarity": 0.399,
        "distance": 0.719,
        "severity": 0.764,
        "centroid": 0.149,
        "fading": 0.146,
    },
    ("errors", "labels"): {
        "novelty": 0.666,
        "rarity": 0.565,
        "distance": 0.247,
        "severity": 0.9,
        "centroid": 0.116,
        "fading": 0.115,
    },
}


@pytest.fixture(scope="module")
def measured():
    found = {}
    for kind in logs.KINDS:
        for seed in (1, 2, 3):
            log = logs.generated(kind, seed)
            scores = logs.hither_scores(log.raw)
            for target, marks in logs.targets(log).items():
                for name, values in scores.items():
                    precision = logs.average_precision(values, marks)
                    found.setdefault((kind, target), {}).setdefault(name, []).append(precision)
    return {key: {name: float(np.mean(each)) for name, each in row.items()} for key, row in found.items()}


def test_scores_stay_above_their_floors(measured):
    for key, row in FLOORS.items():
        for name, floor in row.items():
            assert measured[key][name] >= floor, (key, name)
    assert set(FLOORS) == set(measured)


def test_average_precision_against_its_definition():
    rng = np.random.default_rng(1)
    for _ in range(50):
        scores = rng.integers(0, 6, size=30).astype(float)
        marks = rng.random(30) < 0.3
        if not marks.any():
            continue
        total, levels = 0.0, sorted(set(scores), reverse=True)
        for level in levels:
            above = scores >= level
            total += marks[scores == level].sum() * marks[above].sum() / above.sum()
        assert logs.average_precision(scores, marks) == pytest.approx(total / marks.sum())
    assert logs.average_precision([3, 2, 1], np.array([True, False, False])) == 1


@pytest.mark.parametrize("kind", logs.KINDS)
def test_generated_logs_are_the_same_each_time(kind):
    one, two = logs.generated(kind, 5, 800), logs.generated(kind, 5, 800)
    assert one.messages == two.messages and (one.labels == two.labels).all()
    assert one.messages != logs.generated(kind, 6, 800).messages


def test_a_csv_is_read(tmp_path):
    path = tmp_path / "Sample.csv"
    path.write_text('LineId,Time,Level,Content,EventId\n1,10:00,INFO,"a, b",E1\n2,10:01,ERROR,c,E2\n', encoding="utf-8")
    log = logs.read_csv(path)
    assert log.name == "Sample" and log.messages == ["a, b", "c"] and log.events == ["E1", "E2"]
    assert log.raw == ["10:00 INFO a, b", "10:01 ERROR c"] and log.labels.tolist() == [False, True]
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="Content and EventId"):
        logs.read_csv(path)


def test_alarms_come_as_often_as_asked():
    """A log in which a line in twenty is of a form of its own; a share of 0.2 to 2 % asked for."""
    log = logs.generated("new", 4, 400)
    rng = random.Random(4)
    lines = [log.messages[i % 400] if i % 20 else logs.write(rng, logs.statement(rng)) for i in range(40_000)]
    for asked in (0.002, 0.01, 0.02):
        got = alarms(lines, asked)
        assert asked / 1.5 <= got <= asked * 1.5, (asked, got)


def alarms(lines, rate):
    """The share of lines that the command's window would call alarms."""
    from hither import _core

    ffi, lib = _core.ffi, _core.lib
    options = ffi.new("hither_window_options *")
    options.size, options.no_centroid = ffi.sizeof("hither_window_options"), 1
    options.alarm_rate, options.alarm_after = rate, logs.WARM_UP
    out, err = ffi.new("hither_window **"), ffi.new("hither_error *")
    assert lib.hither_window_new(options, out, err) == 0
    data = [line.encode() for line in lines]
    offsets = ffi.new("uint64_t[]", [0, *np.cumsum([len(line) for line in data]).tolist()])
    texts = ffi.new("hither_strings *")
    kept = ffi.from_buffer(b"".join(data))
    texts.bytes, texts.offsets, texts.count = kept, offsets, len(data)
    scores = ffi.new("hither_score[]", len(data))
    assert lib.hither_window_push(out[0], texts, scores, err) == 0
    lib.hither_window_close(out[0])
    return sum(score.alarm == 1 for score in scores) / (len(data) - logs.WARM_UP)
