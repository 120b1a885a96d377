"""MTEB's own evaluator of retrieval over hither, held to what MTEB finds by comparing everything with everything."""

from __future__ import annotations

from typing import Any

import hither
import numpy as np
import pytest

pytest.importorskip("mteb")

import mteb
import torch
from datasets import Dataset
from hither.integrations.mteb import HitherEncoder, HitherSearchIndex, search_model
from mteb._evaluators import RetrievalEvaluator
from mteb.models import SearchEncoderWrapper
from mteb.models.model_meta import ScoringFunction
from mteb.models.models_protocols import EncoderProtocol, SearchProtocol
from mteb.timing import TimingStack

TOPICS = ["owls and hawks", "bread and flour", "ships at sea", "mountain snow", "old clocks"]
CORPUS = Dataset.from_list(
    [{"id": f"d{n}", "title": "", "text": f"{TOPICS[n % 5]}, number {n}, {'again ' * (n % 3)}"} for n in range(200)]
)
QUERIES = Dataset.from_list([{"id": f"q{n}", "text": f"about {topic}"} for n, topic in enumerate(TOPICS)])
RANKED = {f"q{n}": [f"d{m}" for m in range(n, 40, 3)] for n in range(5)}


def evaluated(model: Any, ranked: dict[str, list[str]] | None = None, k: int = 20) -> dict[str, dict[str, float]]:
    evaluator = RetrievalEvaluator(
        CORPUS,
        QUERIES,
        task_metadata=mteb.get_task("NFCorpus").metadata,
        hf_split="test",
        hf_subset="default",
        top_k=k,
        top_ranked=ranked,
        timer=TimingStack(),
    )
    found: dict[str, dict[str, float]] = evaluator(model, encode_kwargs={"batch_size": 32, "show_progress_bar": False})
    return found


def compared_by(similarity: str) -> HitherEncoder:
    model = HitherEncoder()
    how = ScoringFunction(similarity)
    model.mteb_model_meta = model.mteb_model_meta.model_copy(update={"similarity_fn_name": how})
    if how is ScoringFunction.EUCLIDEAN:
        model.similarity = lambda a, b: -torch.cdist(torch.as_tensor(a), torch.as_tensor(b))  # type: ignore[method-assign]
    return model


def test_protocols() -> None:
    assert isinstance(HitherEncoder(), EncoderProtocol)
    assert isinstance(search_model(HitherEncoder()), SearchProtocol)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("ranked", [None, RANKED], ids=["all", "reranking"])
def test_answers_are_mtebs(similarity: str, ranked: dict[str, list[str]] | None) -> None:
    model = compared_by(similarity)
    wanted = evaluated(SearchEncoderWrapper(model), ranked)
    found = evaluated(search_model(model), ranked)
    assert found.keys() == wanted.keys()
    for query, scores in wanted.items():
        # Equal scores may bring in either of two documents; what is found has the same scores, best first.
        assert np.allclose(sorted(found[query].values()), sorted(scores.values()), atol=1e-5)
        for document in found[query].keys() & scores.keys():
            assert found[query][document] == pytest.approx(scores[document], abs=1e-5)


def test_scores_of_a_task() -> None:
    found = evaluated(search_model(HitherEncoder(), kind="hnsw", recall=0.99), k=40)
    evaluator = RetrievalEvaluator(
        CORPUS,
        QUERIES,
        task_metadata=mteb.get_task("NFCorpus").metadata,
        hf_split="test",
        hf_subset="default",
        top_k=40,
        timer=TimingStack(),
    )
    relevant = {f"q{n}": {f"d{m}": 1 for m in range(n, 200, 5)} for n in range(5)}
    assert evaluator.evaluate(relevant, found, [1, 10]).ndcg["NDCG@10"] > 0.9


def test_what_makes_no_sense() -> None:
    model = HitherEncoder()
    index = HitherSearchIndex(model)
    with pytest.raises(hither.NotFoundError):
        index.search(np.eye(1, 384), 1, model.similarity)
    index.add_documents(np.eye(2, 384), ["a", "b"])
    with pytest.raises(hither.InvalidError, match="query_idx_to_id"):
        index.search(np.eye(1, 384), 1, model.similarity, top_ranked={"q": ["a"]})
    with pytest.raises(hither.InvalidError, match="MaxSim"):
        HitherSearchIndex(compared_by("MaxSim"))
