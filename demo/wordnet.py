"""WordNet's glosses as JSON lines, read from the files of Debian's wordnet-base: wordnet.py > glosses.jsonl

One line a synset: {"id": "n01605630", "gloss": "...", "pos": "noun", "lemma": "hawk"}. The format of data.* is in
wndb(5WN): fields between blanks, the number of words in hexadecimal, the gloss after a bar.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/usr/share/wordnet")
PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}


def glosses(folder: Path = FOLDER) -> Iterator[dict[str, str]]:
    for pos, letter in PARTS.items():
        with open(folder / f"data.{pos}", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("  "):  # the licence, at the top
                    continue
                head, _, gloss = line.partition(" | ")
                offset, _, _, _, lemma = head.split(" ", 5)[:5]
                yield {
                    "id": letter + offset,
                    "gloss": gloss.strip(),
                    "pos": pos,
                    "lemma": lemma.replace("_", " "),
                }


if __name__ == "__main__":
    for row in glosses():
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
