"""A vector store for LangChain, over one collection. Needs langchain-core."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from ..embed import Embedder
from ..errors import InvalidError
from ..hits import Hit, Hits
from ._shelf import Shelf, Where

Found = list[tuple[Document, float]]


class HitherEmbeddings(Embeddings):
    """hither's own embedder of texts, which needs no model.

    Examples
    --------
    >>> from hither.integrations.langchain import HitherEmbeddings
    >>> len(HitherEmbeddings().embed_query("a bird of prey"))
    384
    """

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._embedder = embedder or Embedder()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text."""
        return [row.tolist() for row in self._embedder(texts)]

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        return self._embedder.queries([text])[0].tolist()


class HitherVectorStore(VectorStore):
    """Documents in a hither collection: durable at each write, filtered by metadata, searched exactly or by an index.

    Parameters
    ----------
    embedding : Embeddings, optional
        What turns texts into vectors. None: `HitherEmbeddings`, which needs no model.
    path : path, Database or Collection
        Where the documents are: a folder, ":memory:", or what is open already and stays yours.
    collection : str
        The collection's name, if `path` is no collection itself.
    metric : {"cosine", "dot", "l2", "l1"}

    Searches take ``filter=``, a dict of conditions on the metadata in hither's own language, e.g.
    ``{"year": {"$gte": 2000}}``, and ``recall=``. Scores are distances: smaller is nearer.

    Examples
    --------
    >>> from hither.integrations.langchain import HitherVectorStore
    >>> store = HitherVectorStore.from_texts(["a hawk", "a loaf"], metadatas=[{"n": 1}, {"n": 2}], ids=["h", "l"])
    >>> [(found.id, found.metadata) for found in store.similarity_search("hawks", k=1)]
    [('h', {'n': 1})]
    >>> store.similarity_search("hawks", k=1, filter={"n": {"$gt": 1}})[0].page_content
    'a loaf'
    >>> store.delete(["h"]), store.get_by_ids(["h"])
    (True, [])
    """

    def __init__(
        self,
        embedding: Embeddings | None = None,
        *,
        path: Where = ":memory:",
        collection: str = "langchain",
        metric: str = "cosine",
    ) -> None:
        self._embedding = embedding or HitherEmbeddings()
        self._shelf = Shelf(path, collection, metric)

    @property
    def embeddings(self) -> Embeddings:
        """What turns texts into vectors."""
        return self._embedding

    def close(self) -> None:
        """Close the database, if it was opened here."""
        self._shelf.close()

    # ---- writing

    @staticmethod
    def _rows(
        texts: Iterable[str], metadatas: list[dict[str, Any]] | None, ids: Sequence[str | None] | None
    ) -> tuple[list[str], list[str], list[dict[str, Any]] | None]:
        bodies = list(texts)
        names = [name or str(uuid.uuid4()) for name in (ids or [None] * len(bodies))]
        for what, given in (("metadatas", metadatas), ("ids", names)):
            if given is not None and len(given) != len(bodies):
                raise InvalidError(f"{len(bodies)} texts but {len(given)} {what}: give one for each")
        return bodies, names, metadatas

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Write texts; what has a known id is replaced. All of them or none. Returns the ids."""
        bodies, names, objects = self._rows(texts, metadatas, ids)
        if not bodies:
            return []
        vectors = self._embedding.embed_documents(bodies)
        self._shelf.made(len(vectors[0])).upsert(names, vectors, metadata=objects, documents=bodies)
        return names

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_texts`, to be awaited."""
        bodies, names, objects = self._rows(texts, metadatas, ids)
        if not bodies:
            return []
        vectors = await self._embedding.aembed_documents(bodies)
        self._shelf.made(len(vectors[0]))
        c = self._shelf.awaited()
        assert c is not None
        await c.upsert(names, vectors, metadata=objects, documents=bodies)
        return names

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Delete by id; unknown ids are passed over. None: all of them."""
        c = self._shelf.there()
        if c is not None:
            c.delete([hit.id for hit in c.scan(include=())] if ids is None else ids)
        return True

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """`delete`, to be awaited."""
        c = self._shelf.awaited()
        if c is not None:
            await c.delete([hit.id async for hit in c.scan(include=())] if ids is None else ids)
        return True

    # ---- reading

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in the order asked; unknown ones are left out."""
        c = self._shelf.there()
        return [] if c is None else [_document(hit) for hit in c.get(ids)]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """`get_by_ids`, to be awaited."""
        c = self._shelf.awaited()
        return [] if c is None else [_document(hit) for hit in await c.get(ids)]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The k documents nearest to a text."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """`similarity_search`, to be awaited."""
        return [document for document, _ in await self.asimilarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> Found:
        """The k documents nearest to a text, with their distances."""
        if self._shelf.there() is None:
            return []
        return self.similarity_search_with_score_by_vector(self._embedding.embed_query(query), k, **kwargs)

    async def asimilarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> Found:
        """`similarity_search_with_score`, to be awaited."""
        if self._shelf.there() is None:
            return []
        vector = await self._embedding.aembed_query(query)
        return await self.asimilarity_search_with_score_by_vector(vector, k, **kwargs)

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        """The k documents nearest to a vector."""
        return [document for document, _ in self.similarity_search_with_score_by_vector(embedding, k, **kwargs)]

    async def asimilarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        """`similarity_search_by_vector`, to be awaited."""
        found = await self.asimilarity_search_with_score_by_vector(embedding, k, **kwargs)
        return [document for document, _ in found]

    def similarity_search_with_score_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> Found:
        """The k documents nearest to a vector, with their distances."""
        c = self._shelf.there()
        return [] if c is None else _scored(c.search(embedding, k, **_asked(kwargs)))

    async def asimilarity_search_with_score_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> Found:
        """`similarity_search_with_score_by_vector`, to be awaited."""
        c = self._shelf.awaited()
        return [] if c is None else _scored(await c.search(embedding, k, **_asked(kwargs)))

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Of the `fetch_k` documents nearest to a text, k that are unlike one another; 1 asks for nearness alone."""
        if self._shelf.there() is None:
            return []
        vector = self._embedding.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(vector, k, fetch_k, lambda_mult, **kwargs)

    async def amax_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """`max_marginal_relevance_search`, to be awaited."""
        if self._shelf.there() is None:
            return []
        vector = await self._embedding.aembed_query(query)
        return await self.amax_marginal_relevance_search_by_vector(vector, k, fetch_k, lambda_mult, **kwargs)

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """`max_marginal_relevance_search` for a vector."""
        asked = _asked(kwargs) | _diverse(k, fetch_k, lambda_mult)
        c = self._shelf.there()
        return [] if c is None else [_document(hit) for hit in c.search(embedding, k, **asked)]

    async def amax_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """`max_marginal_relevance_search_by_vector`, to be awaited."""
        asked = _asked(kwargs) | _diverse(k, fetch_k, lambda_mult)
        c = self._shelf.awaited()
        return [] if c is None else [_document(hit) for hit in await c.search(embedding, k, **asked)]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """How a distance becomes a relevance, 1 at best."""
        return {
            "cosine": lambda distance: max(0.0, self._cosine_relevance_score_fn(distance)),
            "dot": lambda distance: self._max_inner_product_relevance_score_fn(-distance),
            "l2": lambda distance: self._euclidean_relevance_score_fn(math.sqrt(distance)),
            "l1": lambda distance: 1.0 / (1.0 + distance),
        }[self._shelf.metric]

    # ---- making

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> HitherVectorStore:
        """A store with these texts in it; `kwargs` are those of the class."""
        store = cls(embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> HitherVectorStore:
        """`from_texts`, to be awaited."""
        store = cls(embedding, **kwargs)
        await store.aadd_texts(texts, metadatas, ids=ids)
        return store


def _asked(kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a search may be asked for besides, in the collection's words. Others' words are LangChain's own."""
    asked: dict[str, Any] = {
        name: kwargs[name] for name in ("where_document", "recall", "max_distance") if name in kwargs
    }
    if kwargs.get("filter"):
        asked["where"] = kwargs["filter"]
    return asked


def _diverse(k: int, fetch_k: int, lambda_mult: float) -> dict[str, Any]:
    return {"diversity": 1.0 - lambda_mult, "candidates": max(k, fetch_k)} if lambda_mult < 1 else {}


def _document(hit: Hit) -> Document:
    return Document(id=str(hit.id), page_content=hit.document or "", metadata=hit.metadata or {})


def _scored(hits: Hits) -> Found:
    return [(_document(hit), hit.distance or 0.0) for hit in hits]
