"""Writes tests/data/format-N*.tar.gz: what this version of hither writes, for the tests of all later ones to open.

format-N has a bit of everything, format-N-fields vector fields. Run it once when a format has changed (docs/format.md
has a new number, or something new in it), and commit the files; samples that are there are never written again. The
contents are the same at each run, the bytes need not be.

    .venv/bin/python tools/make_sample.py [FOLDER]
"""

import io
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import hither
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ROWS = 60


def vectors(dim: int, rows: int = ROWS) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """Numbers that a test can make again without a generator of random ones."""
    counted = np.arange(rows * dim, dtype=np.uint64)
    return ((counted * 2654435761 % 1000).astype(np.float32) / 500 - 1).reshape(rows, dim)


def fill(db: hither.Database) -> None:
    """Ids of both kinds, every part of a row present and missing, rows replaced and deleted, two metrics."""
    c = db.collection("numbers", dim=8, metric="l2")
    metadata = [None if n % 3 == 0 else {"n": n, "even": n % 2 == 0, "tags": ["a", "b"][: n % 3]} for n in range(ROWS)]
    documents = [None if n % 4 == 0 else f"row {n} é" for n in range(ROWS)]
    c.add(list(range(ROWS)), vectors(8), metadata=metadata, documents=documents)
    c.upsert([7], [[7.0] * 8], metadata=[{"replaced": True}])
    c.delete([10, 11, 12])
    texts = db.collection("texts", embedder=hither.Embedder())
    texts.add(["a/1", "ü", "c"], documents=["a hawk hunts by day", "owls hunt at night", "the sea is deep"])
    ending = db.collection("ending", dim=2)
    ending.set_ttl(1000)
    ending.add([1, 2], [[0, 1], [1, 0]], metadata=[{"_expires": 1000}, {"_expires": 99999999999}])
    compacted = db.collection("compacted", dim=4, metric="dot")
    compacted.add([f"id {n}" for n in range(ROWS)], vectors(4))
    compacted.delete([f"id {n}" for n in range(ROWS // 2)])
    db.compact()


def fill_fields(db: hither.Database) -> None:
    """Vector fields of each kind, full, with room left and with nothing; rows updated, deleted and compacted."""
    fields = {
        "title": hither.Field(5, metric="l1"),
        "words": hither.Field(3, kind="multi", most=4),
        "terms": hither.Field(kind="sparse", most=6),
        "nothing": hither.Field(7),
    }
    numbers = vectors(12)
    title = [None if n % 3 == 0 else numbers[n, :5] for n in range(ROWS)]
    words = [None if n % 4 == 0 else numbers[n, : 3 * (n % 5)].reshape(-1, 3) for n in range(ROWS)]
    terms = [None if n % 5 == 0 else {2**32 - 1 - n * i: 1 + i / 4 for i in range(n % 7)} for n in range(ROWS)]
    for name, compact in (("papers", False), ("compacted", True)):
        c = db.collection(name, dim=2, metric="l2", fields=fields)
        c.add(list(range(ROWS)), vectors(2), fields={"title": title, "words": words, "terms": terms})
        c.update([9, 10], fields={"title": [[1, 2, 3, 4, 5], None], "terms": [{7: 0.5}, {}]})
        c.delete([20, 21, 22])
        if compact:
            c.compact()


def write_fields(folder: Path) -> None:
    with hither.connect(folder / "rows.hither") as db:
        fill_fields(db)
        db.pack(folder / "rows.pack")


def write(folder: Path) -> None:
    with hither.connect(folder / "rows.hither") as db:
        fill(db)
        db.pack(folder / "rows.pack")
    with hither.Index(8, metric="l2") as index:
        index.add(vectors(8))
        index.remove([3])
        index.save(folder / "rows.index")
    window = hither.Window(capacity=50)
    window.push([f"GET /item/{n} 200" for n in range(40)] + ["disk failure on sda"])
    window.save(folder / "lines.window")


def nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def make(out: Path, what: str, write: Callable[[Path], None]) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(folder)
        with hither.connect(folder / "rows.hither", readonly=True) as db:
            number = db.info()["format"]
        target = out / f"format-{number}{what}.tar.gz"
        if target.exists():
            print(f"{target} is there already, and samples are never replaced", file=sys.stderr)
            return False
        out.mkdir(exist_ok=True)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for path in sorted(folder.rglob("*")):
                archive.add(path, path.relative_to(folder), recursive=False, filter=nobody)
        target.write_bytes(packed.getvalue())
        print(f"{target}: {len(packed.getvalue()):,} bytes")
    return True


def main(out: Path) -> int:
    made = [make(out, what, how) for what, how in (("", write), ("-fields", write_fields))]
    return 0 if any(made) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "data"))
