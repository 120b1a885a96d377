"""Importers, against files that the real packages write; what a package that is not installed would read is skipped."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import hither
import numpy as np
import pytest
from hither.importers import load, main

N, DIM = 300, 32


@pytest.fixture
def rows() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(7).standard_normal((N, DIM), dtype=np.float32)


def loaded(kind: str, path: Path, **options: Any) -> hither.Collection:
    db = hither.connect(":memory:")
    assert load(db, "rows", kind, path, **options) == N
    assert len(db["rows"]) == N
    return db["rows"]


def nearest(collection: hither.Collection, query: np.ndarray[Any, Any]) -> Any:
    return collection.search(query, k=1)[0].id


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat", "HNSW16,Flat", "IDMap,Flat", "SQ8"])
@pytest.mark.parametrize("metric", ["dot", "l2"])
def test_faiss(tmp_path: Path, rows: Any, factory: str, metric: str) -> None:
    faiss = pytest.importorskip("faiss")
    index = faiss.index_factory(DIM, factory, faiss.METRIC_INNER_PRODUCT if metric == "dot" else faiss.METRIC_L2)
    index.train(rows)
    if factory.startswith("IDMap"):
        index.add_with_ids(rows, np.arange(N) + 1000)
    else:
        index.add(rows)
    faiss.write_index(index, str(tmp_path / "index.faiss"))
    collection = loaded("faiss", tmp_path / "index.faiss")
    base = 1000 if factory.startswith("IDMap") else 0
    assert collection.metric == metric
    got = collection.get([base + 5], include=["vector"]).vectors[0]
    np.testing.assert_allclose(got, rows[5], atol=0.05 if factory == "SQ8" else 0)
    if metric == "l2":
        assert nearest(collection, rows[9]) == base + 9


@pytest.mark.parametrize("space", ["cosine", "dot", "l2"])
def test_hnswlib(tmp_path: Path, rows: Any, space: str) -> None:
    hnswlib = pytest.importorskip("hnswlib")
    index = hnswlib.Index(space="ip" if space == "dot" else space, dim=DIM)
    index.init_index(N)
    index.add_items(rows, np.arange(N) + 7)
    index.save_index(str(tmp_path / "index.bin"))
    collection = loaded("hnswlib", tmp_path / "index.bin", table=space)
    assert collection.metric == space
    if space != "dot":
        assert nearest(collection, rows[3]) == 10
    with pytest.raises(hither.InvalidError, match="does not say its space"):
        load(hither.connect(":memory:"), "rows", "hnswlib", tmp_path / "index.bin")


def test_nseekfs(tmp_path: Path, rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nseekfs = pytest.importorskip("nseekfs")
    monkeypatch.chdir(tmp_path)
    index = nseekfs.from_embeddings(rows)
    collection = loaded("nseekfs", tmp_path / Path(index.index_path).name)
    assert nearest(collection, rows[11]) == 11


def test_srvdb(tmp_path: Path) -> None:
    srvdb = pytest.importorskip("srvdb")
    rows = np.random.default_rng(8).standard_normal((N + 2, 128), dtype=np.float32)
    rows[1] = 2 * rows[0]  # of one direction: SrvDB cannot tell them apart, and neither can a cosine
    old = srvdb.Database(str(tmp_path / "srv"), dimension=128)
    ids = [f"row {i}" for i in range(N + 2)]
    old.add(ids=ids, embeddings=rows.tolist(), metadatas=[f'{{"n": {i}}}' for i in range(N + 2)])
    old.delete([ids[20]])
    old.delete([ids[21]])
    old.persist()
    del old
    collection = loaded("srvdb", tmp_path / "srv")
    assert nearest(collection, rows[30]) == "row 30"
    assert collection["row 30"].metadata == {"n": 30}
    assert "row 20" not in collection


def test_chroma(tmp_path: Path, rows: Any) -> None:
    chromadb = pytest.importorskip("chromadb")
    client = chromadb.PersistentClient(
        str(tmp_path / "chroma"), settings=chromadb.config.Settings(anonymized_telemetry=False)
    )
    old = client.create_collection("old", metadata={"hnsw:space": "cosine"}, embedding_function=None)
    ids = [f"row {i}" for i in range(N)]
    old.add(ids=ids, embeddings=rows, metadatas=[{"n": i} for i in range(N)], documents=[f"text {i}" for i in range(N)])
    collection = loaded("chroma", tmp_path / "chroma")
    assert collection.metric == "cosine"
    hit = collection.search(rows[4], k=1)[0]
    assert (hit.id, hit.metadata, hit.document) == ("row 4", {"n": 4}, "text 4")


def test_lancedb_and_parquet(tmp_path: Path, rows: Any) -> None:
    lancedb = pytest.importorskip("lancedb")
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table(
        {
            "vector": pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(rows.ravel()), DIM),
            "text": [f"text {i}" for i in range(N)],
            "n": list(range(N)),
        }
    )
    lancedb.connect(str(tmp_path / "lance")).create_table("old", table)
    collection = loaded("lancedb", tmp_path / "lance")
    hit = collection.search(rows[4], k=1)[0]
    assert (hit.id, hit.metadata, hit.document) == (4, {"n": 4}, "text 4")
    with pytest.raises(hither.InvalidError, match="name one with table="):
        load(hither.connect(":memory:"), "rows", "lancedb", tmp_path / "lance", table="new")
    collection.to_parquet(tmp_path / "rows.parquet")
    assert nearest(loaded("parquet", tmp_path / "rows.parquet"), rows[8]) == 8


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    db = hither.connect(":memory:")
    with pytest.raises(hither.InvalidError, match="nothing here reads 'pinecone'"):
        load(db, "rows", "pinecone", tmp_path)
    with pytest.raises(hither.NotFoundError, match="is not there"):
        load(db, "rows", "nseekfs", tmp_path / "none.bin")
    (tmp_path / "short.bin").write_bytes(b"12345")
    with pytest.raises(hither.CorruptError, match="too short"):
        load(db, "rows", "nseekfs", tmp_path / "short.bin")
    (tmp_path / "cut.bin").write_bytes(struct.pack("<3I", 4, 3, 0) + bytes(40))
    with pytest.raises(hither.CorruptError, match="would be another size"):
        load(db, "rows", "nseekfs", tmp_path / "cut.bin")
    assert list(db) == []


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.bin").write_bytes(struct.pack("<3I", 4, 3, 0) + np.eye(3, 4, dtype=np.float32).tobytes())
    assert main(["nseekfs", str(tmp_path / "rows.bin"), str(tmp_path / "db.hither"), "rows"]) == 0
    assert capsys.readouterr().out == "3 rows in rows\n"
    with hither.connect(tmp_path / "db.hither") as db:
        assert len(db["rows"]) == 3


def test_nothing_of_others_is_imported_early() -> None:
    code = "import sys, hither.importers; print(sorted({'faiss', 'chromadb', 'lancedb', 'hnswlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
