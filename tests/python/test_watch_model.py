"""watch, grep, uniq and top with a sentence model from a folder (the tiny one of tiny_bert.py), and an archive that is
searched by the model its lines were watched with."""

import json
import os
import subprocess
from pathlib import Path

import hither
import pytest
import tiny_bert

COMMAND = Path(os.environ.get("HITHER_COMMAND") or Path(__file__).resolve().parents[2] / "build" / "bin" / "hither")
pytestmark = pytest.mark.skipif(not COMMAND.exists(), reason="the command is not built")

ORDINARY = "".join(f"owl {i}\n" for i in range(300))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("watching")
    tiny_bert.write(place / "m")
    tiny_bert.write(place / "other", pooling="cls")
    return place


def run(place: Path, *words: str, input: str = "", status: int = 0, models: str = "") -> tuple[str, str]:
    env = {**os.environ, "HITHER_MODELS": models}
    done = subprocess.run(
        [str(COMMAND), *words], cwd=place, env=env, input=input, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def test_one_search_covers_window_and_archive(place: Path) -> None:
    watching = ("watch", "--model", "m", "--archive", "n.hither/logs", "--json")
    out, _ = run(place, *watching, "--rate", "5%", input=ORDINARY + "the mouse eats bread\n")
    assert [json.loads(line)["line"] for line in out.splitlines()] == ["the mouse eats bread"]
    facts = json.loads(run(place, "info", "n.hither", "logs", "--json")[0])
    model = hither.Embedder.open(place / "m")
    assert facts["embedder"] == model.name and facts["count"] == 301
    hits, _ = run(place, "search", "n.hither", "logs", "the mouse eats bread", "-k", "1", "--json", "--model", "m")
    assert json.loads(hits)["document"] == "the mouse eats bread" and json.loads(hits)["distance"] < 1e-6
    # again; then by others, which would give vectors that cannot be compared with those that are there
    run(place, *watching, input="bread\n")
    assert "leave out" not in run(place, "watch", "--archive", "n.hither/logs", status=1)[1]
    _, said = run(place, "watch", "--archive", "n.hither/logs", status=1)
    assert "was made with the embedder" in said and "--model DIR" in said
    _, said = run(place, "watch", "--model", "other", "--archive", "n.hither/logs", status=1)
    assert "was made with the embedder" in said
    run(place, "create", "n.hither", "plain")
    assert "leave out --model" in run(place, "watch", "--model", "m", "--archive", "n.hither/plain", status=1)[1]


def test_the_state_has_one_model(place: Path) -> None:
    run(place, "watch", "--model", "m", "--state", "learned", input=ORDINARY)
    run(place, "watch", "--model", "m", "--state", "learned", input=ORDINARY)
    assert "embedder" in run(place, "watch", "--model", "other", "--state", "learned", status=1)[1]


def test_standing_queries_by_a_model(place: Path) -> None:
    (place / "queries").write_text("the hawk eats the bird\nerror connection\n")
    out, _ = run(
        place, "watch", "--model", "m", "--queries", "queries", "--threshold", "9", "--json", input="the hawk eats 7\n"
    )
    alarm = json.loads(out)
    model = hither.Embedder.open(place / "m")
    # numbers are masked before a line is embedded
    wanted = float(model("the hawk eats <num>") @ model("the hawk eats the bird"))
    assert alarm["reason"] == "like" and alarm["query"] == "the hawk eats the bird"
    assert alarm["similarity"] == pytest.approx(wanted, abs=1e-5)


def test_grep_by_a_model(place: Path) -> None:
    lines = ["the hawk eats a mouse", "bread", "port 17 connection error", "", "the owl of night"]
    model = hither.Embedder.open(place / "m")
    forms = [line.replace("17", "<num>") for line in lines]
    wanted = {line: float(model(form) @ model("bread")) for line, form in zip(lines, forms, strict=True) if line}
    text = "\n".join(lines) + "\n"
    out, _ = run(place, "grep", "bread", "--model", "m", "--json", "-t", "-1", input=text)
    found = [json.loads(line) for line in out.splitlines()]
    assert [hit["line"] for hit in found] == list(wanted)
    assert [hit["similarity"] for hit in found] == pytest.approx(list(wanted.values()), abs=1e-5)
    out, _ = run(place, "grep", "bread", "--model", "m", "-k", "1", "-n", input=text * 40)
    assert out == "2:bread\n"
    out, _ = run(place, "grep", "bread", "--model", "m", "-t", "0.99", "-C", "1", "--color", "always", input=text)
    assert out == "the hawk eats a mouse\n\x1b[1;31mbread\x1b[0m\nport 17 connection error\n"
    run(place, "grep", "bread", "--model", "m", "-t", "0.9999", input="owl\n", status=1)
    assert "nowhere" in run(place, "grep", "bread", "--model", "nowhere", status=1)[1]


def test_groups_by_a_model(place: Path) -> None:
    text = ORDINARY + "the mouse eats bread\n" * 3
    out, _ = run(place, "uniq", "--near", "-t", "0.9999", "--model", "m", input=text)
    assert out.split("\n")[:2] == ["    300 owl 0", "      3 the mouse eats bread"]
    out, _ = run(place, "uniq", "--near", "-t", "-1", "--model", "m", input=text)  # all are that near
    assert out == "    303 owl 0\n"
    assert "303" in run(place, "top", "--model", "m", "-n", "1", input=text)[0]
