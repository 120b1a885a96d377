"""Retrieval tasks of MTEB over a hither index. Needs mteb.

    mteb.evaluate(search_model(mteb.get_model("...")), tasks)

`search_model` gives an encoder MTEB's search protocol, with `HitherSearchIndex` in the place of comparing everything
with everything; `HitherEncoder` is hither's own embedder as such an encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from mteb.models import SearchEncoderWrapper
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta, ScoringFunction
from numpy.typing import ArrayLike, NDArray

from .. import _core
from ..embed import Embedder
from ..errors import InvalidError, NotFoundError
from ..index import Index

_METRICS = {
    ScoringFunction.COSINE: "cosine",
    ScoringFunction.DOT_PRODUCT: "dot",
    ScoringFunction.EUCLIDEAN: "l2",
    ScoringFunction.MANHATTAN: "l1",
}


class HitherSearchIndex:
    """What MTEB's encoders search with: their documents in a hither index.

    Parameters
    ----------
    model
        The encoder, whose similarity decides the metric.
    **options
        Of the index: ``kind``, ``dtype``, ``m``, ``ef_build``, ``bits``, ``seed``; and ``recall`` of its searches.
    """

    def __init__(self, model: Any, *, recall: float | None = None, **options: Any) -> None:
        similarity = model.mteb_model_meta.similarity_fn_name
        if similarity not in _METRICS:
            known = ", ".join(one.value for one in _METRICS)
            raise InvalidError(f"the model compares by {similarity}; there are {known}")
        self._metric = _METRICS[similarity]
        self._recall = recall
        self._options = options
        self.clear()

    def clear(self) -> None:
        """Forget every document."""
        self._index: Index | None = None
        self._ids: list[str] = []

    def add_documents(self, embeddings: ArrayLike, idxs: list[str]) -> None:
        """Add documents by their embeddings."""
        rows = np.asarray(embeddings, np.float32)
        if self._index is None:
            self._index = Index(rows.shape[1], metric=self._metric, **self._options)
        self._index.add(rows, wait=False)
        self._index.build()
        self._ids.extend(idxs)

    def search(
        self,
        embeddings: ArrayLike,
        top_k: int,
        similarity_fn: Callable[[Any, Any], Any],
        top_ranked: dict[str, list[str]] | None = None,
        query_idx_to_id: dict[int, str] | None = None,
    ) -> tuple[list[list[float]], list[list[int]]]:
        """Scores and places of the best documents for each query: places among all, or in its `top_ranked`."""
        index = self._index
        if index is None:
            raise NotFoundError("there are no documents yet; add_documents comes first")
        queries = np.asarray(embeddings, np.float32)
        k = max(1, min(top_k, len(index)))
        if top_ranked is None:
            labels, distances = index.search(queries, k, recall=self._recall)
            return self._scores(distances), labels.tolist()
        if query_idx_to_id is None:
            raise InvalidError("reranking needs query_idx_to_id")
        scores: list[list[float]] = []
        places: list[list[int]] = []
        at = {id: row for row, id in enumerate(self._ids)}
        for row, query in enumerate(queries):
            ranked = top_ranked.get(query_idx_to_id[row], [])
            place = {at[id]: number for number, id in enumerate(ranked)}
            labels, distances = index.search(query, k, allow=np.array(list(place), np.int64), recall=1.0)
            found = labels >= 0
            scores.append(self._scores(distances[found]))
            places.append([place[label] for label in labels[found].tolist()])
        return scores, places

    def _scores(self, distances: NDArray[np.float32]) -> Any:
        """Larger is better: similarities, or distances below zero."""
        if self._metric == "cosine":
            return (1 - distances).tolist()
        return (-np.sqrt(distances) if self._metric == "l2" else -distances).tolist()


def search_model(model: Any, **options: Any) -> SearchEncoderWrapper:
    """An encoder as MTEB's search protocol, over a hither index; `options` are those of `HitherSearchIndex`."""
    index: Any = HitherSearchIndex(model, **options)  # MTEB's protocol names types that are MTEB's alone
    return SearchEncoderWrapper(model, index_backend=index)


class HitherEncoder(AbsEncoder):
    """hither's own embedder, or a model folder's, as an encoder of MTEB: ``search_model(HitherEncoder())``."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._embedder = embedder or Embedder()
        self.mteb_model_meta = _meta(self._embedder)

    def encode(self, inputs: Any, *, prompt_type: Any = None, **kwargs: Any) -> NDArray[np.float32]:
        """A vector for each text of the batches."""
        of_queries = getattr(prompt_type, "value", prompt_type) == "query"
        embed = self._embedder.queries if of_queries else self._embedder
        parts = [embed(texts) for texts in _texts(inputs)]
        return np.concatenate(parts) if parts else np.empty((0, self._embedder.dim), np.float32)


def _texts(inputs: Any) -> Iterator[list[str]]:
    for batch in inputs:
        if len(batch["text"]):
            yield list(batch["text"])


def _meta(embedder: Embedder) -> ModelMeta:
    return ModelMeta(
        loader=None,
        name=f"hither/{embedder.name}",
        revision=_core.version(),
        release_date=None,
        languages=None,
        n_parameters=None,
        memory_usage_mb=None,
        max_tokens=None,
        embed_dim=embedder.dim,
        license=None,
        open_weights=True,
        public_training_code=None,
        public_training_data=None,
        framework=[],
        similarity_fn_name=ScoringFunction.COSINE,
        use_instructions=False,
        training_datasets=None,
    )
