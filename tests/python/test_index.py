"""Index against brute force by D and a dict twin, in any order of calls, saved and opened; damaged files; limits."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import shutil
import struct
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any

import hither
import numpy as np
import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from numpy.typing import NDArray
from reference import brute

METRICS = ("cosine", "dot", "l2", "l1")
DIM = 3


def some(rows: int, dim: int, seed: int = 1) -> NDArray[np.float32]:
    """Few values: many ties."""
    return np.random.default_rng(seed).integers(-3, 4, (rows, dim)).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("place", ["copied", "wrapped", "mapped"])
def test_answers_are_brute_force(metric: str, place: str, tmp_path: Path) -> None:
    base, queries = some(400, 40), some(5, 40, 2)
    if place == "wrapped":
        index = hither.Index.wrap(base, metric)
    else:
        index = hither.Index(40, metric=metric)
        assert index.add(base).tolist() == list(range(400))
    if place == "mapped":
        index.save(tmp_path / "i.hi")
        index = hither.Index.open(tmp_path / "i.hi")
    labels, distances = index.search(queries, k=12)
    assert labels.dtype == np.int64 and distances.dtype == np.float32
    for row, query in enumerate(queries):
        wanted = brute(metric, query, base, 12)
        assert np.array_equal(labels[row], wanted[0]) and np.array_equal(distances[row], wanted[1])
        one = index.search(query, k=12)  # the short way
        assert np.array_equal(one[0], wanted[0]) and np.array_equal(one[1], wanted[1])
        for other in METRICS:
            wanted = brute(other, query, base, 500)
            got = index.search(query, k=500, metric=other)
            assert np.array_equal(got[0], wanted[0]) and np.array_equal(got[1], wanted[1])
    index.verify()
    info = index.info()
    kind = "exact" if place == "wrapped" else "auto"
    assert (info["rows"], info["mapped"], info["borrowed"]) == (400, place == "mapped", place == "wrapped")
    assert (len(index), index.dim, index.metric, index.dtype, index.kind) == (400, 40, metric, "f32", kind)


def test_queries_of_every_shape_and_type() -> None:
    base = some(50, 6)
    index = hither.Index.wrap(base, "l2")
    query = np.array([1, 2, 0, -1, 3, 1], np.float32)
    wanted = brute("l2", query, base, 4)
    wide = np.zeros(12, np.float32)
    wide[::2] = query
    raw = np.zeros(25, np.uint8)[1:].view(np.float32)
    raw[:] = query
    assert not raw.flags.aligned
    read_only = query.copy()
    read_only.flags.writeable = False
    same: list[Any] = [query, query.tolist(), query.astype(np.float64), query.astype(np.float16), query.astype(int)]
    for given in [*same, wide[::2], raw, read_only, query.astype(">f4")]:
        labels, distances = index.search(given, k=4)
        assert labels.shape == (4,) and np.array_equal(labels, wanted[0]) and np.array_equal(distances, wanted[1])
        labels, distances = index.search(np.asarray(given)[None], 4)
        assert labels.shape == (1, 4) and np.array_equal(labels[0], wanted[0])
    for k in (np.int64(4), np.uint8(4)):
        assert np.array_equal(index.search(query, k=k)[0], wanted[0])  # type: ignore[arg-type]
    many = np.asfortranarray(some(7, 6, 3))
    for row, got in zip(many, index.search(many, 4, threads=2)[0], strict=True):
        assert np.array_equal(got, brute("l2", row, base, 4)[0])
    assert index.search(np.empty((0, 6), np.float32))[0].shape == (0, 10)


def test_allowed_rows() -> None:
    base = some(100, 4)
    index = hither.Index.wrap(base, "l2")
    mask = np.arange(100) % 3 == 0
    wanted = brute("l2", base[1], base, 10, mask)
    for allow in (mask, np.flatnonzero(mask), np.flatnonzero(mask).tolist(), np.flatnonzero(mask).astype(np.uint8)):
        labels, distances = index.search(base[1], allow=allow)
        assert np.array_equal(labels, wanted[0]) and np.array_equal(distances, wanted[1])
    assert set(index.search(base[1], 100, allow=mask[:50])[0].tolist()) == {-1, *range(0, 50, 3)}
    assert index.search(base[1], allow=[])[0].tolist() == [-1] * 10
    assert index.search(base[1], 3, allow=[7, 10**6])[0].tolist() == [7, -1, -1]
    for wrong in ([-1], [0.5], [[True]], ["a"]):
        with pytest.raises(hither.InvalidError):
            index.search(base[1], allow=wrong)
    with pytest.raises(hither.TooLargeError):
        index.search(base[1], allow=[2**40])


def test_wrap_borrows_what_it_can() -> None:
    base = some(30, 8)
    index = hither.Index.wrap(base)
    held = weakref.ref(base)
    wanted = index.search(base[3])
    del base
    gc.collect()
    assert held() is not None  # the index keeps the array
    index.close()
    del index
    gc.collect()
    assert held() is None
    padded = some(30, 12)
    for array in (padded[:, :8], padded[::2, :8], np.asfortranarray(padded[:, :8]), padded[:, ::2], padded[::-1, :8]):
        got = hither.Index.wrap(array).search(array[3], 5)
        assert np.array_equal(got[0], brute("cosine", array[3], np.ascontiguousarray(array), 5)[0])
    assert wanted[0].shape == (10,)
    for wrong in ([[1.0]], np.array([["a"]]), np.array([[1j]])):
        with pytest.raises(hither.InvalidError):
            hither.Index.wrap(wrong)  # type: ignore[arg-type]
    with pytest.raises(hither.DimensionError):
        hither.Index.wrap(np.zeros(3, np.float32))
    with pytest.raises(hither.ReadonlyError):
        hither.Index.wrap(some(2, 3)).add(some(1, 3))
    bad = some(5, 3)
    bad[2, 1] = np.nan
    with pytest.raises(hither.NotFiniteError, match="row 2, column 1"):
        hither.Index.wrap(bad)


def test_an_add_that_fails_changes_nothing() -> None:
    index = hither.Index(DIM)
    index.add(some(4, DIM), [5, 3, 9, 0])
    bad = some(2, DIM)
    bad[1, 2] = np.inf
    for error, vectors, labels in [
        (hither.ExistsError, some(2, DIM), [11, 9]),
        (hither.ExistsError, some(2, DIM), [11, 11]),
        (hither.InvalidError, some(2, DIM), [11, -1]),
        (hither.InvalidError, some(2, DIM), [11]),
        (hither.InvalidError, some(2, DIM), ["a", "b"]),
        (hither.InvalidError, some(2, DIM), [0.5, 1.5]),
        (hither.DimensionError, some(2, DIM + 1), None),
        (hither.DimensionError, [[[1.0]]], None),
        (hither.NotFiniteError, bad, None),
    ]:
        with pytest.raises(error):
            index.add(vectors, labels)  # type: ignore[arg-type]
    assert len(index) == 4
    assert index.add(some(1, DIM)[0]).tolist() == [10]
    assert index.remove([3, 3, 77]) == 1 and index.remove(3) == 0
    assert index.add(some(1, DIM), 3).tolist() == [3]


def test_arguments_that_make_no_sense() -> None:
    index = hither.Index(DIM)
    query = np.zeros(DIM, np.float32)
    for call in (
        lambda: hither.Index(0),
        lambda: hither.Index(65536),
        lambda: hither.Index(2**40),
        lambda: hither.Index(-1),
        lambda: index.search(np.zeros(DIM + 1, np.float32)),
        lambda: index.search(np.zeros((2, DIM - 1))),
    ):
        with pytest.raises(hither.DimensionError):
            call()
    for call in (
        lambda: hither.Index("3"),  # type: ignore[arg-type]
        lambda: hither.Index(3, "none"),
        lambda: hither.Index(3, metric="none"),
        lambda: hither.Index(3, dtype="none"),
        lambda: index.search(query, 0),
        lambda: index.search(query, -1),
        lambda: index.search(query, 1.5),  # type: ignore[arg-type]
        lambda: index.search(query, metric="none"),
        lambda: index.search(query, threads=0),
    ):
        with pytest.raises(hither.InvalidError):
            call()
    with pytest.raises(hither.TooLargeError):
        index.search(query, 2**17)
    with pytest.raises(hither.NotFiniteError):
        index.search(query + np.float32(np.nan))
    assert index.search(query, 2**16)[0].shape == (2**16,)  # and the short way still works after it failed


def test_closed_is_closed() -> None:
    with hither.Index(DIM) as index:
        index.add(some(2, DIM))
        assert repr(index) == "<hither.Index of 2 rows, 3 dimensions, f32, cosine, auto>"
    index.close()
    assert repr(index) == "<hither.Index, closed>"
    for call in (
        lambda: index.search(np.zeros(DIM, np.float32)),
        lambda: index.search(np.zeros((1, DIM))),
        lambda: index.add(some(1, DIM)),
        lambda: index.remove(0),
        lambda: index.explain(some(1, DIM)),
        lambda: index.within(some(1, DIM), 1),
        lambda: index.save("x"),
        lambda: len(index),
        index.verify,
        index.info,
        index.__enter__,
    ):
        with pytest.raises(hither.InvalidError, match="closed"):
            call()
    for crossing in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="save"):
            crossing(hither.Index(DIM))


def test_explain_says_what_ran() -> None:
    index = hither.Index.wrap(some(300, 64))
    plan = index.explain(some(2, 64, 4), 5, metric="l2", threads=1, allow=np.ones(300, bool))
    assert plan["kind"] == "exact" and plan["rows"] == 300 and plan["rows_scanned"] >= 300 and plan["threads"] == 1
    json.dumps(plan)


def test_the_stages_of_a_plan_add_up() -> None:
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(20_000, 64)).astype(np.float32)
    index = hither.Index.wrap(rows)
    plan = index.explain(rows[:1] + 1, 10)
    stages = {stage["stage"]: stage for stage in plan["stages"]}
    assert (plan["plan"], plan["bound"], plan["recall"]) == ("codes", "residual", 1)
    assert stages["distance"] == {"stage": "distance", "rows": plan["rows_rescored"], "kept": 10}
    assert all(stage["kept"] <= stage["rows"] for stage in plan["stages"])
    assert 0 < plan["bytes_read"] < rows.nbytes / 2
    plain = index.explain(rows[:1] + 1, 10, metric="l1")
    assert (plain["plan"], plain["bound"]) == ("full", "rounding")
    assert plain["bytes_read"] >= rows.nbytes


def test_a_recall_below_one_finds_nearly_all_of_it_for_less() -> None:
    rng = np.random.default_rng(8)
    rows, queries = rng.normal(size=(20_000, 64)).astype(np.float32), rng.normal(size=(40, 64)).astype(np.float32)
    index = hither.Index.wrap(rows)
    exact, _ = index.search(queries)
    some, distances = index.search(queries, recall=0.9)
    shared = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(exact, some, strict=True)]
    assert sum(shared) >= 0.85 * exact.size
    assert (np.diff(distances, axis=1) >= 0).all()
    plan, whole = index.explain(queries, recall=0.9), index.explain(queries)
    assert plan["bound"] == "standard error" and plan["recall"] == 0.9
    assert plan["bytes_read"] < whole["bytes_read"]
    assert (index.search(queries, recall=1.0)[0] == exact).all()
    for wrong in (0, -0.5, 1.5, float("nan"), "much"):
        with pytest.raises(hither.InvalidError, match="recall"):
            index.search(queries, recall=wrong)  # type: ignore[arg-type]
        with pytest.raises(hither.InvalidError, match="recall"):
            hither.knn(rows, queries, recall=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", METRICS)
def test_within_a_radius(metric: str) -> None:
    base, queries = some(700, 40), some(6, 40, 2)
    index = hither.Index.wrap(base, metric)
    labels, distances = index.search(queries, 700)
    radius = float(distances[0, 200])
    for found in (index.within(queries, radius), hither.within(base, queries, radius, metric)):
        assert isinstance(found, list) and len(found) == 6
        for j, (rows, far) in enumerate(found):
            count = int((distances[j] <= np.float32(radius)).sum())
            assert rows.tolist() == labels[j, :count].tolist()
            assert far.tobytes() == distances[j, :count].tobytes()
    one = index.within(queries[0], radius, allow=np.arange(700) % 2 == 0)
    assert isinstance(one, tuple) and (one[0] % 2 == 0).all() and len(one[0]) > 0
    assert index.within(queries[:0], radius) == [] == hither.within(base, queries[:0], radius, metric)
    assert len(index.within(queries[0], -np.inf)[0]) == 0
    for wrong in (float("nan"), "far", None):
        with pytest.raises(hither.InvalidError, match="radius"):
            index.within(queries, wrong)  # type: ignore[arg-type]


def test_truncated_flipped_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "i.hi"
    index = hither.Index(40, metric="l2")
    base = some(200, 40)
    index.add(base, np.arange(200) * 3)
    index.save(path)
    sound = path.read_bytes()
    query = base[7]
    wanted = index.search(query)
    for size in [*range(0, len(sound), 997), len(sound) - 1]:
        path.write_bytes(sound[:size])
        with pytest.raises(hither.NotDatabaseError if size < 4096 else hither.CorruptError):
            hither.Index.open(path)
    path.write_bytes(sound + b"\0")
    with pytest.raises(hither.CorruptError):
        hither.Index.open(path)
    for at in range(0, len(sound), 611):
        data = bytearray(sound)
        data[at] ^= 0x10
        path.write_bytes(data)
        try:
            damaged = hither.Index.open(path)
        except (hither.CorruptError, hither.FormatError, hither.NotDatabaseError):
            continue
        try:
            got = damaged.search(query)
            assert np.array_equal(got[0], wanted[0]) and np.array_equal(got[1], wanted[1])
        except hither.CorruptError:
            pass
        with pytest.raises(hither.CorruptError, match="offset"):
            damaged.verify()
    for data in (b"", b"\x93NUMPY" + bytes(5000), b"HITHERC\n" + bytes(5000), bytes(8192)):
        path.write_bytes(data)
        with pytest.raises(hither.Error):
            hither.Index.open(path)
    with pytest.raises(hither.NotFoundError):
        hither.Index.open(tmp_path / "none")
    with pytest.raises(hither.Error):
        hither.Index.open(tmp_path)
    with pytest.raises(hither.InvalidError):
        hither.Index.open("a\0b")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["i.hi"]


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_a_stranger_can_read_the_file(tmp_path: Path) -> None:
    """By docs/format.md alone."""
    base, labels = some(9, 20), [4, 8, 1, 0, 2, 3, 90, 91, 92]
    index = hither.Index(20, kind="exact", metric="dot")
    index.add(base, labels)
    index.save(tmp_path / "i.hi")
    data = (tmp_path / "i.hi").read_bytes()
    magic, form, endian, kind, count, at, size, whole, crc = struct.unpack_from("<8sII16sQQQQI", data)
    assert (magic, form, endian, kind.rstrip(b"\0")) == (b"HITHERC\n", 1, 0x01020304, b"index-exact")
    assert whole == len(data) == at + size and at % 4096 == 0 and data[72:4096] == bytes(4096 - 72)
    assert crc == crc32c(data[at:]) and struct.unpack_from("<I", data, 68)[0] == crc32c(data[:68])
    found, sums, expected = {}, at + 32 * count, 4096
    for entry in range(count):
        name, offset, length = struct.unpack_from("<16sQQ", data, at + 32 * entry)
        assert offset == expected and length < 65536
        found[name.rstrip(b"\0").decode()] = data[offset : offset + length]
        assert struct.unpack_from("<I", data, sums)[0] == crc32c(data[offset : offset + length])
        sums += 4
        expected = -(-(offset + length) // 4096) * 4096
    assert (sums, expected) == (len(data), at) and list(found) == ["head", "rows", "norms", "labels"]
    dtype, metric, dim, stride, rows, following = struct.unpack("<IIIIQq", found["head"])
    assert (dtype, metric, dim, stride, rows, following) == (1, 2, 20, 80, 9, 93)
    assert np.array_equal(np.frombuffer(found["rows"], np.float32).reshape(9, 20), base)
    assert np.frombuffer(found["labels"], np.int64).tolist() == labels
    lengths = np.linalg.norm(base.astype(np.float64), axis=1)
    norms = np.frombuffer(found["norms"], np.float32)
    assert (norms >= lengths).all() and (norms <= lengths * (1 + 2**-22)).all()


def test_threads_search_while_one_adds() -> None:
    index = hither.Index(8, metric="l2")
    rows = np.arange(4000, dtype=np.float32)[:, None] * np.ones(8, np.float32)
    index.add(rows[:10])
    done, wrong = threading.Event(), []

    def look(seed: int) -> None:
        number = np.random.default_rng(seed)
        while not done.is_set():
            row = int(number.integers(0, 10))
            labels, distances = index.search(rows[row], 1)
            if labels[0] != row or distances[0] != 0:
                wrong.append((row, labels, distances))

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for at in range(10, 4000, 10):
        index.add(rows[at : at + 10])
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong and len(index) == 4000
    assert index.search(rows[::100], 1)[0][:, 0].tolist() == list(range(0, 4000, 100))


SMALL = st.integers(-2, 2).map(float)  # few values: many ties, many zero vectors
VECTORS = st.lists(SMALL, min_size=DIM, max_size=DIM)
LABELS = st.integers(0, 12) | st.sampled_from([2**40, 2**62])


class Twin(RuleBasedStateMachine):
    """`rows` is the truth: label to vector, in order of adding."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="hither-index-"))
        self.rows: dict[int, list[float]] = {}
        self.next = 0
        self.index = hither.Index(DIM, metric="l2")

    @rule(given=st.lists(st.tuples(LABELS, VECTORS), max_size=5))
    def add_labelled(self, given: list[tuple[int, list[float]]]) -> None:
        labels = [label for label, _ in given]
        vectors = np.array([vector for _, vector in given], np.float32).reshape(-1, DIM)
        if len(set(labels)) < len(labels) or any(label in self.rows for label in labels):
            with pytest.raises(hither.ExistsError):
                self.index.add(vectors, labels)
            return
        assert self.index.add(vectors, labels).tolist() == labels
        self.rows.update((label, vector) for label, vector in given)
        self.next = max([self.next, *(label + 1 for label in labels)])

    @rule(vectors=st.lists(VECTORS, max_size=40))
    def add(self, vectors: list[list[float]]) -> None:
        labels = list(range(self.next, self.next + len(vectors)))
        assert self.index.add(np.array(vectors, np.float32).reshape(-1, DIM)).tolist() == labels
        self.rows.update(zip(labels, vectors, strict=True))
        self.next += len(vectors)

    @rule(labels=st.lists(LABELS, max_size=6))
    def remove(self, labels: list[int]) -> None:
        gone = {label for label in labels if label in self.rows}
        assert self.index.remove(labels) == len(gone)
        for label in gone:
            del self.rows[label]

    @rule(
        query=VECTORS,
        metric=st.sampled_from(METRICS),
        k=st.integers(1, 60),
        allow=st.none() | st.lists(st.integers(0, 20)),
    )
    def search(self, query: list[float], metric: str, k: int, allow: list[int] | None) -> None:
        base = np.array(list(self.rows.values()), np.float32).reshape(-1, DIM)
        known = np.array(list(self.rows), np.int64)
        mask = None if allow is None else np.isin(known, allow)
        wanted = brute(metric, np.array(query, np.float32), base, k, mask)
        labels, distances = self.index.search(query, k, metric=metric, allow=allow)
        assert labels.tolist() == [-1 if row < 0 else int(known[row]) for row in wanted[0]]
        assert np.array_equal(distances, wanted[1])

    @rule()
    def save_and_open(self) -> None:
        self.index.save(self.folder / "i.hi")
        opened = hither.Index.open(self.folder / "i.hi")
        self.index.close()
        self.index = opened
        self.index.verify()

    @invariant()
    def counts(self) -> None:
        assert len(self.index) == len(self.rows)

    def teardown(self) -> None:
        self.index.close()
        shutil.rmtree(self.folder)


Twin.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestTwin = Twin.TestCase
