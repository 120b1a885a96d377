"""Rows four times the memory there is: what a search costs where most of the rows are on a disk.

The parent makes rows, an index file of hither and one of FAISS (OnDiskInvertedLists), then starts itself again for each
engine in a control group whose memory is limited to a quarter of the rows' bytes, the page cache included. There the
files are opened and searched, one query a call, and every query's time and the bytes read from the disk meanwhile are
kept. FAISS gets as many lists as hither chose, and of
rising numbers of lists to look into the first is kept that has the recall which is asked of hither. Where no control
group can be made, it says so and measures nothing.

    .venv/bin/python bench/ann_disk.py [--rows 2000000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measure import machine

DIM, K, QUERIES, WARM = 384, 10, 300, 300
CHUNK = 50_000
Search = Callable[[NDArray[np.float32]], NDArray[Any]]


def some(rng: np.random.Generator, centres: NDArray[np.float32], ways: NDArray[np.float32], count: int) -> Any:
    """Rows as `measure.clustered` makes them."""
    points = centres[rng.integers(len(centres), size=count)].copy()
    points += 0.35 * rng.standard_normal((count, 20), np.float32) @ ways / np.float32(np.sqrt(20)) * 2
    points += np.float32(0.1) * rng.standard_normal((count, DIM), np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def make_rows(folder: Path, rows: int) -> None:
    """rows.npy, queries.npy and the exact answers."""
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((max(1, rows // 100), DIM), np.float32)
    ways = rng.standard_normal((20, DIM), np.float32)
    queries = some(rng, centres, ways, QUERIES + WARM).astype(np.float32)
    out = np.lib.format.open_memmap(folder / "rows.npy", "w+", np.float32, (rows, DIM))
    best = np.full((len(queries), K), -2.0, np.float32)
    labels = np.zeros((len(queries), K), np.int64)
    for at in range(0, rows, CHUNK):
        part = some(rng, centres, ways, min(CHUNK, rows - at)).astype(np.float32)
        out[at : at + len(part)] = part
        near = np.concatenate([best, queries @ part.T], axis=1)
        which = np.concatenate(
            [labels, np.broadcast_to(np.arange(at, at + len(part)), (len(queries), len(part)))], axis=1
        )
        order = np.argpartition(-near, K, axis=1)[:, :K]
        best, labels = np.take_along_axis(near, order, 1), np.take_along_axis(which, order, 1)
    out.flush()
    np.save(folder / "queries.npy", queries)
    np.save(folder / "truth.npy", labels)


def build_hither(folder: Path) -> None:
    import hither

    rows = np.load(folder / "rows.npy", mmap_mode="r")
    with hither.Index(DIM, kind="ivf") as index:  # as many lists as it chooses
        for at in range(0, len(rows), CHUNK):
            index.add(rows[at : at + CHUNK], wait=False)
        index.build()
        (folder / "lists").write_text(str(index.info()["lists"]), encoding="ascii")
        index.save(folder / "rows.hi")


def build_faiss(folder: Path) -> None:
    import faiss

    rows = np.load(folder / "rows.npy", mmap_mode="r")
    lists = int((folder / "lists").read_text(encoding="ascii"))  # as many as hither has
    quantizer = faiss.IndexFlatIP(DIM)
    index = faiss.IndexIVFFlat(quantizer, DIM, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 8
    index.train(np.ascontiguousarray(rows[:: max(1, len(rows) // (lists * 40))]))
    disk = faiss.OnDiskInvertedLists(index.nlist, index.code_size, str(folder / "faiss.lists"))
    index.replace_invlists(disk)
    for at in range(0, len(rows), CHUNK):
        index.add(np.ascontiguousarray(rows[at : at + CHUNK]))
    faiss.write_index(index, str(folder / "faiss.index"))


# ---- in the group


def open_hither(folder: Path, **options: float) -> Search:
    import hither

    index = hither.Index.open(folder / "rows.hi")
    return lambda query: index.search(query, K, **options)[0]  # type: ignore[arg-type]


def open_faiss(folder: Path, probes: int) -> Search:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.read_index(str(folder / "faiss.index"))
    index.nprobe = probes
    return lambda query: np.asarray(index.search(query[None], K)[1][0])


def read_bytes() -> int:
    """That this process had the disk read so far."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


def measure(folder: Path, engine: str, effort: float) -> dict[str, Any]:
    queries, truth = np.load(folder / "queries.npy"), np.load(folder / "truth.npy")
    began, before = time.perf_counter(), read_bytes()
    if engine == "faiss":
        search = open_faiss(folder, int(effort))
    elif effort == 1:
        search = open_hither(folder, recall=1)
    else:
        search = open_hither(folder, recall=effort)
    search(queries[0])
    opened = time.perf_counter() - began
    opened_bytes = read_bytes() - before
    few = 20 if engine == "hither" and effort == 1 else WARM
    for query in queries[:few]:
        search(query)
    times, found, before = [], 0, read_bytes()
    asked = queries[WARM : WARM + (60 if few < WARM else QUERIES)]
    for query, true in zip(asked, truth[WARM:], strict=False):
        start = time.perf_counter()
        labels = search(query)
        times.append(time.perf_counter() - start)
        found += len(set(labels.tolist()) & set(true.tolist()))
    own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return {
        "engine": engine,
        "effort": effort,
        "first answer s": round(opened, 2),
        "MB read by then": round(opened_bytes / 1e6),
        "recall": round(found / (len(asked) * K), 4),
        "P50 us": round(float(np.median(times)) * 1e6),
        "P99 us": round(float(np.quantile(times, 0.99)) * 1e6),
        "kB a query": round((read_bytes() - before) / len(asked) / 1e3, 1),
        "own memory": own.split(":")[1].strip(),
    }


def group_of(limit: int) -> Path | None:
    """A new control group with that much memory; None where there can be none."""
    for root, name in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = root / f"hither-bench-{os.getpid()}"
        try:
            group.mkdir()
            (group / name).write_text(str(limit), encoding="ascii")
        except OSError:
            continue
        return group
    return None


def forget(folder: Path) -> None:
    """Nothing of the files is in memory any more: what a group reads then is counted as its own."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run_in_group(group: Path, folder: Path, engine: str, effort: float) -> float:
    """Prints what was measured; the recall."""
    forget(folder)
    code = f"import os; open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
    code += f"import sys, runpy; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    code += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [
        sys.executable,
        "-c",
        code,
        __file__,
        "--folder",
        str(folder),
        "--measure",
        engine,
        "--effort",
        str(effort),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(
        done.stdout.strip() or f"{engine} {effort}: status {done.returncode}: {done.stderr.strip()[-300:]}", flush=True
    )
    return float(json.loads(done.stdout)["recall"]) if done.stdout.strip() else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--folder", type=Path, default=Path("build/ann-disk"))
    parser.add_argument("--measure")
    parser.add_argument("--effort", type=float, default=0)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.folder, args.measure, args.effort)))
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    steps = (("rows.npy", lambda: make_rows(args.folder, args.rows)), ("rows.hi", lambda: build_hither(args.folder)))
    for name, make in (*steps, ("faiss.index", lambda: build_faiss(args.folder))):
        began = time.perf_counter()
        if not (args.folder / name).exists():
            make()
            print(f"{name}: made in {time.perf_counter() - began:.0f} s", flush=True)
    limit = args.rows * DIM * 4 // 4
    group = group_of(limit)
    if not group:
        print("no control group can be made here: nothing is measured")
        return
    print(f"{machine()}; {args.rows} rows of {DIM} f32, {limit >> 20} MiB of memory", flush=True)
    for recall in (0.95, 0.99, 1):
        run_in_group(group, args.folder, "hither", recall)
    probes = 1
    while run_in_group(group, args.folder, "faiss", probes) < 0.99 and probes < 1024:
        probes = max(probes + 1, probes * 3 // 2)
    group.rmdir()


if __name__ == "__main__":
    main()
