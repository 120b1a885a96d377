"""Rows out of what other engines wrote, into a collection: one function, `load`, and ``python -m hither.importers``.

A reader yields batches of (ids, vectors, metadata, documents) and says which metric the source used. The files of
NSeekFS are read as they are; for the others the package that wrote them does the reading, so that its formats, past
and coming, are its own affair. Nothing here is imported before it is needed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .db import Database, connect
from .errors import CorruptError, InvalidError, NotFoundError, UnsupportedError

BATCH = 4096
Batch = tuple[Any, Any, Any, Any]


@dataclass
class Source:
    """What a reader found: the metric (None where the source does not say), and the batches, read as they are taken."""

    metric: str | None
    batches: Iterator[Batch]
    notes: list[str] = field(default_factory=list)


def _package(name: str, kind: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        wanted = {"faiss": "faiss-cpu"}.get(name, name)
        raise UnsupportedError(f"reading what {kind} wrote takes its package: pip install {wanted}") from error


def _there(path: str | os.PathLike[str]) -> str:
    if not Path(path).exists():
        raise NotFoundError(f"{os.fspath(path)} is not there")
    return os.fspath(path)


def _faiss(path: str, _: str | None) -> Source:
    faiss = _package("faiss", "FAISS")
    owner = faiss.read_index(_there(path))  # what is downcast stands in it
    index = faiss.downcast_index(owner)
    ids = None
    if isinstance(index, (faiss.IndexIDMap, faiss.IndexIDMap2)):
        ids = faiss.vector_to_array(index.id_map)
        index = faiss.downcast_index(index.index)
    metrics = {faiss.METRIC_INNER_PRODUCT: "dot", faiss.METRIC_L2: "l2", faiss.METRIC_L1: "l1"}
    if index.metric_type not in metrics:
        raise UnsupportedError(f"{path}: hither has no metric like number {index.metric_type} of FAISS")
    lists = isinstance(index, faiss.IndexIVF)
    if lists:
        index.make_direct_map()
    whole = (faiss.IndexFlat, faiss.IndexHNSWFlat, faiss.IndexIVFFlat)
    notes = [] if isinstance(index, whole) else ["its vectors were compressed: they are what FAISS makes of its codes"]

    def batches(_owner: Any = owner) -> Iterator[Batch]:
        for first in range(0, index.ntotal, BATCH):
            count = min(BATCH, index.ntotal - first)
            labels = np.arange(first, first + count) if ids is None else ids[first : first + count]
            yield labels, index.reconstruct_n(first, count), None, None

    return Source(metrics[index.metric_type], batches(), notes)


def _hnswlib(path: str, table: str | None) -> Source:
    hnswlib = _package("hnswlib", "hnswlib")
    spaces = {"cosine": "cosine", "dot": "ip", "l2": "l2"}
    if table not in spaces:
        raise InvalidError("a file of hnswlib does not say its space: give table='cosine', 'dot' or 'l2'")
    # Its header: places of things in an element, in bytes; the vector stands between its links and its label.
    with open(_there(path), "rb") as file:
        header = file.read(6 * 8)
    if len(header) < 48:
        raise CorruptError(f"{path} is too short for a file of hnswlib")
    _, _, _, _, label, data = struct.unpack("<6Q", header)
    if not 4 <= label - data <= 4 * 65535 or (label - data) % 4:
        raise CorruptError(f"{path} is not a file of hnswlib: its vectors would be {label - data} bytes long")
    index = hnswlib.Index(space=spaces[table], dim=(label - data) // 4)
    index.load_index(path)
    ids = sorted(index.get_ids_list())

    def batches() -> Iterator[Batch]:
        for first in range(0, len(ids), BATCH):
            part = ids[first : first + BATCH]
            yield np.array(part, np.int64), np.asarray(index.get_items(part), np.float32), None, None

    notes = ["hnswlib keeps unit vectors under cosine: so do these rows"] if table == "cosine" else []
    return Source(table, batches(), notes)


def _nseekfs(path: str, _: str | None) -> Source:
    with open(_there(path), "rb") as file:
        header = file.read(12)
    if len(header) < 12:
        raise CorruptError(f"{path} is too short for a file of NSeekFS")
    dims, rows, _unused = struct.unpack("<3I", header)
    if dims == 0 or os.path.getsize(path) != 12 + 4 * dims * rows:
        raise CorruptError(f"{path} is not a file of NSeekFS: {rows} rows of {dims} numbers would be another size")
    vectors = np.memmap(path, np.float32, "r", offset=12, shape=(rows, dims))

    def batches() -> Iterator[Batch]:
        for first in range(0, rows, BATCH):
            part = vectors[first : first + BATCH]
            yield np.arange(first, first + len(part)), part, None, None

    return Source("cosine", batches())


def _srvdb(path: str, _: str | None) -> Source:
    srvdb = _package("srvdb", "SrvDB")
    # It hands out ids and metadata, and finds rows, but gives no vector back. Those stand in the slots of vectors.bin,
    # those of deleted rows among them. Which slot is whose, a search with the slot's own vector says.
    file = Path(_there(path)) / "vectors.bin"
    with open(_there(file), "rb") as stream:
        header = stream.read(24)
    if len(header) < 24 or header[:4] != b"BDvS":
        raise CorruptError(f"{file} is not SrvDB's")
    dims, slots = struct.unpack("<HQ", header[6:16])
    vectors = np.memmap(file, np.float32, "r", offset=24)[: slots * dims].reshape(-1, dims)
    found = srvdb.Database(os.fspath(path), dimension=dims)
    left = set(found.get_all_ids())

    def batches() -> Iterator[Batch]:
        for first in range(0, len(vectors), BATCH):
            ids, rows, texts = [], [], []
            for row in vectors[first : first + BATCH]:
                hits = found.search(query=row.tolist(), k=10) if row.any() else []
                id = next((id for id, score in hits if id in left and score > 1 - 1e-5), None)
                if id is not None:
                    left.remove(id)
                    ids.append(id)
                    rows.append(row)
                    texts.append(found.get(id))
            if ids:
                yield ids, np.array(rows), [_without_id(text) for text in texts], None
        if left:
            raise CorruptError(f"{file}: no vector was found for {len(left)} ids, {min(left)!r} among them")

    return Source("cosine", batches())


def _without_id(text: str | None) -> dict[str, Any] | None:
    import json

    if not text:
        return None
    read: dict[str, Any] = json.loads(text)
    read.pop("__id__", None)
    return read or None


def _chroma(path: str, table: str | None) -> Source:
    chromadb = _package("chromadb", "Chroma")
    settings = chromadb.config.Settings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(_there(path), settings=settings)
    names = [getattr(c, "name", c) for c in client.list_collections()]
    name = table or (names[0] if len(names) == 1 else None)
    if name not in names:
        raise InvalidError(f"{path} holds the collections {names}: name one with table=")
    rows = client.get_collection(name, embedding_function=None)
    space = (rows.metadata or {}).get("hnsw:space")
    if space is None:
        with contextlib.suppress(AttributeError, KeyError, TypeError):
            space = rows.configuration["hnsw"]["space"]
    metric = {"cosine": "cosine", "ip": "dot", "l2": "l2", None: "l2"}[space]

    def batches() -> Iterator[Batch]:
        for first in range(0, rows.count(), BATCH):
            got = rows.get(limit=BATCH, offset=first, include=["embeddings", "metadatas", "documents"])
            yield got["ids"], np.asarray(got["embeddings"], np.float32), got["metadatas"], got["documents"]

    return Source(metric, batches())


_READERS: dict[str, Callable[[str, str | None], Source]] = {
    "chroma": _chroma,
    "faiss": _faiss,
    "hnswlib": _hnswlib,
    "nseekfs": _nseekfs,
    "srvdb": _srvdb,
}
KINDS = (*sorted(_READERS), "lancedb", "parquet")


def load(
    db: Database,
    name: str,
    kind: str,
    path: str | os.PathLike[str],
    *,
    table: str | None = None,
    metric: str | None = None,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write what another engine stored at `path` into the collection `name`, which is made if it is not there.

    Parameters
    ----------
    kind : {"chroma", "faiss", "hnswlib", "lancedb", "nseekfs", "parquet", "srvdb"}
        Who wrote it. All but "nseekfs" take that engine's package, and "parquet" takes pyarrow.
    path : path
        A folder of Chroma, LanceDB or SrvDB; a file of the others.
    table : str, optional
        Which table of LanceDB or collection of Chroma, where there are several; which space hnswlib's file was made
        for ("cosine", "dot", "l2"), which it does not say itself.
    metric : str, optional
        Another than the source's own.
    progress : callable, optional
        Called with the number of rows written so far, after each batch.

    Returns
    -------
    int
        Rows written. Each batch is written as a whole; after an error those before it stay.

    Examples
    --------
    >>> import struct, tempfile, hither, numpy as np
    >>> from hither.importers import load
    >>> rows = np.eye(3, 4, dtype=np.float32)
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(struct.pack("<3I", 4, 3, 0) + rows.tobytes())
    ...     file.flush()
    ...     with hither.connect(":memory:") as db:
    ...         written = load(db, "rows", "nseekfs", file.name)
    ...         nearest = db["rows"].search(rows[1], k=1)[0].id
    >>> written, nearest
    (3, 1)
    """
    if kind in ("lancedb", "parquet"):
        return _columns(db, name, kind, os.fspath(path), table, metric)
    if kind not in _READERS:
        raise InvalidError(f"nothing here reads {kind!r}: there are {', '.join(KINDS)}")
    source = _READERS[kind](os.fspath(path), table)
    collection = None
    written = 0
    for ids, vectors, metadata, documents in source.batches:
        vectors = np.ascontiguousarray(vectors, np.float32)
        if collection is None:
            collection = db.collection(name, dim=vectors.shape[1], metric=metric or source.metric or "cosine")
        collection.upsert(ids, vectors, metadata=metadata, documents=documents)
        written += len(vectors)
        if progress is not None:
            progress(written)
    return written


def _columns(db: Database, name: str, kind: str, path: str, table: str | None, metric: str | None) -> int:
    if kind == "parquet":
        return db.import_parquet(name, _there(path), metric=metric)
    lancedb = _package("lancedb", "LanceDB")
    opened = lancedb.connect(_there(path))
    listed = opened.list_tables() if hasattr(opened, "list_tables") else opened.table_names()
    names = list(getattr(listed, "tables", listed))
    chosen = table or (names[0] if len(names) == 1 else None)
    if chosen not in names:
        raise InvalidError(f"{path} holds the tables {names}: name one with table=")
    rows = opened.open_table(chosen).to_arrow()
    if "id" not in rows.column_names:
        import pyarrow

        rows = rows.append_column("id", pyarrow.array(np.arange(rows.num_rows)))
    document = next((column for column in ("document", "text") if column in rows.column_names), None)
    return db.import_arrow(name, rows, metric=metric or "l2", document=document)


def main(arguments: list[str] | None = None) -> int:
    """``python -m hither.importers KIND PATH DB NAME``."""
    parser = argparse.ArgumentParser(
        prog="python -m hither.importers", description="Rows of other engines into hither."
    )
    parser.add_argument("kind", choices=KINDS, help="who wrote it")
    parser.add_argument("path", help="its file or folder")
    parser.add_argument("db", help="the database, made if it is not there")
    parser.add_argument("name", help="the collection, made if it is not there")
    parser.add_argument("--table", help="which table or collection of it; the space of hnswlib's file")
    parser.add_argument("--metric", choices=["cosine", "dot", "l2", "l1"], help="another than its own")
    given = parser.parse_args(arguments)

    def show(rows: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{rows:,} rows", end="", file=sys.stderr, flush=True)

    with connect(given.db) as db:
        rows = load(db, given.name, given.kind, given.path, table=given.table, metric=given.metric, progress=show)
    print(f"{rows} rows in {given.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
