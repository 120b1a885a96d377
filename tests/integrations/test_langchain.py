"""LangChain's own standard suite for vector stores, unmodified, and what it does not ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import hither
import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("langchain_tests")

from hither.integrations.langchain import HitherEmbeddings, HitherVectorStore
from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests.vectorstores import VectorStoreIntegrationTests


class TestStandard(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[VectorStore]:
        store = HitherVectorStore(self.get_embeddings(), path=tmp_path / "store.hither")
        yield store
        store.close()


class TestStandardOverACollection(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorStore]:
        with hither.connect(":memory:") as db:
            yield HitherVectorStore(self.get_embeddings(), path=db.collection("c", dim=6))


TEXTS = ["a hawk is a bird of prey", "owls hunt at night", "bread is baked from flour", "a loaf of rye bread"]
METADATA = [{"of": "birds", "n": n} if n < 2 else {"of": "food", "n": n} for n in range(4)]
IDS = ["hawk", "owl", "bread", "rye"]


@pytest.fixture
def store() -> Iterator[HitherVectorStore]:
    made = HitherVectorStore.from_texts(TEXTS, metadatas=METADATA, ids=IDS)
    yield made
    made.close()


def test_filters_scores_and_relevance(store: HitherVectorStore) -> None:
    found = store.similarity_search_with_score("bread from flour", k=2)
    assert found[0][0].id == "bread" and found[0][1] <= found[1][1]
    assert [d.id for d in store.similarity_search("bread", k=4, filter={"of": "birds", "n": {"$gte": 1}})] == ["owl"]
    relevant = store.similarity_search_with_relevance_scores("bread from flour", k=4)
    scores = [score for _, score in relevant]
    assert 0.8 < scores[0] <= 1 and scores == sorted(scores, reverse=True)
    retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 2, "fetch_k": 4, "lambda_mult": 0.1})
    assert {d.metadata["of"] for d in retriever.invoke("bread from flour")} == {"birds", "food"}


def test_awaited_it_finds_the_same(store: HitherVectorStore) -> None:
    async def main() -> None:
        query = "a bird of prey"
        assert await store.asimilarity_search(query, k=3) == store.similarity_search(query, k=3)
        assert await store.amax_marginal_relevance_search(query) == store.max_marginal_relevance_search(query)
        assert await store.asimilarity_search_with_relevance_scores(
            query
        ) == store.similarity_search_with_relevance_scores(query)
        other = await HitherVectorStore.afrom_texts(TEXTS, HitherEmbeddings(), METADATA, ids=IDS)
        assert await other.adelete()
        assert await other.asimilarity_search(query) == []
        other.close()

    asyncio.run(main())


def test_it_is_there_when_opened_again(tmp_path: Path) -> None:
    store = HitherVectorStore.from_texts(TEXTS, metadatas=METADATA, ids=IDS, path=tmp_path / "a", metric="l2")
    store.close()
    with hither.connect(tmp_path / "a") as db:
        again = HitherVectorStore(path=db)
        assert again.similarity_search("owls", k=1)[0] == Document(
            id="owl", page_content=TEXTS[1], metadata=METADATA[1]
        )
        assert 0 < again.similarity_search_with_relevance_scores("owls", k=1)[0][1] <= 1
        assert again.embeddings.embed_documents(TEXTS[:1])[0] == again.embeddings.embed_query(TEXTS[0])


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(hither.InvalidError, match="1 metadatas"):
        HitherVectorStore.from_texts(TEXTS, metadatas=[{}])
