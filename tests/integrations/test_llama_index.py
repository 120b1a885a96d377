"""The store of LlamaIndex, which publishes no suite for stores: its simple store is the twin here."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hither
import numpy as np
import pytest

pytest.importorskip("llama_index.core")

from hither.integrations.llama_index import HitherVectorStore
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator as Op,
    MetadataFilter,
    MetadataFilters,
    VectorStore,
    VectorStoreQuery,
    VectorStoreQueryMode as Mode,
)

RNG = np.random.default_rng(3)
METADATA: list[dict[str, Any]] = [
    {"theme": "mafia", "year": 1972, "tags": ["a", "b"]},
    {"theme": "Friendship", "year": 1994.5, "tags": ["b"]},
    {"theme": "", "year": -3, "tags": []},
    {"theme": None, "a.b": 1},
    {"year": 2000, "$x": "y", "tags": ["c", "a"]},
    {},
]


def node(n: int, metadata: dict[str, Any]) -> TextNode:
    made = TextNode(id_=f"n{n}", text=f"text {n}", metadata=metadata, embedding=RNG.standard_normal(6).tolist())
    made.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=f"doc{n % 3}")
    return made


NODES = [node(n, metadata) for n, metadata in enumerate(METADATA)]
QUERY = RNG.standard_normal(6).tolist()


@pytest.fixture
def store() -> Iterator[HitherVectorStore]:
    made = HitherVectorStore()
    assert made.add(NODES) == [f"n{n}" for n in range(6)]
    yield made
    made.close()


def simple() -> SimpleVectorStore:
    made = SimpleVectorStore()
    made.add(NODES)
    return made


def asked(filters: MetadataFilters | None = None, k: int = 6, **more: Any) -> VectorStoreQuery:
    return VectorStoreQuery(query_embedding=QUERY, similarity_top_k=k, filters=filters, **more)


FILTERS = [
    MetadataFilter(key=key, operator=operator, value=value)
    for key, operator, value in [
        ("theme", Op.EQ, "mafia"),
        ("theme", Op.NE, "mafia"),
        ("year", Op.GT, 1972),
        ("year", Op.GTE, 1972),
        ("year", Op.LT, 1994.5),
        ("year", Op.LTE, 1994.5),
        ("theme", Op.IN, ["mafia", "Friendship"]),
        ("theme", Op.NIN, ["mafia", "x"]),
        ("tags", Op.ANY, ["b", "c"]),
        ("tags", Op.ALL, ["a", "b"]),
        ("tags", Op.CONTAINS, "a"),
        ("tags", Op.IS_EMPTY, None),
        ("theme", Op.IS_EMPTY, None),
        ("theme", Op.TEXT_MATCH, "riend"),
        ("theme", Op.TEXT_MATCH_INSENSITIVE, "FRIENDS"),
        ("a.b", Op.EQ, 1),
        ("$x", Op.EQ, "y"),
    ]
]


@pytest.mark.parametrize("filter", FILTERS, ids=lambda f: f"{f.key} {f.operator.value} {f.value}")
def test_every_operator_is_the_simple_stores(store: HitherVectorStore, filter: MetadataFilter) -> None:
    for condition in (FilterCondition.AND, FilterCondition.NOT):
        filters = MetadataFilters(filters=[filter], condition=condition)
        ours, theirs = store.query(asked(filters)), simple().query(asked(filters))
        assert ours.ids == theirs.ids
        assert np.allclose(ours.similarities, theirs.similarities, atol=1e-6)


def test_conditions_and_nesting(store: HitherVectorStore) -> None:
    for one, two in itertools.combinations(FILTERS, 2):
        for condition in FilterCondition:
            filters = MetadataFilters(filters=[one, two], condition=condition)
            assert store.query(asked(filters)).ids == simple().query(asked(filters)).ids
    inner = MetadataFilters(filters=[FILTERS[0], FILTERS[1]], condition=FilterCondition.OR)
    assert len(store.query(asked(MetadataFilters(filters=[inner]))).ids) == 6


def test_nodes_come_back_whole(store: HitherVectorStore) -> None:
    assert isinstance(store, VectorStore)
    found = store.get_nodes(["n1", "n4"])
    for got, wanted in zip(found, (NODES[1], NODES[4]), strict=True):
        assert got.to_dict() == {**wanted.to_dict(), "embedding": None}
    assert store.query(asked(node_ids=["n2", "n3"])).ids == simple().query(asked(node_ids=["n2", "n3"])).ids
    assert set(store.query(asked(doc_ids=["doc1"])).ids) == {"n1", "n4"}
    store.delete("doc1")
    store.delete_nodes(["n0", "n2"], MetadataFilters(filters=[FILTERS[0]]))
    assert [one.node_id for one in store.get_nodes()] == ["n2", "n3", "n5"]
    with pytest.raises(hither.InvalidError):
        store.delete_nodes()
    store.clear()
    assert store.query(asked()).ids == []


def test_modes(store: HitherVectorStore) -> None:
    words = store.query(VectorStoreQuery(query_str="text 4", mode=Mode.TEXT_SEARCH, similarity_top_k=3))
    assert words.ids[0] == "n4" and len(words.ids) == 3
    near = store.query(asked()).ids
    assert store.query(asked(mode=Mode.HYBRID, query_str="4", alpha=1.0)).ids == near
    assert store.query(asked(mode=Mode.HYBRID, query_str="4", alpha=0.0, k=1)).ids == ["n4"]
    assert store.query(asked(mode=Mode.HYBRID, query_str="4", alpha=0.1, hybrid_top_k=1)).ids == ["n4"]
    assert store.query(asked(mode=Mode.MMR, mmr_threshold=1.0)).ids == near
    diverse = store.query(asked(mode=Mode.MMR, mmr_threshold=0.3, k=3)).ids
    assert diverse[0] == near[0] and len(set(diverse)) == 3
    with pytest.raises(hither.UnsupportedError, match="svm"):
        store.query(asked(mode=Mode.SVM))
    with pytest.raises(hither.InvalidError, match="query_embedding"):
        store.query(VectorStoreQuery())


def test_awaited_it_does_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        store = HitherVectorStore(tmp_path / "a")
        assert (await store.aquery(asked())).ids == [] and await store.aget_nodes() == []
        await store.async_add(NODES)
        assert (await store.aquery(asked())).ids == simple().query(asked()).ids
        assert len(await store.aget_nodes()) == 6
        await store.adelete("doc0")
        await store.adelete_nodes(["n1"])
        assert [one.node_id for one in await store.aget_nodes()] == ["n2", "n4", "n5"]
        await store.aclear()
        assert await store.aget_nodes() == []
        store.close()

    asyncio.run(main())


class Words(BaseEmbedding):
    """hither's own embedder."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return [float(x) for x in hither.Embedder()(text)]

    def _get_query_embedding(self, query: str) -> list[float]:
        return [float(x) for x in hither.Embedder().queries(query)]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


def test_in_an_index(tmp_path: Path) -> None:
    store = HitherVectorStore(tmp_path / "a")
    texts = ["a hawk is a bird of prey", "bread is baked from flour"]
    nodes = [TextNode(text=text, metadata={"n": n}) for n, text in enumerate(texts)]
    context = StorageContext.from_defaults(vector_store=store)
    VectorStoreIndex(nodes, storage_context=context, embed_model=Words())
    store.close()
    again = HitherVectorStore(tmp_path / "a")
    index = VectorStoreIndex.from_vector_store(again, embed_model=Words())
    found = index.as_retriever(similarity_top_k=1).retrieve("baked bread")
    assert found[0].text == texts[1] and found[0].metadata == {"n": 1}
    again.close()
