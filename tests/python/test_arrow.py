"""Arrow and Parquet: a round trip is equal, tables of others come in, and what makes no sense is refused by row."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import hither
import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402


def rows_of(c: hither.Collection) -> list[tuple[Any, ...]]:
    include = ("vector", "metadata", "document")

    def metadata(hit: hither.Hit) -> str | None:  # as it is stored, to the byte
        column = hit._hits._metadata
        return None if column is None else column.get(hit._row)

    return [
        (hit.id, hit.vector.tobytes(), metadata(hit), hit.document)
        for hit in c.scan(7, include=include)
        if hit.vector is not None
    ]


def filled(db: hither.Database, kind: type, count: int = 50) -> hither.Collection:
    c = db.collection("points", dim=3, metric="l2")
    c.set_ttl(10**8)
    rng = np.random.default_rng(3)
    ids = [kind(n) if kind is int else f"é{n}\U0001f989" for n in range(count)]
    metadata = [None if n % 3 == 0 else f'{{ "n" :{n},  "t":"\\u00e9", "_expires": 99999999999}}' for n in range(count)]
    documents = [None if n % 4 == 0 else "" if n % 4 == 1 else f"text {n}" for n in range(count)]
    c.add(ids, rng.random((count, 3), np.float32), metadata=metadata, documents=documents)
    c.delete(ids[5:7])
    return c


@pytest.mark.parametrize("kind", [int, str])
def test_round_trip_is_equal(kind: type, tmp_path: Path) -> None:
    with hither.connect(tmp_path / "a.hither") as db, hither.connect(":memory:") as other:
        c = filled(db, kind)
        assert c.to_parquet(tmp_path / "p.parquet") == 48
        assert other.import_parquet("back", tmp_path / "p.parquet") == 48
        back = other["back"]
        assert rows_of(back) == rows_of(c)
        names = ("dim", "metric", "dtype", "id_kind", "count")
        assert [back.info()[name] for name in names] == [c.info()[name] for name in names]
        assert back.info().get("ttl") == c.info().get("ttl")
        assert other.import_arrow("more", c.to_arrow()) == 48
        assert rows_of(other["more"]) == rows_of(c)
        table = pq.read_table(tmp_path / "p.parquet")
        assert table.schema.field("vector").type == pa.list_(pa.float32(), 3)
        assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


FIELDS = {
    "title": hither.Field(3, metric="l1"),
    "words": hither.Field(2, kind="multi", most=5),
    "terms": hither.Field(kind="sparse", most=7),
    "nothing": 4,
}


def with_fields(db: hither.Database, name: str = "papers", count: int = 30) -> hither.Collection:
    c = db.collection(name, dim=2, fields=FIELDS)
    rng = np.random.default_rng(5)
    title = [None if n % 3 == 0 else rng.standard_normal(3).astype(np.float32) for n in range(count)]
    words = [None if n % 4 == 0 else rng.standard_normal((n % 6, 2)).astype(np.float32) for n in range(count)]
    terms = [None if n % 5 == 0 else {2**32 - 1 - n * i: rng.random() + i for i in range(n % 8)} for n in range(count)]
    title[1:2] = [np.array([-0.0, 1e-45, 3.4028235e38], np.float32)][:count]
    c.add(range(count), rng.random((count, 2)), fields={"title": title, "words": words, "terms": terms})
    c.delete([5, 6])
    return c


def fields_of(c: hither.Collection) -> list[Any]:
    def bits(value: Any) -> Any:
        return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value

    return [(hit.id, [bits(value) for value in hit.fields.values()]) for hit in c.scan(7, include="fields")]


def test_vector_fields_come_back(tmp_path: Path) -> None:
    with hither.connect(":memory:") as db:
        c = with_fields(db)
        table = c.to_arrow()
        assert table.column_names[4:] == ["fields.title", "fields.words", "fields.terms", "fields.nothing"]
        assert table["fields.nothing"].null_count == table.num_rows == c.to_parquet(tmp_path / "p") == 28
        db.import_arrow("sliced", table.slice(9, 11))
        assert fields_of(db["sliced"]) == fields_of(c)[9:20] and any(entry[1][1] for entry in fields_of(db["sliced"]))
        db.import_parquet("parquet", tmp_path / "p")
        db.import_arrow("arrow", table)
        db.import_arrow("empty", with_fields(db, "few", 0).to_arrow())
        for name in ("parquet", "arrow"):
            assert fields_of(db[name]) == fields_of(c) and rows_of(db[name]) == rows_of(c)
        for name in ("parquet", "arrow", "empty", "sliced"):
            assert db[name].info()["fields"] == c.info()["fields"]
            assert db[name][1].metadata is None if name in ("parquet", "arrow") else True
        # data frames lose what the schema says: a collection that has the fields takes the columns nevertheless
        plain = table.replace_schema_metadata(None)
        db.collection("plain", dim=2, fields=FIELDS)
        db.import_arrow("plain", plain)
        assert fields_of(db["plain"]) == fields_of(c)


def test_vector_fields_that_make_no_sense() -> None:
    def column(name: str, values: Any) -> Any:
        return pa.table({"id": [1, 2], "vector": [[1.0, 2.0]] * 2, f"fields.{name}": values})

    with hither.connect(":memory:") as db:
        table = with_fields(db).to_arrow()
        db.collection("bare", dim=2)
        with pytest.raises(hither.InvalidError, match="no vector field 'title'"):
            db.import_arrow("bare", table)
        for name, values, kind, says in [
            ("title", [[1.0], None], hither.DimensionError, r"'fields.title', rows from 0 on: they have 1 dim"),
            ("title", ["x", None], hither.InvalidError, "lists of numbers"),
            ("words", [[[1.0]], None], hither.DimensionError, "1 dimensions, not 2"),
            ("words", [[[1.0, 2.0], None], None], hither.InvalidError, "no vector"),
            ("words", [7, None], hither.InvalidError, "may be lists"),
            ("terms", [[1.0], None], hither.InvalidError, "structs of index and value"),
            ("terms", [[{"index": -1, "value": 1.0}], None], hither.InvalidError, "index is not below"),
            ("terms", [[{"index": 1, "value": None}], None], hither.InvalidError, "an entry is missing"),
        ]:
            with pytest.raises(kind, match=says):
                db.import_arrow("papers", column(name, values))


def test_a_schema_comes_back() -> None:
    with hither.connect(":memory:") as db:
        c = db.collection("people", dim=1, schema={"fields": {"age": "int"}})
        c.add([1], [[1.0]], metadata=[{"age": 3}])
        db.import_arrow("again", c.to_arrow())
        assert db["again"].info()["schema"] == c.info()["schema"]
        with pytest.raises(hither.InvalidError):
            db["again"].add([2], [[1.0]], metadata=[{"age": "x"}])


def test_nothing_but_a_schema_makes_the_collection_again() -> None:
    with hither.connect(":memory:") as db:
        table = db.collection("none", dim=5, metric="dot").to_arrow()
        assert table.num_rows == 0 and db.import_arrow("again", table) == 0
        assert (db["again"].dim, db["again"].metric) == (5, "dot")


def test_an_embedder_comes_back_and_embeds() -> None:
    with hither.connect(":memory:") as db:
        c = db.collection("birds", embedder=hither.Embedder())
        c.add([1, 2], documents=["a hawk", "an owl"])
        db.import_arrow("again", c.to_arrow())
        assert db["again"].embedder == c.embedder and db["again"].search("owl", k=1).ids == [2]
        db.collection("texts", embedder=hither.Embedder())
        db.import_arrow("texts", pa.table({"id": [1, 2], "document": ["a hawk", "an owl"]}))
        assert db["texts"].search("owl", k=1).ids == [2]


def test_many_batches_and_filters(tmp_path: Path) -> None:
    with hither.connect(":memory:") as db:
        c = db.collection("many", dim=2)
        rows = np.random.default_rng(1).random((10_000, 2), np.float32)
        c.add(range(10_000), rows, metadata=[{"even": n % 2 == 0} for n in range(10_000)])
        seen: list[tuple[int, int]] = []
        c.to_parquet(tmp_path / "p", progress=lambda done, total: seen.append((done, total)))
        assert seen == [(4096, 10_000), (8192, 10_000), (10_000, 10_000)]
        assert c.to_arrow(where={"even": True}).num_rows == 5000
        db.import_parquet("again", tmp_path / "p")
        assert rows_of(db["again"]) == rows_of(c)
        with pytest.raises(hither.InterruptedError):
            db.import_parquet("third", tmp_path / "p", progress=lambda done, total: False)
        assert len(db["third"]) == 4096  # whole batches
        (tmp_path / "p2").write_text("old")
        with pytest.raises(hither.InterruptedError):
            c.to_parquet(tmp_path / "p2", progress=lambda done, total: False)
        assert (tmp_path / "p2").read_text() == "old" and len(list(tmp_path.iterdir())) == 2


def test_tables_of_others() -> None:
    table = pa.table(
        {
            "key": pa.array(["a", "b", "c"]).dictionary_encode(),
            "embedding": pa.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], pa.list_(pa.float64())),
            "lang": ["en", None, "de"],
            "day": [date(2020, 1, 2), date(2020, 1, 3), None],
            "stars": [1.5, float("nan"), 3.0],
            "tags": [["x"], [], None],
        }
    )
    with hither.connect(":memory:") as db:
        assert db.import_arrow("c", table, id="key", vector="embedding") == 3
        c = db["c"]
        assert c.dim == 2
        assert c["a"].metadata == {"lang": "en", "day": "2020-01-02", "stars": 1.5, "tags": ["x"]}
        assert c["b"].metadata == {"day": "2020-01-03", "tags": []}
        struct = pa.table({"id": [1, 2], "vector": [[1.0], [2.0]], "metadata": [{"a": 1, "b": None}, None]})
        db.import_arrow("d", struct)
        assert (db["d"][1].metadata, db["d"][2].metadata) == ({"a": 1}, None)
        mixed = pa.table({"id": [1], "vector": [[1.0]], "metadata": ['{"a": 1}'], "extra": [7]})
        db.import_arrow("e", mixed)
        assert db["e"][1].metadata == {"a": 1, "extra": 7}
        sliced = pa.table({"id": range(10), "vector": [[float(n), 0.0] for n in range(10)]}).slice(4, 3)
        db.import_arrow("f", sliced)
        assert [hit.id for hit in db["f"].scan()] == [4, 5, 6]
        assert db["f"].get([5], "vector").vectors.tolist() == [[5.0, 0.0]]  # type: ignore[union-attr]
        fixed = sliced.set_column(1, "vector", sliced["vector"].cast(pa.list_(pa.float32(), 2)))
        db.import_arrow("g", pa.RecordBatchReader.from_batches(fixed.schema, fixed.to_batches()))
        assert db["g"].get([6], "vector").vectors.tolist() == [[6.0, 0.0]]  # type: ignore[union-attr]


def test_modes() -> None:
    with hither.connect(":memory:") as db:
        one = pa.table({"id": [1], "vector": [[1.0]], "n": [1]})
        db.import_arrow("c", one, mode="add")
        with pytest.raises(hither.ExistsError):
            db.import_arrow("c", one, mode="add")
        db.import_arrow("c", pa.table({"id": [1], "m": [2]}), mode="update")
        assert db["c"][1].metadata == {"n": 1, "m": 2}
        with pytest.raises(hither.InvalidError, match="mode"):
            db.import_arrow("c", one, mode="replace")  # type: ignore[arg-type]


@pytest.mark.parametrize("seen", ["pandas", "polars"])
def test_data_frames(seen: str) -> None:
    frames = pytest.importorskip(seen)
    data = {"id": [3, 4], "vector": [[0.0, 1.0], [1.0, 0.0]], "lang": ["en", "de"]}
    with hither.connect(":memory:") as db:
        assert db.import_arrow("c", frames.DataFrame(data)) == 2
        assert db["c"][4].metadata == {"lang": "de"}


@pytest.mark.parametrize(
    ("columns", "kind", "says"),
    [
        ({"key": [1]}, hither.InvalidError, "no column 'id'"),
        ({"id": [1, None], "vector": [[1.0], [1.0]]}, hither.InvalidError, "row 1 has no id"),
        ({"id": [1.5], "vector": [[1.0]]}, hither.InvalidError, "ids are double"),
        ({"id": [1, 2], "vector": [[1.0], None]}, hither.InvalidError, "row 1 has no vector"),
        ({"id": [1, 2], "vector": [[1.0], [1.0, 2.0]]}, hither.DimensionError, "row 1 has 2 dimensions"),
        ({"id": [1], "vector": [[None]]}, hither.InvalidError, "missing number"),
        ({"id": [1], "vector": ["x"]}, hither.InvalidError, "lists of numbers"),
        ({"id": [1], "vector": [[1.0]], "metadata": ["{"]}, hither.SyntaxError, "metadata"),
        ({"id": [1], "vector": [[1.0]], "metadata": ["{"], "n": [1]}, hither.InvalidError, "row 0: the metadata"),
        ({"id": [1], "vector": [[1.0]], "blob": [b"x"]}, hither.InvalidError, "row 0: a bytes"),
        ({"id": [1], "vector": [[1.0]], "document": [1]}, hither.InvalidError, "document is int64"),
        ({"id": [1], "vector": [[float("nan")]]}, hither.NotFiniteError, "row 0"),
    ],
)
def test_what_makes_no_sense(columns: dict[str, list[Any]], kind: type[Exception], says: str) -> None:
    with hither.connect(":memory:") as db, pytest.raises(kind, match=says):
        db.import_arrow("c", pa.table(columns))


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"PAR1 no")
    with hither.connect(":memory:") as db:
        with pytest.raises(hither.InvalidError, match="no Parquet file"):
            db.import_parquet("c", tmp_path / "x")
        with pytest.raises(FileNotFoundError):
            db.import_parquet("c", tmp_path / "y")
        with pytest.raises(hither.InvalidError, match="is no table"):
            db.import_arrow("c", 7)
        newer = pa.table({"id": [1]}).replace_schema_metadata({b"hither": b'{"format": 2}'})
        with pytest.raises(hither.InvalidError, match="newer"):
            db.import_arrow("c", newer)


def test_without_pyarrow_the_error_says_what_to_do() -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import hither\n"
        "try: hither.connect(':memory:').collection('c', dim=1).to_arrow()\n"
        "except hither.UnsupportedError as error: assert 'pip install pyarrow' in str(error); print('said')\n"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout == "said\n"


def test_importing_hither_does_not_import_pyarrow() -> None:
    subprocess.run([sys.executable, "-c", "import sys, hither; assert 'pyarrow' not in sys.modules"], check=True)
