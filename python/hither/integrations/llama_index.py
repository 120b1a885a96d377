"""A vector store for LlamaIndex, over one collection. Needs llama-index-core.

A node is a row: its text is the document, its embedding the vector, and its metadata that of LlamaIndex (with
``_node_content``, the node but for its text) and ``_node_id``, by which searches are held to some nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode as Mode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from ..collection import Collection
from ..errors import InvalidError, UnsupportedError
from ..hits import Hits
from ._shelf import Shelf, Where as Place

Where = dict[str, Any]

_COMPARED = {
    FilterOperator.EQ: "$eq",
    FilterOperator.NE: "$ne",
    FilterOperator.GT: "$gt",
    FilterOperator.LT: "$lt",
    FilterOperator.GTE: "$gte",
    FilterOperator.LTE: "$lte",
    FilterOperator.IN: "$in",
    FilterOperator.NIN: "$nin",
    FilterOperator.ANY: "$in",
    FilterOperator.CONTAINS: "$eq",
    FilterOperator.TEXT_MATCH: "$contains",
}
_MODES = (Mode.DEFAULT, Mode.TEXT_SEARCH, Mode.HYBRID, Mode.MMR)


class HitherVectorStore(BasePydanticVectorStore):
    """LlamaIndex's nodes in a hither collection, with their texts: durable at each write.

    Parameters
    ----------
    path : path, Database or Collection
        Where the nodes are: a folder, ":memory:", or what is open already and stays yours.
    collection : str
        The collection's name, if `path` is no collection itself.
    metric : {"cosine", "dot"}

    Query modes are DEFAULT, TEXT_SEARCH (words, BM25), HYBRID (`alpha` is the share of the vectors) and MMR. All
    filter operators and conditions of LlamaIndex work, nested too.

    Examples
    --------
    >>> from llama_index.core.schema import TextNode
    >>> from llama_index.core.vector_stores.types import VectorStoreQuery
    >>> from hither.integrations.llama_index import HitherVectorStore
    >>> store = HitherVectorStore()
    >>> one = TextNode(id_="a", text="one", embedding=[1.0, 0.0])
    >>> two = TextNode(id_="b", text="two", embedding=[0.0, 1.0])
    >>> store.add([one, two])
    ['a', 'b']
    >>> found = store.query(VectorStoreQuery(query_embedding=[0.0, 2.0], similarity_top_k=1))
    >>> found.ids, found.similarities, found.nodes[0].text
    (['b'], [1.0], 'two')
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    flat_metadata: bool = False

    _shelf: Shelf = PrivateAttr()

    def __init__(self, path: Place = ":memory:", *, collection: str = "llama_index", metric: str = "cosine") -> None:
        super().__init__(stores_text=True)
        self._shelf = Shelf(path, collection, metric)

    @classmethod
    def class_name(cls) -> str:
        """The name it goes by in serial forms."""
        return "HitherVectorStore"

    @property
    def client(self) -> Collection | None:
        """The collection, once there is one."""
        return self._shelf.there()

    def close(self) -> None:
        """Close the database, if it was opened here."""
        self._shelf.close()

    # ---- writing

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Write nodes with their embeddings; those with known ids are replaced. All of them or none."""
        if not nodes:
            return []
        vectors = [node.get_embedding() for node in nodes]
        c = self._shelf.made(len(vectors[0]))
        ids = [node.node_id for node in nodes]
        c.upsert(ids, vectors, metadata=[_metadata(n) for n in nodes], documents=[_text(n) for n in nodes])
        return ids

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """`add`, to be awaited."""
        if not nodes:
            return []
        vectors = [node.get_embedding() for node in nodes]
        self._shelf.made(len(vectors[0]))
        c = self._shelf.awaited()
        assert c is not None
        ids = [node.node_id for node in nodes]
        await c.upsert(ids, vectors, metadata=[_metadata(n) for n in nodes], documents=[_text(n) for n in nodes])
        return ids

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete the nodes of a document."""
        c = self._shelf.there()
        if c is not None:
            c.delete(where={"ref_doc_id": ref_doc_id})

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """`delete`, to be awaited."""
        c = self._shelf.awaited()
        if c is not None:
            await c.delete(where={"ref_doc_id": ref_doc_id})

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """Delete nodes by id, by filter, or those with these ids that match; neither is refused: see `clear`."""
        c = self._shelf.there()
        if c is not None:
            c.delete(where=_both(node_ids, filters))

    async def adelete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """`delete_nodes`, to be awaited."""
        c = self._shelf.awaited()
        if c is not None:
            await c.delete(where=_both(node_ids, filters))

    def clear(self) -> None:
        """Delete every node."""
        c = self._shelf.there()
        if c is not None:
            c.delete(where={"_node_id": {"$exists": True}})

    async def aclear(self) -> None:
        """`clear`, to be awaited."""
        c = self._shelf.awaited()
        if c is not None:
            await c.delete(where={"_node_id": {"$exists": True}})

    # ---- reading

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """The nodes with these ids (None: all) that match, in the order they were written."""
        c = self._shelf.there()
        if c is None:
            return []
        return [_node(hit.metadata, hit.document) for hit in c.scan(where=_both(node_ids, filters))]

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """`get_nodes`, to be awaited."""
        c = self._shelf.awaited()
        if c is None:
            return []
        return [_node(hit.metadata, hit.document) async for hit in c.scan(where=_both(node_ids, filters))]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes a query asks for, best first."""
        c = self._shelf.there()
        return _nothing() if c is None else _result(c.search(**_asked(query, kwargs)))

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """`query`, to be awaited."""
        c = self._shelf.awaited()
        return _nothing() if c is None else _result(await c.search(**_asked(query, kwargs)))


def _nothing() -> VectorStoreQueryResult:
    return VectorStoreQueryResult(nodes=[], similarities=[], ids=[])


def _metadata(node: BaseNode) -> dict[str, Any]:
    return {**node_to_metadata_dict(node, remove_text=True), "_node_id": node.node_id}


def _text(node: BaseNode) -> str:
    return str(node.get_content(metadata_mode=MetadataMode.NONE))


def _node(metadata: dict[str, Any], text: str | None) -> BaseNode:
    return metadata_dict_to_node(metadata, text=text)


def _asked(query: VectorStoreQuery, kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a query asks a collection for."""
    mode = query.mode
    if mode not in _MODES:
        raise UnsupportedError(f"mode {mode!r} is not there; there are {', '.join(repr(one.value) for one in _MODES)}")
    # An index passes the nodes it knows of, and over a store with texts that is none: an empty list is no restriction.
    where = _both(query.node_ids or None, query.filters, query.doc_ids or None)
    asked: dict[str, Any] = {"k": query.similarity_top_k, "where": where}
    if mode == Mode.HYBRID and query.hybrid_top_k is not None:
        asked["k"] = query.hybrid_top_k
    if mode == Mode.TEXT_SEARCH:
        return asked | {"query": query.query_str, "mode": "keyword"}
    if query.query_embedding is None:
        raise InvalidError(f"a query of mode {mode.value!r} needs a query_embedding")
    asked["query"] = query.query_embedding
    if mode == Mode.HYBRID:
        asked |= {"text": query.query_str, "mode": "hybrid"}
        alpha = 0.5 if query.alpha is None else query.alpha
        if not 0 < alpha < 1:
            only = {"query": query.query_str, "mode": "keyword"} if alpha <= 0 else {}
            asked = {key: asked[key] for key in ("k", "where", "query")} | only
        else:
            asked |= {"fusion": "weighted", "vector_weight": alpha}
    if mode == Mode.MMR:
        threshold = kwargs.get("mmr_threshold", query.mmr_threshold)
        threshold = 0.5 if threshold is None else threshold
        if threshold < 1:
            asked["diversity"] = 1.0 - threshold
    return asked


def _result(hits: Hits) -> VectorStoreQueryResult:
    scores = hits.scores if hits.scores is not None else hits.similarities
    nodes = [_node(hit.metadata, hit.document) for hit in hits]
    return VectorStoreQueryResult(nodes=nodes, similarities=[float(score) for score in scores], ids=hits.ids)


# ---- filters


def _both(
    node_ids: Sequence[str] | None, filters: MetadataFilters | None, doc_ids: Sequence[str] | None = None
) -> Where | None:
    parts: list[Where] = []
    if node_ids is not None:
        parts.append({"_node_id": {"$in": list(node_ids)}})
    if doc_ids is not None:
        parts.append({"ref_doc_id": {"$in": list(doc_ids)}})
    if filters is not None and filters.filters:
        parts.append(_where(filters))
    return {"$and": parts} if parts else None


def _where(filters: MetadataFilters) -> Where:
    parts = [_where(one) if isinstance(one, MetadataFilters) else _one(one) for one in filters.filters]
    if filters.condition == FilterCondition.OR:
        return {"$or": parts}
    if filters.condition == FilterCondition.NOT:
        return {"$not": {"$or": parts}}
    return {"$and": parts}


def _one(given: MetadataFilter) -> Where:
    """One filter. The key is a name of the metadata's top level, with any dots it has."""
    escaped = given.key.replace("\\", "\\\\").replace(".", "\\.")
    path = "\\" + escaped if escaped.startswith("$") else escaped
    operator, value = given.operator, given.value
    if operator == FilterOperator.IS_EMPTY:
        return {"$or": [{path: {"$exists": False}}, {path: {"$in": [None, ""]}}, _empty_array(path)]}
    if operator == FilterOperator.ALL:
        values = value if isinstance(value, list) else [value]
        return {"$and": [{path: one} for one in values]} if values else {path: {"$exists": True}}
    if operator == FilterOperator.TEXT_MATCH_INSENSITIVE:
        return {path: {"$regex": "(?i)" + _escaped(str(value))}}
    if operator in (FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY) and not isinstance(value, list):
        value = [value]  # type: ignore[list-item]
    return {path: {_COMPARED[operator]: value}}


def _empty_array(path: str) -> Where:
    """There, with no element: neither a string, a number, a bool nor a null."""
    held = [
        {path: {"$regex": ""}},
        {path: {"$gte": -1.7976931348623157e308}},
        {path: {"$in": [None, True, False]}},
    ]
    return {"$and": [{path: {"$exists": True}}, {"$not": {"$or": held}}]}


def _escaped(text: str) -> str:
    return "".join("\\" + letter if letter in r"\.^$*+?{}[]|()" else letter for letter in text)
