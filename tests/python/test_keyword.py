"""Searches by keywords and hybrid ones against a reference that knows only docs/keyword.md, through the package and
through the command; and the examples of that page."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import threading
from pathlib import Path
from typing import Any

import hither
import numpy as np
import pytest
from keyword_reference import Index, best, parse, rrf, terms, weighted

WORDS = ["hawk", "owl", "Owls", "the", "a", "of", "prey", "night", "Straße", "café", "cafe", "x86", "3.14", "don't"]
ROOT = Path(__file__).parents[2]
COMMAND = os.environ.get("HITHER_COMMAND") or str(ROOT / "build" / "bin" / "hither")
CJK = ["東京", "東京都", "京", "大阪城", "カタカナ", "한국어"]
ODD = ["état", "ﬁne", "Ⅷ", "e\u0301", "naïve", "i\u0307", "ß", "١٢"]


def random_text(rng: random.Random, length: int) -> str:
    common = rng.choices(WORDS, k=length)
    return "".join(
        (rng.choice(CJK + ODD) if rng.random() < 0.15 else word) + rng.choice([" ", " ", ", ", "-", "\n", ""])
        for word in common
    )


def random_query(rng: random.Random) -> str:
    parts = []
    for _ in range(1 + rng.randrange(4)):
        kind, sign = rng.randrange(6), rng.choice(["", "", "", "", "+", "-"])
        word = rng.choice(WORDS + CJK + ODD)
        if kind == 0:
            parts.append(f'{sign}"{random_text(rng, 1 + rng.randrange(3)).strip()}"')
        elif kind == 1:
            parts.append(f"{sign}{word[: 1 + rng.randrange(3)]}*")
        else:
            parts.append(sign + word)
    return rng.choice([" ", "  "]).join(parts)


@pytest.mark.parametrize("seed", range(4))
def test_as_the_reference(seed: int) -> None:
    rng = random.Random(20261121 + seed)
    with hither.connect(":memory:") as db:
        c = db.collection("texts", dim=2, metric="l2")
        rows: dict[int, tuple[int, str | None, list[float]]] = {}  # id: slot, document, vector
        slot = 0
        matched = 0
        for step in range(30):
            ids = rng.sample(range(150), 1 + rng.randrange(20))
            texts = [random_text(rng, rng.randrange(12)) if rng.random() < 0.9 else None for _ in ids]
            vectors = [[rng.randrange(8), rng.randrange(8)] for _ in ids]
            c.upsert(ids, vectors, documents=texts, metadata=[{"even": id % 2 == 0} for id in ids])
            for id, text, vector in zip(ids, texts, vectors, strict=True):
                rows[id] = (slot, text, vector)
                slot += 1
            for id in rng.sample(sorted(rows), rng.randrange(4)):
                c.delete([id])
                del rows[id]
            if step % 3:
                continue
            index = Index({s: text for s, text, _ in rows.values()})
            of = {s: id for id, (s, _, _) in rows.items()}
            for _ in range(12):
                query, k = random_query(rng), rng.choice([1, 5, 300])
                scores = index.scores(query)
                even = rng.random() < 0.4
                if even:
                    scores = {s: score for s, score in scores.items() if of[s] % 2 == 0}
                where = {"even": True} if even else None
                wanted = best(scores, k)
                hits = c.search(query, k, mode="keyword", where=where)
                assert hits.ids == [of[s] for s in wanted], query
                assert hits.scores is not None and hits.scores.tolist() == [scores[s] for s in wanted], query
                assert np.isnan(hits.distances).all()
                assert hits.plan["kind"] == "keyword"
                matched += len(wanted)
                check_hybrid(rng, c, rows, scores, query, min(k, 20), where)
        assert matched > 300


def check_hybrid(
    rng: random.Random,
    c: hither.Collection,
    rows: dict[int, tuple[int, str | None, list[float]]],
    scores: dict[int, float],
    query: str,
    k: int,
    where: dict[str, Any] | None,
) -> None:
    point = [rng.randrange(8), rng.randrange(8)]
    candidates, weight = rng.choice([(k, 0.5), (k + 7, 0.25), (1000, 0.75)])
    fusion = rng.choice(["rrf", "weighted"])
    of = {s: id for id, (s, _, _) in rows.items() if where is None or id % 2 == 0}
    distances = {s: float((v[0] - point[0]) ** 2 + (v[1] - point[1]) ** 2) for id, (s, _, v) in rows.items() if s in of}
    near = sorted(distances, key=lambda s: (distances[s], s))[:candidates]
    words = best(scores, candidates)
    if fusion == "rrf":
        fused = rrf(near, words, weight)
    else:
        fused = weighted({*near, *words}, distances, scores, weight)
    wanted = best(fused, k)
    hits = c.search(
        point, k, text=query, mode="hybrid", fusion=fusion, vector_weight=weight, candidates=candidates, where=where
    )
    assert hits.ids == [of[s] for s in wanted], (query, fusion)
    assert len(hits) == min(k, len(of))
    assert hits.scores is not None and hits.scores.tolist() == [fused[s] for s in wanted]
    assert hits.distances is not None and hits.distances.tolist() == [distances[s] for s in wanted]
    said = hits.plan["fusion"]
    assert said["kind"] == fusion and said["vector_weight"] == weight
    for s, hit in zip(wanted, said["hits"], strict=True):
        assert hit["vector_rank"] == (near.index(s) + 1 if s in near else None)
        assert hit["keyword_rank"] == (words.index(s) + 1 if s in words else None)
        assert hit["score"] == fused[s] and hit["keyword_score"] == scores.get(s, 0.0)


def test_terms_of_all_of_unicode() -> None:
    """Every character stands in a document of its own: whoever finds it by itself finds it by its term."""
    rng = random.Random(7)
    characters = [chr(cp) for cp in rng.sample([*range(0xD800), *range(0xE000, 0x20000)], 3000)]
    with hither.connect(":memory:") as db:
        c = db.collection("characters", dim=1)
        documents = [f"x{character}y {character}" for character in characters]
        c.add(range(len(documents)), [[0.0]] * len(documents), documents=documents)
        index = Index(dict(enumerate(documents)))
        for i in rng.sample(range(len(documents)), 150):
            query = documents[i]
            scores = index.scores(query)
            hits = c.search(query, 20, mode="keyword")
            assert hits.ids == best(scores, 20), [hex(ord(x)) for x in query]


def test_the_command(tmp_path: Path) -> None:
    rng = random.Random(3)
    path = tmp_path / "c.hither"
    texts = [random_text(rng, 1 + rng.randrange(10)) for _ in range(200)]
    with hither.connect(path) as db:
        db.collection("t", embedder=hither.Embedder()).add(range(200), documents=texts)
    index = Index(dict(enumerate(texts)))
    for _ in range(12):
        query = random_query(rng)
        if query.startswith("-"):
            query = " " + query
        said = subprocess.run(
            [COMMAND, "search", path, "t", query, "--keyword", "--json", "-k", "7"],
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        hits = [json.loads(line) for line in said.splitlines()]
        scores = index.scores(query)
        assert [hit["id"] for hit in hits] == best(scores, 7), query
        assert [hit["score"] for hit in hits] == [scores[hit["id"]] for hit in hits]
        with hither.connect(path, readonly=True) as db:
            c = db.collection("t", embedder=hither.Embedder())
            both = c.search(query, 7, mode="hybrid", fusion="weighted", vector_weight=0.25)
        said = subprocess.run(
            [
                *(COMMAND, "search", path, "t", query),
                *"--hybrid --fusion weighted --vector-weight 0.25 --json -k 7".split(),
            ],
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        hits = [json.loads(line) for line in said.splitlines()]
        assert [hit["id"] for hit in hits] == both.ids
        assert [hit["score"] for hit in hits] == both.scores.tolist()


def test_search_many_and_arguments() -> None:
    with hither.connect(":memory:") as db:
        c = db.collection("t", embedder=hither.Embedder())
        c.add([1, 2, 3], documents=["a hawk", "an owl", "a hawk and an owl"])
        found = c.search_many(["hawk", "owl", "crow"], mode="keyword")
        assert [hits.ids for hits in found] == [[1, 3], [2, 3], []]
        assert found[2].scores.shape == (0,)
        found = c.search_many(c.get([1, 2], ("vector",)).vectors, 1, text=["owl", "hawk"])
        assert [len(hits) for hits in found] == [1, 1] and found[0].plan["kind"] == "hybrid"
        assert c.search(text="hawk", mode="keyword").ids == [1, 3]
        assert c.search("hawk", 1, mode="hybrid")[0].score > 0
        assert c.search("hawk").scores is None and c.search("hawk")[0].score is None
        for wrong, message in [
            ({"query": "x", "mode": "both"}, "mode is 'both'"),
            ({"query": "x", "mode": "vector", "text": "y"}, "text is for"),
            ({"query": [0.0] * 384, "mode": "keyword"}, "needs words"),
            ({"query": "x", "text": "y", "mode": "keyword"}, "not both"),
            ({"query": "x", "fusion": "rrf"}, 'are for mode="hybrid"'),
            ({"query": "x", "mode": "hybrid", "fusion": "max"}, "fusion is 'max'"),
            ({"query": "x", "mode": "hybrid", "vector_weight": 1.0}, "vector_weight is 1"),
            ({"query": "x", "mode": "hybrid", "diversity": 0.5}, "takes no max_distance, group_by or diversity"),
            ({"query": "x", "mode": "keyword", "candidates": 5}, "candidates is 5"),
            ({"text": "x"}, "there is no query"),
        ]:
            with pytest.raises(hither.InvalidError, match=message):
                c.search(**wrong)
        with pytest.raises(hither.TooLargeError, match="more than 1024 words"):
            c.search(" ".join(f"w{i}" for i in range(1025)), mode="keyword")
        assert len(c.search(" ".join(f"w{i}" for i in range(1023)) + " owl", mode="keyword")) == 2


def test_after_reopening_beside_a_writer(tmp_path: Path) -> None:
    """Searches in threads and in a read-only handle while rows come and go: what is found is there, and all of it."""
    path = tmp_path / "w.hither"
    with hither.connect(path) as db:
        c = db.collection("t", dim=1)
        c.add(range(200), [[0.0]] * 200, documents=["fixed"] * 200)
        stop, problems = threading.Event(), []

        def look(collection: hither.Collection) -> None:
            while not stop.is_set():
                hits = collection.search("fixed", 1000, mode="keyword")
                if len(hits) != 200 or set(hits.documents) != {"fixed"}:
                    problems.append(hits.ids)

        with hither.connect(path, readonly=True) as other:
            threads = [threading.Thread(target=look, args=[x]) for x in (c, c, other.collection("t"))]
            for thread in threads:
                thread.start()
            for step in range(60):
                c.upsert([1000 + step % 7], [[1.0]], documents=[f"moving {step}"])
                assert c.search(f"+moving +{step}", mode="keyword").ids == [1000 + step % 7]
            stop.set()
            for thread in threads:
                thread.join()
        assert not problems


def test_parse_of_the_reference() -> None:
    assert [term for _, term in terms("The Café's 東京都")] == ["the", "cafe", "s", "東京", "京都", "都"]
    assert [clause.kind for clause in parse('a "b c" d* +東 -e-f')] == ["term", "phrase", "prefix", "prefix", "phrase"]


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "keyword.md").read_text()
    exec("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), {})
