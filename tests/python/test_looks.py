"""What is shown and what is accepted beyond arrays and lists: progress, tables of hits, tensors, columns, pictures."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import hither
import numpy as np
import pytest
from hither import progress as progress_module


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


ROWS = np.random.default_rng(4).standard_normal((5000, 16), np.float32)


def test_a_bar_draws_on_terminals_alone() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for file in (terminal, pipe):
        bar = hither.Bar("working", file=file)
        for done in range(0, 101, 10):
            bar(done, 100)
        bar(0, 3)  # once more
        bar(3, 3)
    assert pipe.getvalue() == ""
    drawn = terminal.getvalue()
    assert drawn.count("\n") == 2 and "working 100% |" in drawn and "100/100" in drawn and "3/3" in drawn
    assert all(len(line.removesuffix("\x1b[K")) < 80 for line in drawn.replace("\n", "\r").split("\r"))
    assert hither.Bar(file=pipe).line(0) == ""
    assert "0/0" in repr(hither.Bar("x"))


def test_a_bar_in_a_notebook_is_one_element(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class ZMQInteractiveShell:  # as the kernel's is called
        pass

    class Cell:
        def update(self, drawn: str) -> None:
            shown.append(drawn)

    def display(drawn: str, display_id: bool) -> Cell:
        assert display_id
        shown.append("new " + drawn)
        return Cell()

    module = type(sys)("IPython")
    module.get_ipython = ZMQInteractiveShell  # type: ignore[attr-defined]
    display_module = type(sys)("IPython.display")
    display_module.HTML = str  # type: ignore[attr-defined]
    display_module.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", display_module)
    bar = hither.Bar("<b>")
    for done in range(4):
        bar(done, 3)
    assert len(shown) == 2 and shown[0].startswith("new <progress") and "&lt;b&gt;" in shown[1] and "3/3" in shown[1]


def test_what_is_long_tells_how_far_it_is(db: hither.Database, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))

    index = hither.Index(16, kind="hnsw")
    index.add(ROWS, wait=False)
    index.build(progress=tell)
    assert told[-1][0] == told[-1][1] and index.info()["built"] == 5000
    c = db.collection("rows", dim=16)
    c.add(range(5000), ROWS)
    for work in (
        lambda: c.create_index("hnsw", progress=tell),
        lambda: hither.Embedder()(["a text"] * 600, progress=tell),
        lambda: c.delete(range(0, 5000, 2)) and c.compact(progress=tell),
    ):
        told.clear()
        work()
        assert told and told[-1][0] == told[-1][1]
    assert (hither.Embedder()(["a", "b"], progress=tell) == hither.Embedder()(["a", "b"])).all()


def test_progress_stops_and_raises() -> None:
    def stop(done: int, total: int) -> bool:
        return False

    def fall(done: int, total: int) -> None:
        raise KeyError("mine")

    index = hither.Index(16, kind="hnsw")
    index.add(ROWS, wait=False)
    for work in (index.build, lambda progress: hither.Embedder()(["a"] * 300, progress=progress)):
        with pytest.raises(hither.InterruptedError):
            work(progress=stop)
        with pytest.raises(KeyError, match="mine"):
            work(progress=fall)
    assert index.info()["built"] < 5000
    index.build()


def test_true_is_a_bar_that_a_pipe_does_not_see(tmp_path: Path) -> None:
    code = (
        "import hither, numpy as np\n"
        "c = hither.connect(':memory:').collection('c', dim=4)\n"
        "c.add(range(3000), np.ones((3000, 4)))\n"
        "c.create_index('hnsw', progress=True)\n"
        "hither.Embedder()(['a'] * 300, progress=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert progress_module.told(False, "x") is None and isinstance(progress_module.told(True, "x"), hither.Bar)


def test_hits_in_notebooks(points: hither.Collection) -> None:
    shown = points.search([0, 0], k=3)._repr_html_()
    assert shown.count("<tr>") == 4 and "<th>distance</th>" in shown and "dritte ☃" in shown
    points.upsert(["<i>"], [[9, 9]], documents=["<script>" + "x" * 300], metadata=[{"a": "&"}])
    shown = points.get(["<i>"])._repr_html_()
    assert "&lt;i&gt;" in shown and "&lt;script&gt;" in shown and "x…" in shown and "<script>" not in shown
    points.add([f"n{n}" for n in range(30)], np.zeros((30, 2)))
    assert "20 of 35 hits" in points.search([0, 0], k=50)._repr_html_()
    assert "<tbody></tbody>" in points.get([])._repr_html_()


def test_hits_as_tables(points: hither.Collection) -> None:
    pytest.importorskip("pyarrow")
    hits = points.search([0, 0], k=4, include=("vector", "metadata", "document"))
    rows = hits.to_arrow().to_pylist()
    assert [row["id"] for row in rows] == ["a", "b", "c", "d"] and rows[1]["vector"] == [1.0, 0.0]
    assert [row["document"] for row in rows] == hits.documents and rows[0]["metadata"] == '{"n": 1}'
    assert points.get([]).to_arrow().num_rows == 0
    assert hits.to_arrow().column_names == ["id", "distance", "metadata", "document", "vector"]


def test_hits_as_frames(points: hither.Collection) -> None:
    hits = points.search([0, 0], k=4)
    pandas = pytest.importorskip("pandas")
    frame = hits.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and frame["metadata"][0] == {"n": 1} and len(frame) == 4
    pytest.importorskip("polars")
    assert hits.to_polars()["id"].to_list() == ["a", "b", "c", "d"]


def test_columns_of_arrow(db: hither.Database) -> None:
    pa = pytest.importorskip("pyarrow")
    c = db.collection("c", dim=2)
    vectors = pa.array([[0.0, 1.0], [1.0, 0.0], [3.0, 4.0]], pa.list_(pa.float32(), 2))
    c.add(pa.array([1, 2, 3]), vectors, documents=pa.chunked_array([["a", None], ["c"]]))
    c.add(pa.array([4]), pa.chunked_array([[[5.0, 5.0]]]), metadata=pa.array(['{"n": 1}']))
    assert c.get([1, 2, 3]).documents == ["a", None, "c"] and c[4].metadata == {"n": 1}
    assert c.search(pa.array([0.0, 2.0]), k=1).ids == [1]
    with pytest.raises(hither.InvalidError, match="no vector"):
        c.add([8, 9], pa.array([[1.0, 2.0], None]))


class Tensor:
    """A tensor as others' are: memory of its own, handed over by DLPack alone."""

    def __init__(self, array: np.ndarray, device: int = 1) -> None:
        self.array, self.device = array, device

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0


def test_tensors_are_read_where_they_lie() -> None:
    rows = ROWS[:100].copy()
    index = hither.Index.wrap(Tensor(rows))  # type: ignore[arg-type]
    assert index.info()["borrowed"]
    labels, _ = index.search(Tensor(rows[7]), k=1)  # type: ignore[arg-type]
    assert labels.tolist() == [7]
    assert hither.knn(Tensor(rows), Tensor(rows[:3]), k=1)[0].ravel().tolist() == [0, 1, 2]  # type: ignore[arg-type]
    half = hither.Index(16, dtype="f16")
    half.add(Tensor(rows.astype(np.float16)))  # type: ignore[arg-type]
    assert np.from_dlpack(half.search(rows[:2], k=1)[1]).shape == (2, 1)
    with pytest.raises(hither.InvalidError, match="another device"):
        index.search(Tensor(rows[0], device=2))  # type: ignore[arg-type]


def test_pictures_of_recall() -> None:
    pytest.importorskip("matplotlib")
    import hither.plot

    curve = [{"effort": e, "visited": e * 10, "recall10": e / 100, "recall100": 0.5} for e in (10, 20, 90)]
    axes = hither.plot.recall({"mine": {"curve": curve}, "yours": {"curve": curve}}, k=100)
    assert axes.get_ylabel() == "recall@100" and len(axes.lines) == 2
    with pytest.raises(hither.InvalidError, match="k is 7"):
        hither.plot.recall({"curve": curve}, k=7)


def test_what_a_class_says_of_itself_fits_a_screen() -> None:
    for name in hither.__all__:
        thing = getattr(hither, name)
        if isinstance(thing, type):
            assert len((thing.__doc__ or "").splitlines()) <= 60, name
    assert len((hither.__doc__ or "").splitlines()) <= 24
