"""Exact means exact: knn and collections against brute force by D, at every SIMD level, and against plain numpy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hither
import numpy as np
import pytest
from reference import agrees, brute, numpy_distances

HERE = Path(__file__).parent
METRICS = ("cosine", "dot", "l2", "l1")
SEED = 20240229


def run_cases(cases: int, seed: int, **settings: str) -> tuple[str, str]:
    """The SIMD level and the digest of exact_cases.py under these environment variables."""
    package = str(Path(hither.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, str(HERE / "exact_cases.py"), str(cases), str(seed)],
        env={**os.environ, "PYTHONPATH": package, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    level, digest = done.stdout.split()
    return level, digest


def test_a_thousand_cases_equal_d_bit_for_bit_at_every_level() -> None:
    best, wanted = run_cases(1000, SEED)
    seen = {best}
    for cap in ("scalar", "avx2", "avx512"):
        level, digest = run_cases(1000, SEED, HITHER_SIMD=cap)
        assert digest == wanted, cap
        seen.add(level)
    assert "scalar" in seen
    assert run_cases(100, SEED, HITHER_THREADS="1")[1] == run_cases(100, SEED, HITHER_THREADS="7")[1]


@pytest.mark.parametrize("metric", METRICS)
def test_knn_agrees_with_numpy(metric: str) -> None:
    rng = np.random.default_rng(SEED)
    base = rng.normal(size=(20_000, 96)).astype(np.float32)
    queries = rng.normal(size=(20, 96)).astype(np.float32)
    labels, distances = hither.knn(base, queries, 10, metric)
    for j, query in enumerate(queries):
        exact = numpy_distances(metric, query, base)
        assert agrees(labels[j], exact, 10)
        np.testing.assert_allclose(distances[j], exact[labels[j]], rtol=1e-6, atol=1e-6)
        single, near = hither.knn(base, query, 10, metric)
        assert single.tolist() == labels[j].tolist()
        assert near.tobytes() == distances[j].tobytes()


@pytest.mark.parametrize("metric", METRICS)
def test_collection_equals_brute_force_through_changes(db: hither.Database, metric: str) -> None:
    rng = np.random.default_rng(SEED)
    c = db.collection("x", dim=33, metric=metric)
    slots: list[int] = []  # ids in order of writing, which orders ties
    rows: dict[int, np.ndarray] = {}
    for _ in range(12):
        batch = rng.integers(0, 600, size=80)
        vectors = rng.integers(-2, 3, size=(80, 33)).astype(np.float32)  # small integers: many ties
        c.upsert(batch, vectors)
        last = {int(id): row for row, id in enumerate(batch)}
        slots = [id for id in slots if id not in last] + [id for id, row in sorted(last.items(), key=lambda x: x[1])]
        rows.update({id: vectors[row] for id, row in last.items()})
        gone = rng.integers(0, 600, size=15)
        c.delete(gone)
        slots = [id for id in slots if id not in set(gone.tolist())]
    base = np.array([rows[id] for id in slots])
    queries = rng.integers(-2, 3, size=(10, 33)).astype(np.float32)
    for query, hits in zip(queries, c.search_many(queries, 25), strict=True):
        labels, distances = brute(metric, query, base, 25)
        assert hits.ids == [slots[label] for label in labels]
        assert hits.distances is not None
        assert hits.distances.tobytes() == distances.tobytes()
        alone = c.search(query, 25)
        assert alone.ids == hits.ids


def test_knn_reads_rows_where_they_lie() -> None:
    rng = np.random.default_rng(SEED)
    wide = rng.normal(size=(500, 40)).astype(np.float32)
    query = rng.normal(size=24).astype(np.float32)
    wanted = hither.knn(wide[:, :24].copy(), query, 7)[0].tolist()
    read_only = wide[:, :24].copy()
    read_only.flags.writeable = False
    for base in (
        wide[:, :24],
        np.asfortranarray(wide[:, :24]),
        read_only,
        wide[:, :24].astype(">f4"),
        wide[:, :24].tolist(),
    ):
        assert hither.knn(base, query, 7)[0].tolist() == wanted
    assert hither.knn(wide[:, :24].astype(np.float64), query.astype(np.float64), 7)[0].tolist() == wanted
    assert hither.knn(wide[::-1, :24], query, 7)[0].tolist() == [499 - label for label in wanted]
    assert hither.knn(wide[::3, :24], query, 1)[0].tolist() == [brute("cosine", query, wide[::3, :24], 1)[0][0]]


def test_allow_by_mask_and_by_row_number() -> None:
    base = np.arange(200, dtype=np.float32).reshape(-1, 1)
    labels, distances = hither.knn(base, [0.0], 3, "l2", allow=np.arange(200) % 2 == 1)
    assert labels.tolist() == [1, 3, 5]
    assert distances.tolist() == [1, 9, 25]
    assert hither.knn(base, [0.0], 3, "l2", allow=[150, 7, 100000])[0].tolist() == [7, 150, -1]
    assert hither.knn(base, [0.0], 2, "l2", allow=np.ones(1, bool))[0].tolist() == [0, -1]  # rows past the mask: no
    assert hither.knn(base, [0.0], 2, "l2", allow=[])[0].tolist() == [-1, -1]
    with pytest.raises(hither.InvalidError, match=r"allow\[1\] is -1"):
        hither.knn(base, [0.0], 3, allow=[0, -1])
    with pytest.raises(hither.InvalidError, match="allow is float64"):
        hither.knn(base, [0.0], 3, allow=[0.5])


def test_knn_shapes() -> None:
    base = np.eye(3, dtype=np.float32)
    labels, distances = hither.knn(base, base[0], 5)
    assert (labels.shape, labels.dtype, distances.shape, distances.dtype) == ((5,), np.int64, (5,), np.float32)
    assert labels.tolist() == [0, 1, 2, -1, -1]
    assert distances.tolist() == [0, 1, 1, np.inf, np.inf]
    assert hither.knn(base, base[:2], 2)[0].shape == (2, 2)
    assert hither.knn(base, np.empty((0, 3), np.float32), 2)[0].shape == (0, 2)
    assert hither.knn(np.empty((0, 3), np.float32), base, 2)[0].tolist() == [[-1, -1]] * 3


def test_knn_bad_input() -> None:
    base = np.eye(3, dtype=np.float32)
    bad = base.copy()
    bad[2, 1] = np.nan
    with pytest.raises(hither.InvalidError, match="k is 0"):
        hither.knn(base, base, 0)
    with pytest.raises(hither.InvalidError, match="k is -1"):
        hither.knn(base, base, -1)
    with pytest.raises(hither.InvalidError, match="k is a float"):
        hither.knn(base, base, 1.0)  # type: ignore[arg-type]
    with pytest.raises(hither.TooLargeError):
        hither.knn(base, base, 65537)
    with pytest.raises(hither.TooLargeError):
        hither.knn(base, base, 2**40)
    with pytest.raises(hither.DimensionError, match="queries have 2 dimensions, base has 3"):
        hither.knn(base, base[:, :2])
    with pytest.raises(hither.NotFiniteError, match=r"row 2.*column 1"):
        hither.knn(bad, base)
    with pytest.raises(hither.NotFiniteError, match=r"row 2.*column 1"):
        hither.knn(base, bad)
    with pytest.raises(hither.NotFiniteError, match="slot 0: its distance is beyond f64"):
        hither.knn(np.full((1, 3), 1e300), base)  # no float32 holds it
    with pytest.raises(hither.InvalidError, match="metric 'euclid' is unknown"):
        hither.knn(base, base, metric="euclid")
    with pytest.raises(hither.UnsupportedError):
        hither.knn(base, base, metric="hamming")
    with pytest.raises(hither.DimensionError, match="two dimensions"):
        hither.knn(base, base.reshape(1, 3, 3))
    with pytest.raises(hither.InvalidError, match="array of <U1"):
        hither.knn(np.array([["a"]]), base)
    with pytest.raises(hither.DimensionError):
        hither.knn([[1.0], [1.0, 2.0]], base)
    with pytest.raises(hither.InvalidError, match="threads is 0"):
        hither.knn(base, base, threads=0)
