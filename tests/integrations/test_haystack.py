"""Haystack's own test classes for document stores, sync and async, unmodified, and what they do not ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("haystack.testing.document_store")

from haystack import Pipeline
from haystack.dataclasses import ByteStream, Document, SparseEmbedding
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.testing import document_store as sync_suite, document_store_async as async_suite
from hither.integrations.haystack import HitherDocumentStore, HitherEmbeddingRetriever


class TestSync(
    sync_suite.DocumentStoreBaseExtendedTests,
    sync_suite.CountDocumentsByFilterTest,
    sync_suite.CountUniqueMetadataByFilterTest,
    sync_suite.GetMetadataFieldsInfoTest,
    sync_suite.GetMetadataFieldMinMaxTest,
    sync_suite.GetMetadataFieldUniqueValuesTest,
):
    @pytest.fixture
    def document_store(self, tmp_path: Path) -> Iterator[HitherDocumentStore]:
        store = HitherDocumentStore(tmp_path / "store.hither", exact_embeddings=True)
        yield store
        store.close()

    def test_write_documents(self, document_store: HitherDocumentStore) -> None:
        """The one the suite leaves to each store: what no policy means."""
        document = Document(content="test doc")
        assert document_store.write_documents([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents([document])
        self.assert_documents_are_equal(document_store.filter_documents(), [document])


class TestAsync(
    async_suite.CountDocumentsAsyncTest,
    async_suite.WriteDocumentsAsyncTest,
    async_suite.DeleteDocumentsAsyncTest,
    async_suite.FilterDocumentsAsyncTest,
    async_suite.DeleteAllAsyncTest,
    async_suite.DeleteByFilterAsyncTest,
    async_suite.UpdateByFilterAsyncTest,
    async_suite.CountDocumentsByFilterAsyncTest,
    async_suite.CountUniqueMetadataByFilterAsyncTest,
    async_suite.GetMetadataFieldsInfoAsyncTest,
    async_suite.GetMetadataFieldMinMaxAsyncTest,
    async_suite.GetMetadataFieldUniqueValuesAsyncTest,
):
    @pytest.fixture
    def document_store(self, tmp_path: Path) -> Iterator[HitherDocumentStore]:
        store = HitherDocumentStore(tmp_path / "store.hither", exact_embeddings=True)
        yield store
        store.close()

    async def test_write_documents_async(self, document_store: HitherDocumentStore) -> None:
        document = Document(content="test doc")
        assert await document_store.write_documents_async([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            await document_store.write_documents_async([document])
        self.assert_documents_are_equal(await document_store.filter_documents_async(), [document])


DOCUMENTS = [
    Document(id="a", content="a hawk", meta={"of": "birds", "$n": 1, "deep": {"x.y": 1}}, embedding=[1.0, 0.1]),
    Document(id="b", content="an owl", meta={"of": "birds", "tags": ["x", 2]}, embedding=[0.0, 1.0]),
    Document(id="c", content="(bread)", meta={"of": "food"}),
    Document(
        id="d",
        blob=ByteStream(b"\0\1", meta={"k": "v"}, mime_type="image/png"),
        sparse_embedding=SparseEmbedding(indices=[1, 7], values=[0.5, 1.5]),
    ),
]


@pytest.fixture
def store() -> Iterator[HitherDocumentStore]:
    made = HitherDocumentStore(embedding_dim=2, exact_embeddings=True)
    made.write_documents(DOCUMENTS)
    yield made
    made.close()


def test_every_part_of_a_document_comes_back(store: HitherDocumentStore) -> None:
    assert store.filter_documents() == DOCUMENTS
    rounded = HitherDocumentStore(embedding_dim=2)
    rounded.write_documents(DOCUMENTS[:1])
    assert rounded.filter_documents()[0].embedding == np.float32([1.0, 0.1]).tolist()


@pytest.mark.parametrize(
    ("field", "operator", "value", "ids"),
    [
        ("content", "==", "(bread)", "c"),
        ("content", "!=", "(bread)", "abd"),
        ("content", "in", ["a hawk", "an owl"], "ab"),
        ("content", "in", [], ""),
        ("id", "in", ["a", "d", "z"], "ad"),
        ("of", "==", "birds", "ab"),
        ("meta.tags", "==", 2, "b"),
        ("meta.$n", "==", 1, "a"),
        ("meta.of", "in", ["food", None], "cd"),
        ("meta.of", "not in", ["food", None], "ab"),
    ],
)
def test_filters(store: HitherDocumentStore, field: str, operator: str, value: object, ids: str) -> None:
    found = store.filter_documents({"field": field, "operator": operator, "value": value})
    assert "".join(document.id for document in found) == ids


@pytest.mark.parametrize(
    "bad",
    [
        {"field": "content", "operator": ">", "value": "a"},
        {"field": "content", "operator": "==", "value": 1},
        {"field": "embedding", "operator": "==", "value": 1},
        {"field": "meta.x", "operator": "==", "value": object()},
        {"field": "meta.x", "operator": "=~", "value": 1},
        {"operator": "XOR", "conditions": [{"field": "id", "operator": "==", "value": "a"}]},
        {"operator": "AND", "conditions": []},
        {"operator": "AND", "conditions": [7]},
    ],
)
def test_filters_that_make_no_sense(store: HitherDocumentStore, bad: dict[str, object]) -> None:
    with pytest.raises(FilterError):
        store.filter_documents(bad)


def test_retrieval(store: HitherDocumentStore) -> None:
    found = store.embedding_retrieval([1.0, 0.0])
    assert [d.id for d in found] == ["a", "b"] and found[0].score > found[1].score
    assert [d.id for d in store.keyword_retrieval("owl")] == ["b"]
    asked = {"field": "meta.of", "operator": "==", "value": "birds"}
    assert [d.id for d in store.embedding_retrieval([0.0, 1.0], top_k=1, filters=asked)] == ["b"]

    async def main() -> None:
        assert await store.embedding_retrieval_async([1.0, 0.0]) == found
        assert await store.keyword_retrieval_async("owl") == store.keyword_retrieval("owl")

    asyncio.run(main())


def test_a_pipeline_and_its_serial_form(store: HitherDocumentStore, tmp_path: Path) -> None:
    pipeline = Pipeline()
    pipeline.add_component("retriever", HitherEmbeddingRetriever(store, top_k=1))
    found = pipeline.run({"retriever": {"query_embedding": [0.0, 1.0]}})
    assert [d.id for d in found["retriever"]["documents"]] == ["b"]
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["hither.integrations.haystack"])
    assert again.run({"retriever": {"query_embedding": [0.0, 1.0]}})["retriever"]["documents"] == []  # in memory
    asyncio.run(HitherEmbeddingRetriever(store).run_async([1.0, 0.0]))


def test_skipping_counts_each_id_once(store: HitherDocumentStore) -> None:
    some = [Document(id="a", content="new"), Document(id="n", content="1"), Document(id="n", content="2")]
    assert store.write_documents(some, DuplicatePolicy.SKIP) == 1
    assert [d.content for d in store.filter_documents({"field": "id", "operator": "in", "value": ["a", "n"]})] == [
        "a hawk",
        "1",
    ]
    with pytest.raises(ValueError, match="embedding of 3"):
        store.write_documents([Document(id="w", embedding=[1.0, 2.0, 3.0])])
    with pytest.raises(ValueError, match="delete_all"):
        store.delete_by_filter({})
