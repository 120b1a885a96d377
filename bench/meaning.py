"""What each embedder is good for: WordNet's glosses found by their lemmas and by example sentences (docs/embedders.md).

    .venv/bin/python bench/meaning.py [MODEL-FOLDER...]

Prints, for the built-in embedder and each model, the share of queries whose gloss is first and among the first ten, and
texts embedded in a second of processor time.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import hither
import numpy as np

GLOSSES, QUERIES = 10_000, 1000


def entries() -> list[tuple[str, str, str]]:
    """A lemma, the gloss, an example or ""; of every part of speech, in an order of chance that is always the same."""
    out = []
    for part in ("noun", "verb", "adj", "adv"):
        for line in Path(f"/usr/share/wordnet/data.{part}").read_text(encoding="utf-8").splitlines():
            if line.startswith(" "):
                continue
            head, _, rest = line.partition("|")
            gloss, *more = rest.split(";")
            examples = [text.strip().strip('"') for text in more if text.strip().startswith('"')]
            out.append((head.split()[4].replace("_", " "), gloss.strip(), examples[0] if examples else ""))
    random.Random(3).shuffle(out)
    return out[:GLOSSES]


def main() -> None:
    rows = entries()
    draw = random.Random(4)
    lemmas = draw.sample(range(GLOSSES), QUERIES)
    examples = draw.sample([i for i, row in enumerate(rows) if row[2]], QUERIES)
    print("| embedder | lemma @1 | @10 | example @1 | @10 | texts/s |\n|---|---|---|---|---|---|")
    for embedder in (hither.Embedder(), *map(hither.Embedder.open, sys.argv[1:])):
        begin = time.process_time()
        vectors = embedder([row[1] for row in rows])
        rate = GLOSSES / (time.process_time() - begin)
        cells = []
        for field, chosen in ((0, lemmas), (2, examples)):
            similar = embedder.queries([rows[i][field] for i in chosen]) @ vectors.T
            right = np.argsort(-similar, axis=1)[:, :10] == np.array(chosen)[:, None]
            cells += [f"{right[:, 0].mean():.3f}", f"{right.any(1).mean():.3f}"]
        print(f"| {embedder.name} | {' | '.join(cells)} | {rate:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
