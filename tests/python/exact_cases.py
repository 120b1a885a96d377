"""Random cases of knn held against D, bit for bit; run by test_exact.py once for each SIMD level.

exact_cases.py CASES SEED     prints the level in use and a digest of all answers; fails on the first difference
"""

from __future__ import annotations

import hashlib
import sys

import hither
import numpy as np
from reference import brute

METRICS = ("cosine", "dot", "l2", "l1")


def rows(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """Vectors of one of the kinds that make trouble: plain, clustered, repeated, with zeros, tiny or huge."""
    kind = rng.integers(7)
    out = rng.normal(size=(n, dim)).astype(np.float32)
    if kind == 1 and n:
        out = (out[rng.integers(n, size=n)] + out * np.float32(1e-3)).astype(np.float32)
    elif kind == 2 and n:
        out = out[rng.integers(max(1, n // 4), size=n)]  # many rows equal: ties by row number
    elif kind == 3:
        out[rng.random(n) < 0.3] = 0
    elif kind == 4:
        out *= np.float32(1e-38)  # products are denormal
    elif kind == 5:
        out *= (10.0 ** rng.uniform(-15, 15, size=(n, 1))).astype(np.float32)
    elif kind == 6:
        out = np.sign(out) * np.float32(0.25)
    return out


def main() -> None:
    cases, seed = int(sys.argv[1]), int(sys.argv[2])
    rng = np.random.default_rng(seed)
    digest = hashlib.sha256()
    for case in range(cases):
        n = int(rng.integers(0, 400))
        dim = int(rng.choice([1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 128, 257]))
        k = int(rng.choice([1, 2, 10, 50, 500]))
        metric = METRICS[case % 4]
        base = rows(rng, n, dim)
        queries = rows(rng, int(rng.integers(1, 5)), dim)
        if n and rng.random() < 0.3:
            queries[0] = base[rng.integers(n)]
        allow = rng.random(n) < 0.4 if rng.random() < 0.3 else None
        threads = int(rng.integers(1, 4))
        labels, distances = hither.knn(base, queries, k, metric, allow=allow, threads=threads)
        for j, query in enumerate(queries):
            wanted, exact = brute(metric, query, base, k, allow)
            if not np.array_equal(labels[j], wanted) or distances[j].tobytes() != exact.tobytes():
                sys.exit(
                    f"case {case} of seed {seed}: {n} x {dim}, k {k}, {metric}, query {j}, threads {threads}\n"
                    f"labels    {labels[j][:20]}\nwanted    {wanted[:20]}\n"
                    f"distances {distances[j][:20]}\nwanted    {exact[:20]}"
                )
        digest.update(labels.tobytes() + distances.tobytes())
    print(hither.simd(), digest.hexdigest())


if __name__ == "__main__":
    main()
