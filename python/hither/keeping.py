"""What a collection is told to be like: its schema, how long rows live, an index, another embedder."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from . import _core
from .arrays import schema_text
from .embed import Embedder
from .errors import InvalidError


class Keeping:
    """The part of a `Collection` that says how its rows are kept."""

    __slots__ = ()

    _handle: _core.Handle

    def _look(self) -> dict[str, Any]:
        """Of `Collection`."""
        raise NotImplementedError

    def set_schema(self, schema: Mapping[str, Any] | str | None) -> None:
        """Say what rows must be like from now on.

        Parameters
        ----------
        schema : mapping, str or None
            ``{"fields": {PATH: TYPE, ...}}``. A type is ``"any"``, ``"bool"``, ``"int"``, ``"float"`` (any number) or
            ``"string"``, or one of them with ``[]`` behind it for arrays; or ``{"type": TYPE, "required": True,
            "unique": True}``. Other fields are free, unless ``"closed": True`` stands beside ``"fields"``. None:
            anything goes again. Stored with the collection; `info` shows it.

        Raises
        ------
        InvalidError, ExistsError
            It makes no sense, or a row that is there does not fit: the message names the row and the field. Writes
            that do not fit raise the same.

        Examples
        --------
        >>> import hither
        >>> db = hither.connect(":memory:")
        >>> c = db.collection("people", dim=2)
        >>> c.set_schema({"fields": {"mail": {"type": "string", "unique": True}, "age": "int"}})
        >>> c.upsert([1], [[0, 1]], metadata=[{"mail": "a@b.org", "age": 40}])
        1
        >>> c.upsert([2], [[0, 1]], metadata=[{"mail": "a@b.org"}])
        Traceback (most recent call last):
        ...
        hither.errors.ExistsError: row 0: 'mail' is "a@b.org", as in the row with id 1; the schema says it is unique
        >>> db.close()
        """
        _core.collection_set_schema(self._handle, None if schema is None else schema_text(schema))

    def set_ttl(self, seconds: float | None) -> None:
        """Let rows end by themselves.

        A row says when in its metadata: ``"_expires"``, in seconds since 1970 (``time.time() + 60``). From then on it
        is in no answer, and `expire`, `compact` and `purge` remove it.

        Parameters
        ----------
        seconds : float or None
            What rows inserted or upserted from now on live that do not say, in whole seconds; 0: for ever. None, as in
            new collections: nobody looks at ``"_expires"``. Stored with the collection.

        Examples
        --------
        >>> import hither
        >>> db = hither.connect(":memory:")
        >>> c = db.collection("sessions", dim=2)
        >>> c.set_ttl(0)
        >>> c.upsert(["old", "new"], [[0, 1], [1, 0]], metadata=[{"_expires": 1000}, {}])
        2
        >>> len(c), c.scan().__next__().id
        (1, 'new')
        >>> c.expire()
        1
        >>> db.close()
        """
        _core.collection_set_ttl(self._handle, _core.TTL_OFF if seconds is None else operator.index(int(seconds)))

    def expire(self) -> int:
        """Delete the rows that have expired, and say how many there were."""
        return _core.collection_expire(self._handle)

    def compact(self, progress: _core.Progress | None = None) -> None:
        """`Database.compact` of this collection alone."""
        _core.collection_compact(self._handle, progress)

    def create_index(
        self,
        kind: str = "hnsw",
        *,
        m: int = 0,
        ef_build: int = 0,
        bits: int = 0,
        lists: int = 0,
        seed: int = 0,
        progress: _core.Progress | None = None,
    ) -> None:
        """Give the collection an index, made of the rows there are before this returns; "exact" takes it away.

        It is a cache beside the rows. Searches and writes go on meanwhile; rows that come later are searched exactly
        beside it until a thread of the library has built them in. A search uses it where it costs less than an exact
        one, for k up to 1,000, and finds `recall` of the true answers; `hits.plan` says what ran.

        Parameters
        ----------
        kind : {"hnsw", "ivf", "auto", "exact"}
            "auto" picks: answers stay exact, and searches that ask for a recall below 1 get a graph once there are
            10,000 rows, or lists where they take more than half of the memory there is.
        m, ef_build, bits, lists, seed : int, optional
            As for `Index`; 0 is the default.
        progress : callable, optional
            Called now and then with the rows done and the rows there are; False stops it.

        Examples
        --------
        >>> import hither, numpy as np
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("points", dim=16)
        ...     rows = np.random.default_rng(1).standard_normal((5000, 16), np.float32)
        ...     _ = c.add(range(5000), rows)
        ...     c.create_index("hnsw")
        ...     c.search(rows[7], k=1, recall=0.95).ids
        [7]
        """
        if kind not in _core.KINDS:
            raise InvalidError(f'kind is {kind!r}; there are "hnsw", "ivf", "auto" and "exact"')
        _core.collection_create_index(self._handle, _core.KINDS[kind], m, ef_build, bits, lists, seed, progress)

    def reembed(self, embedder: Embedder, progress: _core.Progress | None = None) -> None:
        """Move to another embedder: every row gets the vector that it makes of the row's document.

        Searches and writes go on meanwhile, by the old embedder; then, at one moment, all rows are the new one's.
        This process embeds texts by it from then on; others have to open the collection with it. Stopped or failed, it
        has changed nothing.

        Parameters
        ----------
        progress : callable, optional
            Called now and then with the rows done and the rows there are; False stops it.

        Raises
        ------
        InvalidError
            A row has no document; the message names it.

        Examples
        --------
        >>> import hither
        >>> with hither.connect(":memory:") as db:
        ...     c = db.collection("birds", dim=2)
        ...     _ = c.add([1, 2], [[0, 1], [1, 0]], documents=["a hawk", "an owl"])
        ...     c.reembed(hither.Embedder())
        ...     c.dim, c.embedder, c.search("owl", k=1).ids
        (384, 'builtin-1', [2])
        """
        if not isinstance(embedder, Embedder):
            raise InvalidError(f"embedder is a {type(embedder).__name__}, not a hither.Embedder")
        _core.collection_reembed(self._handle, embedder._handle, progress)
        self._look()
