"""A long random life of a database against a naive twin: writes, deletes, filters, searches, space, copies, crashes.

HITHER_SWEEP_OPERATIONS says how many operations (`make torture`: 100,000), HITHER_SWEEP_SEED which. A crash is a copy
of the folder taken while the database is open: what `kill -9` at that moment leaves. The copy must hold what was
acknowledged. (Crashes within an operation are for tests/fault, those that lose a queue for test_relaxed.c.)
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import hither
import numpy as np
from reference import brute

DIM = 40  # enough for codes
OPERATIONS = int(os.environ.get("HITHER_SWEEP_OPERATIONS", "1000"))
SEED = int(os.environ.get("HITHER_SWEEP_SEED", "5"))
IDS = 700
Rows = dict[int, tuple[bytes, dict[str, Any], str | None]]  # id to row, in order of writing


class Life:
    def __init__(self, folder: Path) -> None:
        self.random = random.Random(SEED)
        self.numbers = np.random.default_rng(SEED)
        self.folder = folder
        self.rows: Rows = {}
        self.durability = "full"
        self.open()

    def open(self) -> None:
        self.durability = self.random.choice(["full", "full", "memory", "relaxed"])
        self.db = hither.connect(
            self.folder / "db.hither",
            durability=self.durability,  # type: ignore[arg-type]
            relaxed_ms=self.random.choice([1, 3_600_000]),
        )
        self.c = self.db.collection("c", dim=DIM, metric="l2")

    def some_ids(self, most: int) -> list[int]:
        return self.random.sample(range(IDS), self.random.randint(1, most))

    def settle(self) -> None:
        """What is queued is committed and seen."""
        if self.durability == "relaxed":
            self.db.flush()

    def upsert(self) -> None:
        ids = self.some_ids(self.random.choice([3, 3, 150]))
        vectors = self.numbers.integers(-3, 4, (len(ids), DIM)).astype(np.float32)
        metadata = [{"n": self.random.randrange(9), "tag": self.random.choice("ab")} for _ in ids]
        documents = [self.random.choice([None, f"text {id}"]) for id in ids]
        assert self.c.upsert(ids, vectors, metadata=metadata, documents=documents) == len(ids)
        for id, vector, fields, text in zip(ids, vectors, metadata, documents, strict=True):
            self.rows.pop(id, None)
            self.rows[id] = (vector.tobytes(), fields, text)

    def update(self) -> None:
        self.settle()
        ids = [id for id in self.some_ids(5) if id in self.rows]
        assert self.c.update(ids, metadata=[{"seen": True}] * len(ids)) == len(ids)
        for id in ids:
            vector, fields, text = self.rows.pop(id)
            self.rows[id] = (vector, {**fields, "seen": True}, text)

    def delete(self) -> None:
        self.settle()
        ids = self.some_ids(60)
        assert self.c.delete(ids) == len([id for id in ids if self.rows.pop(id, None)])

    def search(self) -> None:
        self.settle()
        tag = self.random.choice([None, "a", "b"])
        keys = [id for id, row in self.rows.items() if tag is None or row[1]["tag"] == tag]
        base = np.frombuffer(b"".join(self.rows[id][0] for id in keys), np.float32).reshape(-1, DIM)
        query = self.numbers.integers(-3, 4, DIM).astype(np.float32)
        hits = self.c.search(query, k=12, where={"tag": tag} if tag else None)
        labels, distances = brute("l2", query, base, 12)
        found = int((labels >= 0).sum())
        assert hits.ids == [keys[label] for label in labels[:found]]
        assert hits.distances is not None
        assert hits.distances.tobytes() == distances[:found].tobytes()

    def everything(self, c: hither.Collection) -> Rows:
        hits = list(c.scan(include=("vector", "metadata", "document")))
        return {hit.id: (hit.vector.tobytes(), hit.metadata or {}, hit.document) for hit in hits}

    def compare(self) -> None:
        self.settle()
        assert list(self.everything(self.c).items()) == list(self.rows.items())

    def reopen(self) -> None:
        self.db.close()
        self.open()

    def space(self) -> None:
        self.settle()
        self.random.choice([self.db.compact, self.db.compact, self.db.purge])()

    def same(self, path: Path) -> None:
        with hither.connect(path) as db:
            db.verify()
            assert list(self.everything(db["c"]).items()) == list(self.rows.items())

    def copy(self) -> None:
        """A backup has the same rows, and so has one of a pack."""
        self.settle()
        pack, copy = self.folder / "pack", self.folder / "copy.hither"
        if self.random.random() < 0.5:
            self.db.backup(copy)
        else:
            self.db.pack(pack)
            with hither.connect(pack) as packed:
                packed.backup(copy)
            pack.unlink()
        self.same(copy)
        shutil.rmtree(copy)

    def crash(self) -> None:
        copy = self.folder / "copy.hither"
        self.settle()
        shutil.copytree(self.db.info()["path"], copy)
        if self.random.random() < 0.5:
            shutil.rmtree(copy / "cache")
        self.same(copy)
        shutil.rmtree(copy)

    def run(self, operations: int) -> None:
        often = {self.upsert: 40, self.search: 40, self.update: 8, self.delete: 6, self.compare: 2, self.reopen: 2}
        often[self.crash] = often[self.space] = often[self.copy] = 1
        for _ in range(operations):
            self.random.choices(list(often), list(often.values()))[0]()
        self.compare()
        self.db.verify()
        self.db.close()


def test_a_long_life(tmp_path: Path) -> None:
    Life(tmp_path).run(OPERATIONS)
