"""A document store for Haystack, over one collection, and its retriever. Needs haystack-ai.

A document is a row: its content is the row's document, its embedding the row's vector, and the metadata holds ``id``,
``meta``, whether there is an embedding at all (rows have a vector each; without one it is zeros, and no search finds
them), and what else a document may have.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from haystack import component, default_from_dict, default_to_dict
from haystack.dataclasses import ByteStream, Document, SparseEmbedding
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy

from ..aio import Collection as AioCollection
from ..collection import Collection
from ..errors import ExistsError
from ..hits import Hit, Hits
from ._haystack_filters import field_path, where_of
from ._shelf import Shelf

_PARTS = ("vector", "metadata", "document")
Columns = tuple[list[str], np.ndarray[Any, np.dtype[np.float64]], list[dict[str, Any]], list[str | None]]


class HitherDocumentStore:
    """Haystack's documents in a hither collection: durable at each write, filtered inside the engine.

    Parameters
    ----------
    path : path
        The database folder, or ":memory:".
    collection : str
    embedding_dim : int
        Of the embeddings; documents without one are welcome.
    metric : {"cosine", "dot", "l2", "l1"}
    exact_embeddings : bool
        Embeddings come back as the very doubles that were written, for 11 bytes more a number. False: as the float32
        that are searched.

    Filters are Haystack's. Where a field holds a list, a condition holds if it does for some element of it. Times are
    compared as their ISO 8601 texts, so keep them in one time zone.

    Examples
    --------
    >>> from haystack.dataclasses import Document
    >>> from hither.integrations.haystack import HitherDocumentStore
    >>> store = HitherDocumentStore(embedding_dim=2)
    >>> store.write_documents([Document(id="a", content="one", meta={"n": 1}, embedding=[1.0, 0.0]), Document(id="b")])
    2
    >>> [d.id for d in store.filter_documents({"field": "meta.n", "operator": ">=", "value": 1})]
    ['a']
    >>> [(d.id, d.score) for d in store.embedding_retrieval([2.0, 0.0])]
    [('a', 1.0)]
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = ":memory:",
        *,
        collection: str = "documents",
        embedding_dim: int = 768,
        metric: str = "cosine",
        exact_embeddings: bool = False,
    ) -> None:
        self._init = {
            "path": os.fspath(path),
            "collection": collection,
            "embedding_dim": embedding_dim,
            "metric": metric,
            "exact_embeddings": exact_embeddings,
        }
        self._exact = exact_embeddings
        self._shelf = Shelf(path, collection, metric)
        self._c: Collection = self._shelf.made(embedding_dim)
        self._aio = AioCollection(self._c)

    def close(self) -> None:
        """Close the database."""
        self._shelf.close()

    def to_dict(self) -> dict[str, Any]:
        """What makes this store again."""
        return default_to_dict(self, **self._init)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> HitherDocumentStore:
        """The store that `to_dict` told of."""
        store: HitherDocumentStore = default_from_dict(cls, data)
        return store

    # ---- writing

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Write documents, all or none. NONE is FAIL. Returns how many were written."""
        ids, vectors, metadata, bodies = self._columns(documents)
        if policy == DuplicatePolicy.SKIP:
            known = set(self._c.get(ids, ()).ids)
            documents = _new_ones(documents, known)
            ids, vectors, metadata, bodies = self._columns(documents)
        write = self._c.upsert if policy == DuplicatePolicy.OVERWRITE else self._c.add
        try:
            write(ids, vectors, metadata=metadata, documents=bodies)
        except ExistsError as error:
            raise DuplicateDocumentError(str(error)) from error
        return len(documents)

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """`write_documents`, to be awaited."""
        ids, vectors, metadata, bodies = self._columns(documents)
        if policy == DuplicatePolicy.SKIP:
            known = set((await self._aio.get(ids, ())).ids)
            documents = _new_ones(documents, known)
            ids, vectors, metadata, bodies = self._columns(documents)
        write = self._aio.upsert if policy == DuplicatePolicy.OVERWRITE else self._aio.add
        try:
            await write(ids, vectors, metadata=metadata, documents=bodies)
        except ExistsError as error:
            raise DuplicateDocumentError(str(error)) from error
        return len(documents)

    def _columns(self, documents: list[Document]) -> Columns:
        if not isinstance(documents, list) or not all(isinstance(document, Document) for document in documents):
            raise ValueError("write_documents takes a list of Documents")
        vectors = np.zeros((len(documents), self._c.dim), np.float64)
        metadata: list[dict[str, Any]] = []
        for row, document in enumerate(documents):
            given: dict[str, Any] = {
                "id": document.id,
                "meta": document.meta,
                "embedded": document.embedding is not None,
            }
            if document.embedding is not None:
                if len(document.embedding) != self._c.dim:
                    raise ValueError(
                        f"document {document.id!r} has an embedding of {len(document.embedding)} numbers, "
                        f"the store has embedding_dim={self._c.dim}"
                    )
                vectors[row] = document.embedding
                if self._exact:
                    given["embedding"] = base64.b64encode(vectors[row].astype("<f8").tobytes()).decode()
            if document.blob is not None:
                blob = document.blob
                data = base64.b64encode(blob.data).decode()
                given["blob"] = {"data": data, "meta": blob.meta, "mime_type": blob.mime_type}
            if document.sparse_embedding is not None:
                given["sparse_embedding"] = document.sparse_embedding.to_dict()
            metadata.append(given)
        return [document.id for document in documents], vectors, metadata, [d.content for d in documents]

    def delete_documents(self, document_ids: list[str]) -> None:
        """Delete by id; unknown ids are passed over."""
        self._c.delete(document_ids)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        """`delete_documents`, to be awaited."""
        await self._aio.delete(document_ids)

    def delete_all_documents(self, recreate_collection: bool = False) -> None:
        """Delete every document, or with `recreate_collection` the collection itself, which is made again."""
        if recreate_collection:
            self._c = self._shelf.remade(self._c.dim)
            self._aio = AioCollection(self._c)
        else:
            self._c.delete(where={"id": {"$exists": True}})

    async def delete_all_documents_async(self, recreate_collection: bool = False) -> None:
        """`delete_all_documents`, to be awaited."""
        await asyncio.to_thread(self.delete_all_documents, recreate_collection)

    def delete_by_filter(self, filters: dict[str, Any]) -> int:
        """Delete what matches. Returns how many there were."""
        return self._c.delete(where=_not_all(filters))

    async def delete_by_filter_async(self, filters: dict[str, Any]) -> int:
        """`delete_by_filter`, to be awaited."""
        return await self._aio.delete(where=_not_all(filters))

    def update_by_filter(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Lay `meta` over that of the documents that match. Returns how many there were."""
        rows = [(hit.id, hit.metadata["meta"] | meta) for hit in self._c.scan(where=_not_all(filters))]
        return self._c.update([id for id, _ in rows], metadata=[{"meta": one} for _, one in rows])

    async def update_by_filter_async(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """`update_by_filter`, to be awaited."""
        rows = [(hit.id, hit.metadata["meta"] | meta) async for hit in self._aio.scan(where=_not_all(filters))]
        return await self._aio.update([id for id, _ in rows], metadata=[{"meta": one} for _, one in rows])

    # ---- reading

    def count_documents(self) -> int:
        """How many documents there are."""
        return len(self._c)

    async def count_documents_async(self) -> int:
        """`count_documents`, to be awaited."""
        return await self._aio.count()

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """The documents that match, in the order they were written."""
        return [_document(hit) for hit in self._c.scan(where=where_of(filters), include=_PARTS)]

    async def filter_documents_async(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """`filter_documents`, to be awaited."""
        return [_document(hit) async for hit in self._aio.scan(where=where_of(filters), include=_PARTS)]

    def embedding_retrieval(
        self, query_embedding: list[float], *, top_k: int = 10, filters: dict[str, Any] | None = None
    ) -> list[Document]:
        """The documents with the nearest embeddings. Scores: similarity, or of l2 and l1 minus the distance."""
        return _scored(self._c.search(query_embedding, top_k, where=_embedded(filters), include=_PARTS))

    async def embedding_retrieval_async(
        self, query_embedding: list[float], *, top_k: int = 10, filters: dict[str, Any] | None = None
    ) -> list[Document]:
        """`embedding_retrieval`, to be awaited."""
        return _scored(await self._aio.search(query_embedding, top_k, where=_embedded(filters), include=_PARTS))

    def keyword_retrieval(
        self, query: str, *, top_k: int = 10, filters: dict[str, Any] | None = None
    ) -> list[Document]:
        """The documents that match words best (BM25): words, "phrases", begin*, +must, -not."""
        return _scored(self._c.search(query, top_k, mode="keyword", where=where_of(filters), include=_PARTS))

    async def keyword_retrieval_async(
        self, query: str, *, top_k: int = 10, filters: dict[str, Any] | None = None
    ) -> list[Document]:
        """`keyword_retrieval`, to be awaited."""
        found = await self._aio.search(query, top_k, mode="keyword", where=where_of(filters), include=_PARTS)
        return _scored(found)

    # ---- about the metadata

    def count_documents_by_filter(self, filters: dict[str, Any]) -> int:
        """How many documents match."""
        return self._c.count(where=where_of(filters))

    async def count_documents_by_filter_async(self, filters: dict[str, Any]) -> int:
        """`count_documents_by_filter`, to be awaited."""
        return await self._aio.count(where=where_of(filters))

    def count_unique_metadata_by_filter(self, filters: dict[str, Any], metadata_fields: list[str]) -> dict[str, int]:
        """How many different values these fields have in the documents that match."""
        return _unique_counts(self._metas(filters), metadata_fields)

    async def count_unique_metadata_by_filter_async(
        self, filters: dict[str, Any], metadata_fields: list[str]
    ) -> dict[str, int]:
        """`count_unique_metadata_by_filter`, to be awaited."""
        return _unique_counts(await self._metas_async(filters), metadata_fields)

    def get_metadata_fields_info(self) -> dict[str, dict[str, str]]:
        """The fields there are, each with its type: keyword, int, float, boolean, list or object."""
        return _fields_info(self._metas(None))

    async def get_metadata_fields_info_async(self) -> dict[str, dict[str, str]]:
        """`get_metadata_fields_info`, to be awaited."""
        return _fields_info(await self._metas_async(None))

    def get_metadata_field_min_max(self, metadata_field: str) -> dict[str, Any]:
        """The least and the greatest value of a field; None where there is none."""
        return _min_max(self._metas(None), metadata_field)

    async def get_metadata_field_min_max_async(self, metadata_field: str) -> dict[str, Any]:
        """`get_metadata_field_min_max`, to be awaited."""
        return _min_max(await self._metas_async(None), metadata_field)

    def get_metadata_field_unique_values(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: dict[str, Any] | None = None,
    ) -> tuple[list[Any], int]:
        """A page of the different values of a field, in order, and how many there are in all."""
        return _unique_values(self._metas(filters), metadata_field, search_term, from_, size)

    async def get_metadata_field_unique_values_async(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: dict[str, Any] | None = None,
    ) -> tuple[list[Any], int]:
        """`get_metadata_field_unique_values`, to be awaited."""
        return _unique_values(await self._metas_async(filters), metadata_field, search_term, from_, size)

    def _metas(self, filters: dict[str, Any] | None) -> list[dict[str, Any]]:
        return [hit.metadata["meta"] for hit in self._c.scan(where=where_of(filters), include="metadata")]

    async def _metas_async(self, filters: dict[str, Any] | None) -> list[dict[str, Any]]:
        return [hit.metadata["meta"] async for hit in self._aio.scan(where=where_of(filters), include="metadata")]


@component
class HitherEmbeddingRetriever:
    """Retrieves the documents with the embeddings nearest to a query's.

    Parameters
    ----------
    document_store : HitherDocumentStore
    filters : dict, optional
        For runs that bring none of their own.
    top_k : int
    """

    def __init__(
        self, document_store: HitherDocumentStore, filters: dict[str, Any] | None = None, top_k: int = 10
    ) -> None:
        self.document_store = document_store
        self.filters = filters
        self.top_k = top_k

    def to_dict(self) -> dict[str, Any]:
        """What makes this retriever again."""
        store = self.document_store.to_dict()
        return default_to_dict(self, document_store=store, filters=self.filters, top_k=self.top_k)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> HitherEmbeddingRetriever:
        """The retriever that `to_dict` told of."""
        given = data["init_parameters"]
        given["document_store"] = HitherDocumentStore.from_dict(given["document_store"])
        made: HitherEmbeddingRetriever = default_from_dict(cls, data)
        return made

    @component.output_types(documents=list[Document])
    def run(
        self, query_embedding: list[float], filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The documents nearest to `query_embedding`."""
        store = self.document_store
        asked = {"top_k": top_k or self.top_k, "filters": filters or self.filters}
        return {"documents": store.embedding_retrieval(query_embedding, **asked)}  # type: ignore[arg-type]

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query_embedding: list[float], filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """`run`, to be awaited."""
        store = self.document_store
        asked = {"top_k": top_k or self.top_k, "filters": filters or self.filters}
        return {"documents": await store.embedding_retrieval_async(query_embedding, **asked)}  # type: ignore[arg-type]


def _new_ones(documents: list[Document], known: set[str]) -> list[Document]:
    """Those whose id is not known, each id once."""
    return list({document.id: document for document in reversed(documents) if document.id not in known}.values())[::-1]


def _not_all(filters: dict[str, Any]) -> dict[str, Any]:
    where = where_of(filters)
    if where is None:
        raise ValueError("an empty filter matches everything; say delete_all_documents if that is meant")
    return where


def _embedded(filters: dict[str, Any] | None) -> dict[str, Any]:
    where = where_of(filters)
    return {"embedded": True} if where is None else {"$and": [{"embedded": True}, where]}


def _document(hit: Hit, score: float | None = None) -> Document:
    given = hit.metadata
    embedding = blob = sparse = None
    if given["embedded"]:
        text = given.get("embedding")
        row = hit.vector if text is None else np.frombuffer(base64.b64decode(text), "<f8")
        assert row is not None
        embedding = row.tolist()
    if "blob" in given:
        blob = ByteStream(**(given["blob"] | {"data": base64.b64decode(given["blob"]["data"])}))
    if "sparse_embedding" in given:
        sparse = SparseEmbedding.from_dict(given["sparse_embedding"])
    return Document(
        id=given["id"],
        content=hit.document,
        blob=blob,
        meta=given["meta"],
        score=score,
        embedding=embedding,
        sparse_embedding=sparse,
    )


def _scored(hits: Hits) -> list[Document]:
    scores: Any = hits.scores
    if scores is None:
        assert hits.distances is not None
        scores = hits.similarities if hits._metric in ("cosine", "dot") else -hits.distances
    return [_document(hit, float(score)) for hit, score in zip(hits, scores, strict=True)]


def _values(metas: Sequence[dict[str, Any]], field: str) -> list[Any]:
    """The values a field has, without those that are not there."""
    field_path(field)  # refuses what is no field
    found = []
    for meta in metas:
        value: Any = meta
        for key in field.removeprefix("meta.").split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            found.append(value)
    return found


def _unique(values: Sequence[Any]) -> list[Any]:
    """Each value once; 1, 1.0, True and "1" are four."""
    return list({(type(value).__name__, repr(value)): value for value in values}.values())


def _unique_counts(metas: Sequence[dict[str, Any]], fields: Sequence[str]) -> dict[str, int]:
    return {field.removeprefix("meta."): len(_unique(_values(metas, field))) for field in fields}


_KINDS = {bool: "boolean", int: "int", float: "float", str: "keyword", list: "list", dict: "object"}


def _fields_info(metas: Sequence[dict[str, Any]]) -> dict[str, dict[str, str]]:
    kinds: dict[str, set[str]] = {}
    for meta in metas:
        for name, value in meta.items():
            kinds.setdefault(name, set()).update(() if value is None else (_KINDS[type(value)],))
    return {
        name: {"type": "float" if found == {"int", "float"} else found.pop() if len(found) == 1 else "keyword"}
        for name, found in kinds.items()
    }


def _min_max(metas: Sequence[dict[str, Any]], field: str) -> dict[str, Any]:
    values = _values(metas, field)
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    texts = [value for value in values if isinstance(value, str)]
    found: list[Any] = numbers or texts
    return {"min": min(found, default=None), "max": max(found, default=None)}


def _unique_values(
    metas: Sequence[dict[str, Any]], field: str, term: str | None, first: int, size: int
) -> tuple[list[Any], int]:
    found = _unique(_values(metas, field))
    if term is not None:
        found = [value for value in found if term.casefold() in str(value).casefold()]
    found.sort(key=lambda value: (type(value).__name__ if isinstance(value, str) else "", str(value)))
    if all(isinstance(value, (int, float)) for value in found):
        found.sort()
    return found[first : first + size], len(found)
