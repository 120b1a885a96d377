"""Collection: rows of id, vector, metadata and document, searched exactly."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core, _search
from ._named import Named
from .arrays import (
    F32,
    FloatMatrix,
    Id,
    Ids,
    Metadata,
    Text,
    Texts,
    Where,
    array,
    count_of,
    ids as id_column,
    matrix,
    metadata_column,
    text_column,
    texts,
    vector_column,
    where_text,
)
from .errors import DimensionError, InvalidError, NotFoundError, TooLargeError
from .exact import check_k, check_threads
from .fields import Shape, Values
from .hits import Hit, Hits, Scan
from .keeping import Keeping
from .listing import DEFAULT_INCLUDE, Include, Listing, fusion_of, mode_of, search_options, words_of
from .tables import Tables


def _one_vector(query: object) -> FloatMatrix:
    if query is None:
        raise InvalidError("there is no query")
    vector = array(cast("ArrayLike", query), "query")
    if vector.ndim == 1:
        vector = vector.reshape(1, -1)
    if vector.ndim != 2 or len(vector) != 1:
        raise DimensionError(f"query has shape {vector.shape}; search takes one vector, search_many several")
    return matrix(vector, "query")


class Collection(Listing, Tables, Keeping):
    """Rows of id, vector, metadata and document. Made by `Database.collection`; any number of threads may use one.

    `len(c)` counts the rows, `c[id]` is the row with that id, and `id in c` asks for it. A write is visible and safe
    on disk as a whole when the call returns; one that raises has changed nothing.

    Examples
    --------
    >>> import numpy as np, hither
    >>> db = hither.connect(":memory:")
    >>> c = db.collection("points", dim=2, metric="l2")
    >>> c.upsert(["a", "b"], np.array([[0, 0], [3, 4]], np.float32), metadata=[{"n": 1}, {"n": 2}])
    2
    >>> hits = c.search([3, 3], k=2)
    >>> hits.ids, hits.distances.tolist()
    (['b', 'a'], [1.0, 18.0])
    >>> c["b"].metadata
    {'n': 2}
    >>> "z" in c, len(c)
    (False, 2)
    >>> db.close()
    """

    __slots__ = (
        "__weakref__",
        "_adopt",
        "_dim",
        "_dtype",
        "_embedder",
        "_handle",
        "_metric",
        "_ready",
        "_shape",
    )

    def __init__(self, handle: _core.Handle, adopt: Callable[[_core.Handle], None]) -> None:
        """For `Database` only. `adopt` is told of handles that must close with the database."""
        self._handle = handle
        self._adopt = adopt
        info = self.info()
        self._dim: int = info["dim"]
        self._metric: str = info["metric"]
        self._dtype: str = info["dtype"]
        self._embedder: str | None = info.get("embedder") or None
        self._shape = Shape(info)
        self._ready: list[Any] = []  # lent to plain searches; append and pop are atomic

    # ---- about

    def info(self) -> dict[str, Any]:
        """Name, dim, dtype, metric, id_kind, count, embedder, as they are now; fields and schema if there are some."""
        records = _core.collection_info(self._handle)
        row = Hits(records)[0]
        return {"name": row.id, **row.metadata}

    def _look(self) -> dict[str, Any]:
        """`info`; and what a reembedding changes is remembered as it is now."""
        info = self.info()
        self._dim = info["dim"]
        self._embedder = info.get("embedder") or None
        return info

    @property
    def name(self) -> str:
        """The collection's name, which `Database.rename` may change."""
        return cast("str", self.info()["name"])

    @property
    def dim(self) -> int:
        """Dimensions of its vectors, which `reembed` may change."""
        return self._dim if self._handle.closed else cast("int", self._look()["dim"])

    @property
    def metric(self) -> str:
        """What distance means here: "cosine", "dot", "l2" or "l1"."""
        return self._metric

    @property
    def dtype(self) -> str:
        """How a number of a vector is stored: "f32"."""
        return self._dtype

    @property
    def embedder(self) -> str | None:
        """The name of the embedder its vectors are of, or None."""
        return self._embedder if self._handle.closed else self._look().get("embedder") or None

    def count(self, *, where: Where | None = None, where_document: Where | None = None) -> int:
        """How many rows there are, or match a filter.

        Parameters
        ----------
        where : dict or JSON string, optional
            Conditions on the metadata; the guide's page on filters has all of them.
        where_document : dict or JSON string, optional
            Conditions on the document: `$contains`, `$not_contains`, `$regex`, `$and`, `$or`, `$not`.

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("points", dim=1)
        ...     _ = c.add([1, 2, 3], [[0.0], [1.0], [2.0]], metadata=[{"n": 1}, {"n": 2.5}, {"tags": ["a", "b"]}])
        ...     c.count(where={"n": {"$gt": 1}}), c.count(where={"tags": "b"}), c.count(where={"n": {"$ne": 1}})
        (1, 1, 2)
        """
        return _core.collection_count(self._handle, where_text(where, where_document))

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True  # an empty collection still is one

    # ---- writing

    def add(
        self,
        ids: Ids,
        vectors: ArrayLike | None = None,
        *,
        metadata: Metadata | Iterable[Metadata | None] | None = None,
        documents: Text | Iterable[Text | None] | None = None,
        fields: Values | None = None,
    ) -> int:
        """Write new rows.

        Parameters
        ----------
        ids : int, str, or a sequence or integer array of them, length n
            One kind in a collection; its first write decides which.
        vectors : array_like, shape (n, dim), optional
            May be left out where there are documents and the collection has an embedder.
        metadata : dict, JSON string, or a sequence of them, length n, optional
        documents : str or sequence of str, length n, optional
        fields : mapping, optional
            What the rows have in vector fields, by the field's name, length n each, None where a row has nothing: a
            vector a row; or an array of shape (m, dim); or a dict from index to value. See `Field`.

        Returns
        -------
        int
            Rows written.

        Raises
        ------
        ExistsError
            An id is known already or stands twice in the batch. Nothing was changed.
        """
        return self._put(_core.INSERT, ids, vectors, metadata, documents, fields)

    def upsert(
        self,
        ids: Ids,
        vectors: ArrayLike | None = None,
        *,
        metadata: Metadata | Iterable[Metadata | None] | None = None,
        documents: Text | Iterable[Text | None] | None = None,
        fields: Values | None = None,
    ) -> int:
        """Write rows, replacing whole rows of known ids; of an id that stands twice the last wins. See `add`.

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     notes = db.collection("notes", embedder=hither.Embedder())
        ...     notes.upsert([1, 2], documents=["a bird of prey", "a loaf of bread"])
        ...     notes.search("birds", k=1)[0].document
        2
        'a bird of prey'
        """
        return self._put(_core.UPSERT, ids, vectors, metadata, documents, fields)

    def update(
        self,
        ids: Ids,
        vectors: ArrayLike | None = None,
        *,
        metadata: Metadata | Iterable[Metadata | None] | None = None,
        documents: Text | Iterable[Text | None] | None = None,
        remove: str | Iterable[str] | None = None,
        fields: Values | None = None,
    ) -> int:
        """Change parts of rows: what is not given stays, and metadata keys are laid over those there. See `add`.

        Parameters
        ----------
        remove : str or iterable of str, optional
            Keys (of the top level) that the metadata of all these rows loses, before `metadata` is laid over it. A key
            set to None is not removed: null is a value.

        Raises
        ------
        NotFoundError
            An id is unknown. Nothing was changed.

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("points", dim=1)
        ...     _ = c.add([1], [[0.0]], metadata=[{"n": 1, "draft": True}])
        ...     _ = c.update([1], metadata=[{"n": 2}], remove="draft")
        ...     c[1].metadata
        {'n': 2}
        """
        return self._put(_core.UPDATE, ids, vectors, metadata, documents, fields, remove)

    def _put(
        self,
        mode: int,
        ids: Ids,
        vectors: ArrayLike | None,
        metadata: Metadata | Iterable[Metadata | None] | None,
        documents: Text | Iterable[Text | None] | None,
        fields: Values | None,
        remove: str | Iterable[str] | None = None,
    ) -> int:
        column = id_column(ids)
        count = count_of(column)
        rows = vector_column(vectors, count)
        objects = metadata_column(metadata, count)
        bodies = text_column(documents, count, "documents")
        keys = None if remove is None else texts([remove] if isinstance(remove, str) else list(remove), "remove")
        if count == 0:
            self._handle.check()
            return 0
        return _core.collection_put(
            self._handle, mode, column, rows, objects, bodies, keys, self._shape.columns(fields)
        )

    def delete(self, ids: Ids | None = None, *, where: Where | None = None, where_document: Where | None = None) -> int:
        """Delete rows by id, by filter (see `count`), or those with these ids that match; all of them or none.

        Unknown ids are passed over.

        Returns
        -------
        int
            Rows deleted.
        """
        conditions = where_text(where, where_document)
        if ids is None:
            if conditions is None:
                raise InvalidError("neither ids nor where say what to delete")
            return _core.collection_delete(self._handle, None, conditions)
        column = id_column(ids)
        if not count_of(column):
            return 0
        return _core.collection_delete(self._handle, column, conditions)

    # ---- reading

    def get(
        self,
        ids: Ids,
        include: Include = DEFAULT_INCLUDE,
        *,
        where: Where | None = None,
        where_document: Where | None = None,
    ) -> Hits:
        """The rows with these ids, in the order asked; unknown ids, and rows that do not match, are left out.

        Parameters
        ----------
        ids : int, str, or a sequence of them
        where, where_document : dict or JSON string, optional
            See `count`.
        include : str or iterable of {"vector", "metadata", "document", "fields"} and names of fields
        """
        flags = self._include(include)
        conditions = where_text(where, where_document)
        column = id_column(ids)
        if not count_of(column):
            column = np.empty(0, np.int64)
            records = _core.Records(0, [], None, None, None, None)
            self._handle.check()
        else:
            records = _core.collection_get(self._handle, column, conditions, flags)
        return Hits(records, empty_dim=self._empty_dim(flags))

    def __getitem__(self, id: Id) -> Hit:
        found = self.get([id], ("vector", "metadata", "document", "fields"))
        if not found:
            raise NotFoundError(f"collection {self.name!r} has no id {id!r}")
        return found[0]

    def __contains__(self, id: object) -> bool:
        if isinstance(id, bool) or not isinstance(id, (str, int, np.integer)):
            return False
        try:
            return len(self.get([cast("Id", id)], ())) == 1
        except (InvalidError, TooLargeError):  # of the other kind, or no possible id
            self._handle.check()
            return False

    def __iter__(self) -> NoReturn:
        raise TypeError("a Collection is not iterable by itself; use scan(), which says what it reads")

    def search(
        self,
        query: ArrayLike | str | Mapping[int, float] | None = None,
        k: int = 10,
        *,
        where: Where | None = None,
        where_document: Where | None = None,
        include: Include = DEFAULT_INCLUDE,
        max_distance: float | None = None,
        group_by: str | None = None,
        group_size: int = 1,
        diversity: float = 0.0,
        candidates: int | None = None,
        text: str | None = None,
        mode: str | None = None,
        fusion: str | None = None,
        vector_weight: float | None = None,
        recall: float | None = None,
        ef: int | None = None,
        nprobe: int | None = None,
        field: str | None = None,
        beside: Mapping[str, Any] | None = None,
    ) -> Hits:
        """The k rows nearest to one vector or text, or best by words, or by both; ties in order of writing.

        Parameters
        ----------
        query : array_like, shape (dim,), or str
            A text is embedded by the collection's embedder. By keywords alone, it is the words.
        k : int
            The answer has min(k, rows that match) hits.
        where, where_document : dict or JSON string, optional
            Which rows may be hits; see `count`.
        include : str or iterable of {"vector", "metadata", "document", "fields"} and names of fields
        max_distance : float, optional
            Only rows at most this far.
        group_by : str, optional
            A metadata field, by its path: the k best groups of rows with equal values there, best group first, each
            with its `group_size` nearest rows. Rows without a string, number or bool there are left out.
        group_size : int
        diversity : float
            Above 0 and up to 1: of the nearest `candidates` rows, k that are near and unlike one another.
        candidates : int, optional
            Of a diverse search, or what each half of a hybrid one brings. None: 4 * k, at least 64.
        text : str, optional
            The words of a search by keywords, if they are not the query: words, "phrases", begin*, +must, -not.
        mode : {"vector", "keyword", "hybrid"}, optional
            None: "hybrid" where there is a `text`, else "vector". The hits of the other two have `scores`.
        fusion : {"rrf", "weighted"}, optional
            How a hybrid search makes one order of two; the guide's page on keywords has the formulas.
        vector_weight : float, optional
            The share of the vectors in a hybrid search, between 0 and 1. None: 0.5.
        recall, ef, nprobe : optional
            With an index (`create_index`): the share of the true answers that is enough, on average (None: 0.95; 1 is
            exact), or in its place candidates on the walk ("hnsw") or lists looked into ("ivf").

        field : str, optional
            Search this vector field instead of the rows' own vectors; rows that have nothing in it are no hits. The
            query of a "multi" field is an array of shape (m, dim), of a "sparse" one a dict from index to value.
        beside : mapping, optional
            The name of one more field, and a query of it: both are asked, and fused as words are.

        Returns
        -------
        Hits

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("points", dim=1, metric="l2")
        ...     _ = c.add([1, 2, 3], [[0.0], [1.0], [2.0]], metadata=[{"of": "a"}, {"of": "a"}, {"of": "b"}])
        ...     c.search([0.0], max_distance=1.0).ids, c.search([0.0], group_by="of").ids
        ([1, 2], [1, 3])
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("birds", embedder=hither.Embedder())
        ...     _ = c.add([1, 2, 3], documents=["a hawk", "a hawk and an owl", "an owl"])
        ...     c.search('owl -"a hawk"', mode="keyword").ids, c.search("hawk", mode="hybrid").ids
        ([3], [1, 2, 3])
        """
        if (
            type(query) is np.ndarray
            and query.dtype is F32
            and query.ndim == 1
            and type(k) is int
            and 0 < k <= _core.MAX_K
            and include is DEFAULT_INCLUDE
            and group_size == 1
            and diversity == 0.0
            and where_document is None
            and max_distance is None
            and group_by is None
            and candidates is None
            and text is None
            and mode is None
            and fusion is None
            and vector_weight is None
            and recall is None
            and ef is None
            and nprobe is None
            and field is None
            and beside is None
        ):
            return self._plain(query, k, None if where is None else where_text(where, None))
        asked = mode_of(mode, text)
        how = fusion_of("hybrid" if beside else asked, fusion, vector_weight)
        options = search_options(
            where,
            where_document,
            self._include(include),
            0,
            max_distance,
            group_by,
            group_size,
            diversity,
            candidates,
            *how,
            recall,
            ef,
            nprobe,
            field,
        )
        words = words_of(query, text, asked)
        more = self._beside({name: [value] for name, value in (beside or {}).items()}, field)
        if asked == "keyword":
            return self._search(k, options, keywords=words, named=more)[0]
        if self._shape.blocks(field):
            return self._search(k, options, keywords=words, named=self._shape.column(str(field), [query]))[0]
        if isinstance(query, (str, bytes)):
            return self._search(k, options, texts=texts([query], "query"), keywords=words, named=more)[0]
        return self._search(k, options, vectors=_one_vector(query), keywords=words, named=more)[0]

    def search_many(
        self,
        queries: ArrayLike | Sequence[str] | None = None,
        k: int = 10,
        *,
        where: Where | None = None,
        where_document: Where | None = None,
        include: Include = DEFAULT_INCLUDE,
        max_distance: float | None = None,
        group_by: str | None = None,
        group_size: int = 1,
        diversity: float = 0.0,
        candidates: int | None = None,
        threads: int | None = None,
        text: Sequence[str] | None = None,
        mode: str | None = None,
        fusion: str | None = None,
        vector_weight: float | None = None,
        recall: float | None = None,
        ef: int | None = None,
        nprobe: int | None = None,
        field: str | None = None,
        beside: Mapping[str, Sequence[Any]] | None = None,
    ) -> list[Hits]:
        """As `search` for each of several queries, in one call and on all cores.

        Parameters
        ----------
        queries : array_like, shape (n, dim), or sequence of str
        where, where_document : dict or JSON string, optional
            For all queries; see `count`.
        threads : int, optional
            None: all cores. Searches by words run on one.
        text : sequence of str, optional
            The words, one text a query.
        """
        if isinstance(queries, (str, bytes)):
            raise InvalidError("search_many takes a list of texts or a two-dimensional array; search takes one text")
        asked = mode_of(mode, text)
        if isinstance(text, (str, bytes)):
            raise InvalidError("text of search_many is a list, one for each query")
        options = search_options(
            where,
            where_document,
            self._include(include),
            check_threads(threads),
            max_distance,
            group_by,
            group_size,
            diversity,
            candidates,
            *fusion_of("hybrid" if beside else asked, fusion, vector_weight),
            recall,
            ef,
            nprobe,
            field,
        )
        more = self._beside(beside, field)
        of_text = isinstance(queries, Sequence) and len(queries) > 0 and isinstance(queries[0], (str, bytes))
        words = None
        if asked != "vector":
            if text is None and not of_text:
                raise InvalidError(f'mode="{asked}" needs words: texts as the queries, or text')
            words = texts(cast("Sequence[str]", queries) if text is None else text, "text")
        if asked == "keyword":
            if text is not None and queries is not None:
                raise InvalidError('mode="keyword" takes its words as the queries or as text, not both')
            return self._search(k, options, keywords=words, named=more)
        if self._shape.blocks(field):
            column = self._shape.column(str(field), queries)
            return self._search(k, options, keywords=words, named=column) if column.count else []
        if of_text:
            column_of = texts(cast("Sequence[str]", queries), "query")
            return self._search(k, options, texts=column_of, keywords=words, named=more)
        rows = matrix(cast("ArrayLike", queries), "queries")
        if not len(rows):
            check_k(k)
            self._handle.check()
            return []
        return self._search(k, options, vectors=rows, keywords=words, named=more)

    def similar(
        self,
        id: Id,
        k: int = 10,
        *,
        where: Where | None = None,
        where_document: Where | None = None,
        include: Include = DEFAULT_INCLUDE,
        max_distance: float | None = None,
        field: str | None = None,
    ) -> Hits:
        """The k rows nearest to the row with this id, which is one of them where it matches the filter.

        Raises
        ------
        NotFoundError
            The id is unknown.
        """
        options = search_options(where, where_document, self._include(include), 0, max_distance, field=field)
        return self._search(k, options, ids=id_column([id]))[0]

    def _search(
        self,
        k: int,
        options: _search.Options,
        *,
        vectors: FloatMatrix | None = None,
        texts: Texts | None = None,
        ids: NDArray[np.int64] | Texts | None = None,
        keywords: Texts | None = None,
        named: Named | None = None,
    ) -> list[Hits]:
        found = _search.collection_search(
            self._handle, check_k(k), options, vectors=vectors, texts=texts, ids=ids, keywords=keywords, named=named
        )
        alone = (vectors is not None) + (texts is not None) + (ids is not None) + (named is not None) == 1
        return self._hits(found, options, keywords is not None or not alone)

    def _beside(self, beside: Mapping[str, Sequence[Any]] | None, field: str | None) -> Named | None:
        """The queries of one more field, if there are some."""
        if not beside:
            return None
        if len(beside) > 1 or self._shape.blocks(field):
            raise InvalidError("beside takes one field, beside vectors or texts or words")
        return next(iter(self._shape.columns(beside)))

    def scan(
        self,
        batch: int = 1024,
        *,
        where: Where | None = None,
        where_document: Where | None = None,
        include: Include = DEFAULT_INCLUDE,
    ) -> Scan:
        """Iterate over the rows as they are now, in order of writing; later writes do not touch the scan.

        Parameters
        ----------
        batch : int
            Rows fetched at a time.
        where, where_document : dict or JSON string, optional
            Which rows; see `count`.
        include : str or iterable of {"vector", "metadata", "document", "fields"} and names of fields

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("points", dim=1)
        ...     _ = c.add([3, 1, 2], [[0.0], [1.0], [2.0]])
        ...     [hit.id for hit in c.scan()]
        [3, 1, 2]
        """
        limit = operator.index(batch)
        if limit < 1:
            raise InvalidError(f"batch is {limit}; fetch at least 1 row at a time")
        flags = self._include(include)
        handle = _core.collection_scan(self._handle, where_text(where, where_document), flags)
        self._adopt(handle)
        return Scan(handle, limit, flags)

    def search_on(
        self,
        query: ArrayLike | str,
        batch: int = 100,
        *,
        where: Where | None = None,
        where_document: Where | None = None,
        include: Include = DEFAULT_INCLUDE,
        max_distance: float | None = None,
        recall: float | None = None,
        ef: int | None = None,
        nprobe: int | None = None,
    ) -> Scan:
        """A search that goes on: iterate over the rows as they are now, the nearest first, for as long as you want.

        Parameters
        ----------
        query : array_like, shape (dim,), or str
        batch : int
            Hits looked for at a time.
        where, where_document, include, max_distance, recall, ef, nprobe : optional
            As for `search`. No row comes twice; with a recall below 1, one that a step has missed may come in a later
            step, behind rows that are farther.

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("points", dim=1, metric="l2")
        ...     _ = c.add([3, 1, 2], [[0.0], [1.0], [2.0]])
        ...     [(hit.id, hit.distance) for hit in c.search_on([2.5], batch=2)]
        [(2, 0.25), (1, 2.25), (3, 6.25)]
        """
        limit = check_k(operator.index(batch))
        flags = self._include(include)
        how = fusion_of("vector", None, None)
        options = search_options(
            where, where_document, flags, 0, max_distance, None, 1, 0.0, None, *how, recall, ef, nprobe, None
        )
        words = texts([query], "query") if isinstance(query, (str, bytes)) else None
        vectors = None if words is not None else _one_vector(query)
        handle = _search.collection_search_on(self._handle, options, vectors, words)
        self._adopt(handle)
        return Scan(handle, limit, flags)

    # ---- the object

    def close(self) -> None:
        """Let go of the collection; the database stays open. Closing the database does it as well."""
        self._handle.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Collection cannot be pickled; pass the path and the name, and connect in the other process")

    def __repr__(self) -> str:
        if self._handle.closed:
            return "<hither.Collection, closed>"
        info = self.info()
        return (
            f"<hither.Collection {json.dumps(info['name'], ensure_ascii=False)}: {info['count']} rows, "
            f"{self._dim} dimensions, {self._metric}{', ' + self._embedder if self._embedder else ''}>"
        )
