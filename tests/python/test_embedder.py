"""The built-in embedder against its second implementation, on the package and on the file the C tests read."""

from __future__ import annotations

import random
import subprocess
import sys
import unicodedata
from pathlib import Path

import embedder_reference as reference
import hither
import numpy as np
import pytest

SEED = 5
SOURCE = Path(reference.__file__)
GOLDEN = SOURCE.parents[1] / "unit" / "embedder_golden.h"
frozen = pytest.mark.skipif(
    unicodedata.unidata_version != "14.0.0", reason="the reference takes its classes from Python's own Unicode data"
)


def texts(count):
    """Sentences, log lines and strings of characters that Unicode had long before 14.0.0."""
    draw = random.Random(SEED)
    words = "the of hawk Hawks bird prey Straße café naïve 東京 タワー".split()
    words += "sshd[123] 10.0.0.1 fe80::1 0x1f e3b0c44298fc 3.14".split()
    for _ in range(count // 2):
        yield " ".join(draw.choices(words, k=draw.randrange(12)))
    for _ in range(count // 2):
        start = draw.choice([0x20, 0xC0, 0x370, 0x410, 0x5D0, 0x620, 0x905, 0xE01, 0x3041, 0x4E00, 0xAC00])
        yield "".join(chr(start + draw.randrange(90)) for _ in range(draw.randrange(80)))


def test_the_package_gives_the_bytes_of_the_reference():
    cases = [text for text in texts(600) if all(unicodedata.category(c) != "Cn" for c in text)]
    got = hither.Embedder()(cases)
    for text, vector in zip(cases, got, strict=True):
        assert vector.astype("<f4").tobytes() == reference.embed(text), f"seed {SEED}: {text!r}"


@frozen
def test_the_file_of_the_c_tests_is_what_the_reference_writes():
    run = subprocess.run([sys.executable, SOURCE, "golden"], capture_output=True, text=True, check=True)
    assert run.stdout == GOLDEN.read_text()


def test_a_cache_computes_each_text_once(tmp_path: Path) -> None:
    e = hither.Embedder()
    texts = ["bread", "owl", "bread", "", "\u00fcber"]
    kept = e.cached(tmp_path / "vectors.db")
    seen: list[tuple[int, int]] = []
    assert np.array_equal(kept(texts, progress=lambda *n: seen.append(n)), e(texts)) and seen == [(5, 5)]
    assert (kept.found, kept.computed, kept.dim, kept.name) == (0, 4, e.dim, e.name)
    assert np.array_equal(kept("owl"), e("owl")) and kept.found == 1
    assert np.array_equal(kept.queries(["owl"]), e.queries(["owl"])) and kept.computed == 5
    kept.close()
    again = e.cached(tmp_path / "vectors.db")
    assert np.array_equal(again(texts), e(texts))
    assert (again.found, again.computed) == (5, 0)
    again._file.execute("UPDATE vectors SET vector = x'00'")  # what is not whole is computed anew
    assert np.array_equal(again(texts), e(texts)) and again.computed == 4
    again.close()
