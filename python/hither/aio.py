"""hither for asyncio: the same classes with the same methods, to be awaited.

    async with hither.aio.connect(path) as db:
        c = await db.collection("notes", dim=384)
        hits = await c.search(vector)

Each call runs in a thread of a pool of this module's own, while the event loop goes on; the library drops the GIL, so
calls run truly side by side. What must stay true: a call that is cancelled has ended when `asyncio.CancelledError`
comes out of it, and it did all of its work or nothing. One that was still waiting for a thread never begins; long work
(what has a `progress`, `backup`, `verify` and `repair`) is stopped; the end of any other call is waited for.

Calls that were begun together, as by `asyncio.gather`, run in any order.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, Literal, NoReturn, ParamSpec, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import (
    _core,
    _jobs,
    collection as _collection,
    db as _db,
    exact as _exact,
    hits as _hits,
    index as _index,
    window as _window,
)
from .arrays import Id, Where
from .embed import Embedder
from .errors import InterruptedError
from .fields import Fields
from .hits import Hit
from .listing import DEFAULT_INCLUDE, Include
from .progress import told

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

# ---- threads

_lock = threading.Lock()
_threads: ThreadPoolExecutor | None = None


def _forget() -> None:
    """In a forked child: the parent's threads are not here."""
    global _threads, _lock
    _threads, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def _submit(work: Callable[[], R]) -> Future[R]:
    global _threads
    with _lock:
        if _threads is None:
            _threads = ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 4), "hither")
        return _threads.submit(contextvars.copy_context().run, work)


async def _run(work: Callable[[], R], stop: Callable[[], object] | None = None) -> R:
    """The result of `work`, done in a thread. When cancelled it has ended, or never began; `stop` makes it end soon."""
    future = _submit(work)
    waiter = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(waiter)
    except asyncio.CancelledError:
        if not future.cancel():
            if stop is not None:
                stop()
            while not waiter.done():
                try:
                    await asyncio.wait([waiter])
                except asyncio.CancelledError:
                    continue  # once is enough: it is on its way
            waiter.exception()  # somebody has looked
        raise


class _Told:
    """Progress of work in a thread: told in the event loop, which may stop it."""

    def __init__(self, progress: _core.Progress | None) -> None:
        self._progress = told(progress, "")
        self._loop = asyncio.get_running_loop()
        self._stopped = threading.Event()
        self.raised: BaseException | None = None

    def stop(self) -> None:
        self._stopped.set()

    def _tell(self, done: int, total: int) -> None:
        assert self._progress is not None
        if self._stopped.is_set():
            return
        try:
            if self._progress(done, total) is False:
                self.stop()
        except BaseException as error:
            self.raised = error
            self.stop()

    def step(self, done: int, total: int) -> bool:
        """In the thread."""
        if self._progress is not None and not self._stopped.is_set():
            self._loop.call_soon_threadsafe(self._tell, done, total)
        return not self._stopped.is_set()


async def _long(work: Callable[[_core.Progress], R], progress: _core.Progress | None = None) -> R:
    """Work that takes a progress callback, and so can be stopped."""
    told = _Told(progress)
    try:
        return await _run(lambda: work(told.step), told.stop)
    except InterruptedError:
        if told.raised is not None:
            raise told.raised from None
        raise


# ---- mirrors


def _mirror(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """The method that awaits `method` of the object inside."""

    @wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        inner = self._inner
        return await _run(lambda: method(inner, *args, **kwargs))

    call.__module__ = __name__
    first = (method.__doc__ or "").strip().split("\n\n")[0]
    call.__doc__ = f"{first}\n\nTo be awaited; all else is said at `hither.{method.__qualname__}`."
    return call


def _mirror_long(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """The same of long work, which has a parameter `progress`; cancelling stops it."""
    signature = inspect.signature(method)

    @wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(self._inner, *args, **kwargs)
        progress = bound.arguments.pop("progress", None)

        def work(step: _core.Progress) -> R:
            bound.arguments["progress"] = step
            return told_method(*bound.args, **bound.kwargs)

        return await _long(work, progress)

    told_method: Callable[..., R] = method
    call.__module__ = __name__
    first = (method.__doc__ or "").strip().split("\n\n")[0]
    call.__doc__ = (
        f"{first}\n\nTo be awaited; `progress` is called in the event loop. All else is said at "
        f"`hither.{method.__qualname__}`."
    )
    return call


def _mirror_function(function: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """The same of a function."""

    @wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return await _run(lambda: function(*args, **kwargs))

    call.__module__ = __name__
    first = (function.__doc__ or "").strip().split("\n\n")[0]
    call.__doc__ = f"{first}\n\nTo be awaited; all else is said at `hither.{function.__qualname__}`."
    return call


class _Opening(Generic[T]):
    """Something being opened: await it, or use it in `async with`, which closes it at the end."""

    def __init__(self, opening: Coroutine[Any, Any, T]) -> None:
        self._opening = opening
        self._opened: T | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        return self._opening.__await__()

    async def __aenter__(self) -> T:
        self._opened = await self._opening
        return self._opened

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        close = getattr(self._opened, "close", None)
        if close is not None:
            await close()


async def _open(make: Callable[[], R], wrap: Callable[[R], T]) -> T:
    """What `make` opens, wrapped; closed again if the caller is cancelled meanwhile, so that no handle is left."""
    made: list[R] = []

    def work() -> R:
        made.append(make())
        return made[0]

    try:
        return wrap(await _run(work))
    except asyncio.CancelledError:
        for one in made:
            getattr(one, "close", int)()  # a window has none
        raise


class _Closing:
    """What can be closed, also by `async with`."""

    __slots__ = ("__weakref__", "_inner")
    _inner: Any

    async def close(self) -> None:
        """Close it; calls that are still running end first."""
        await _run(self._inner.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"an aio.{type(self).__name__} cannot be pickled; open it again in the other process")


# ---- database


def connect(
    path: str | os.PathLike[str],
    *,
    readonly: bool = False,
    timeout: float = 0.0,
    durability: Literal["full", "memory", "relaxed"] = "full",
    relaxed_ms: float = 100,
) -> _Opening[Database]:
    """Open the database folder at `path`, or make it: ``await connect(path)``, or ``async with connect(path) as db``.

    All else is said at `hither.connect`.

    Examples
    --------
    >>> import asyncio, hither
    >>> async def main():
    ...     async with hither.aio.connect(":memory:") as db:
    ...         c = await db.collection("points", dim=2, metric="l2")
    ...         await c.upsert([1, 2], [[0.0, 0.0], [3.0, 4.0]])
    ...         return (await c.search([3.0, 3.0], k=1)).ids
    >>> asyncio.run(main())
    [2]
    """

    def make() -> _db.Database:
        return _db.connect(path, readonly=readonly, timeout=timeout, durability=durability, relaxed_ms=relaxed_ms)

    return _Opening(_open(make, Database))


async def repair(path: str | os.PathLike[str], to: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """Make a new database folder at `to` of what is sound in the one at `path`; see `hither.repair`."""
    return await _run(*_jobs.repair(os.fsencode(path), os.fsencode(to)))


class Database(_Closing):
    """Collections by name, as `hither.Database`. Made by `connect`.

    ``await db["notes"]`` is the collection of that name, ``async for name in db`` goes through the names, and what a
    mapping has (`keys`, `values`, `items`, `get`) is awaited too.

    Examples
    --------
    >>> import asyncio, hither
    >>> async def main():
    ...     async with hither.aio.connect(":memory:") as db:
    ...         await db.collection("points", dim=2)
    ...         await db.rename("points", "places")
    ...         return [name async for name in db], (await db["places"]).dim
    >>> asyncio.run(main())
    (['places'], 2)
    """

    __slots__ = ()
    _inner: _db.Database

    def __init__(self, inner: _db.Database) -> None:
        """Use `connect`, or give a `hither.Database` to await what it does from here on."""
        self._inner = inner

    async def collection(
        self,
        name: str,
        dim: int | None = None,
        metric: str | None = None,
        dtype: str | None = None,
        embedder: Embedder | None = None,
        schema: Mapping[str, Any] | str | None = None,
        fields: Fields | None = None,
    ) -> Collection:
        """Open the named collection, or create it; see `hither.Database.collection`."""
        inner = self._inner
        return await _open(lambda: inner.collection(name, dim, metric, dtype, embedder, schema, fields), Collection)

    def __getitem__(self, name: str) -> Awaitable[Collection]:
        inner = self._inner
        return _open(lambda: inner[name], Collection)

    async def __aiter__(self) -> AsyncIterator[str]:
        for name in await self.keys():
            yield name

    async def keys(self) -> list[str]:
        """The names of the collections, in byte order."""
        inner = self._inner
        return await _run(lambda: list(inner))

    async def values(self) -> list[Collection]:
        """The collections, by their names."""
        return [found for _, found in await self.items()]

    async def items(self) -> list[tuple[str, Collection]]:
        """The names with their collections."""
        inner = self._inner
        return [(name, Collection(found)) for name, found in await _run(lambda: list(inner.items()))]

    async def get(self, key: str, default: R | None = None) -> Collection | R | None:
        """The collection of this name, or `default`."""
        inner = self._inner
        found = await _run(lambda: inner.get(key))
        return default if found is None else Collection(found)

    async def backup(self, path: str | os.PathLike[str]) -> None:
        """Make a new database folder at `path`, a checked copy; see `hither.Database.backup`.

        Cancelled, it is there whole or not at all.
        """
        await _run(*_jobs.backup(self._inner._handle, os.fsencode(path)))

    async def verify(self, fast: bool = False) -> None:
        """Read every committed byte and check it; see `hither.Database.verify`. Cancelling stops it."""
        if fast:
            await _run(lambda: self._inner.verify(True))
        else:
            await _run(*_jobs.verify(self._inner._handle))

    async def contains(self, name: str) -> bool:
        """Whether there is a collection of this name."""
        return name in await self.keys()

    compact = _mirror_long(_db.Database.compact)
    drop = _mirror(_db.Database.drop)
    flush = _mirror(_db.Database.flush)
    import_arrow = _mirror_long(_db.Database.import_arrow)
    import_parquet = _mirror_long(_db.Database.import_parquet)
    info = _mirror(_db.Database.info)
    pack = _mirror(_db.Database.pack)
    purge = _mirror_long(_db.Database.purge)
    rename = _mirror(_db.Database.rename)

    def __repr__(self) -> str:
        return "<hither.aio.Database, closed>" if self._inner._handle.closed else "<hither.aio.Database>"


class Scan(_Closing):
    """Rows as they were when the scan began, for ``async for``. Made by `Collection.scan`.

    A cancelled step loses no row: the next one goes on where the last one that was delivered ended.
    """

    __slots__ = ("_begin", "_step")
    _inner: _hits.Scan | None

    def __init__(self, begin: Callable[[], _hits.Scan]) -> None:
        """Use `Collection.scan`."""
        self._inner = None
        self._begin = begin
        self._step = asyncio.Lock()

    def __aiter__(self) -> Scan:
        return self

    def _fetch(self) -> None:
        """In a thread."""
        if self._inner is None:
            self._inner = self._begin()
        self._inner._fetch()

    async def __anext__(self) -> Hit:
        if self._inner is None or self._inner._spent():
            async with self._step:
                if self._inner is None or self._inner._spent():
                    await _run(self._fetch)
        assert self._inner is not None
        try:
            return next(self._inner)
        except StopIteration:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        """Let the version of the rows go that this scan holds on to. Reaching the end does it as well."""
        async with self._step:
            if self._inner is not None:
                await _run(self._inner.close)


class Collection(_Closing):
    """Rows of id, vector, metadata and document, as `hither.Collection`. Made by `Database.collection`.

    ``await c[id]`` is the row with that id, and ``async for hit in c.scan()`` goes through all.

    Examples
    --------
    >>> import asyncio, hither
    >>> async def main():
    ...     async with hither.aio.connect(":memory:") as db:
    ...         c = await db.collection("birds", embedder=hither.Embedder())
    ...         await c.upsert([1, 2], documents=["a hawk", "an owl"])
    ...         found = await asyncio.gather(c.search("hawk", k=1), c.search("owl", k=1))
    ...         return [hits.ids for hits in found], [hit.document async for hit in c.scan()]
    >>> asyncio.run(main())
    ([[1], [2]], ['a hawk', 'an owl'])
    """

    __slots__ = ()
    _inner: _collection.Collection

    def __init__(self, inner: _collection.Collection) -> None:
        """Use `Database.collection`, or give a `hither.Collection`."""
        self._inner = inner

    @property
    def dim(self) -> int:
        """Dimensions of its vectors."""
        return self._inner.dim

    @property
    def metric(self) -> str:
        """What distance means here: "cosine", "dot", "l2" or "l1"."""
        return self._inner.metric

    @property
    def dtype(self) -> str:
        """How a number of a vector is stored: "f32"."""
        return self._inner.dtype

    @property
    def embedder(self) -> str | None:
        """The name of the embedder it was made with, or None."""
        return self._inner.embedder

    async def name(self) -> str:
        """The collection's name, which `Database.rename` may change."""
        inner = self._inner
        return await _run(lambda: inner.name)

    def __getitem__(self, id: Id) -> Awaitable[Hit]:
        inner = self._inner
        return _run(lambda: inner[id])

    async def contains(self, id: object) -> bool:
        """Whether there is a row with this id."""
        inner = self._inner
        return await _run(lambda: id in inner)

    def scan(
        self,
        batch: int = 1024,
        *,
        where: Where | None = None,
        where_document: Where | None = None,
        include: Include = DEFAULT_INCLUDE,
    ) -> Scan:
        """Iterate over the rows as they are when the first one is asked for; see `hither.Collection.scan`.

        Examples
        --------
        >>> import asyncio, hither
        >>> async def main():
        ...     async with hither.aio.connect(":memory:") as db:
        ...         c = await db.collection("points", dim=1)
        ...         await c.add([3, 1, 2], [[0.0], [1.0], [2.0]])
        ...         return [hit.id async for hit in c.scan(batch=2)]
        >>> asyncio.run(main())
        [3, 1, 2]
        """
        inner = self._inner
        return Scan(lambda: inner.scan(batch, where=where, where_document=where_document, include=include))

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
        """A search that goes on, for ``async for``; see `hither.Collection.search_on`."""
        inner, rest = self._inner, (where, where_document, include, max_distance, recall, ef, nprobe)
        names = ("where", "where_document", "include", "max_distance", "recall", "ef", "nprobe")
        how: dict[str, Any] = dict(zip(names, rest, strict=True))
        return Scan(lambda: inner.search_on(query, batch, **how))

    add = _mirror(_collection.Collection.add)
    compact = _mirror_long(_collection.Collection.compact)
    create_index = _mirror_long(_collection.Collection.create_index)
    count = _mirror(_collection.Collection.count)
    create_index = _mirror_long(_collection.Collection.create_index)
    delete = _mirror(_collection.Collection.delete)
    expire = _mirror(_collection.Collection.expire)
    facets = _mirror(_collection.Collection.facets)
    get = _mirror(_collection.Collection.get)
    info = _mirror(_collection.Collection.info)
    page = _mirror(_collection.Collection.page)
    recommend = _mirror(_collection.Collection.recommend)
    reembed = _mirror_long(_collection.Collection.reembed)
    search = _mirror(_collection.Collection.search)
    search_many = _mirror(_collection.Collection.search_many)
    set_schema = _mirror(_collection.Collection.set_schema)
    set_ttl = _mirror(_collection.Collection.set_ttl)
    similar = _mirror(_collection.Collection.similar)
    to_arrow = _mirror(_collection.Collection.to_arrow)
    to_parquet = _mirror_long(_collection.Collection.to_parquet)
    update = _mirror(_collection.Collection.update)
    upsert = _mirror(_collection.Collection.upsert)
    within = _mirror(_collection.Collection.within)

    def __repr__(self) -> str:
        if self._inner._handle.closed:
            return "<hither.aio.Collection, closed>"
        return f"<hither.aio.Collection: {self.dim} dimensions, {self.metric}>"


# ---- arrays

knn = _mirror_function(_exact.knn)
within = _mirror_function(_exact.within)


class Index(_Closing):
    """Rows kept in memory or in one file, as `hither.Index`.

    Examples
    --------
    >>> import asyncio, hither
    >>> async def main():
    ...     async with hither.aio.Index(2, metric="l2") as index:
    ...         await index.add([[0.0, 0.0], [3.0, 4.0]])
    ...         labels, distances = await index.search([3.0, 3.0], k=1)
    ...         return labels.tolist(), distances.tolist()
    >>> asyncio.run(main())
    ([1], [1.0])
    """

    __slots__ = ()
    _inner: _index.Index

    def __init__(
        self,
        dim: int,
        kind: str = "auto",
        metric: str | None = None,
        dtype: str = "f32",
        *,
        m: int | None = None,
        ef_build: int | None = None,
        bits: int | None = None,
        lists: int | None = None,
        seed: int = 0,
    ) -> None:
        self._inner = _index.Index(dim, kind, metric, dtype, m=m, ef_build=ef_build, bits=bits, lists=lists, seed=seed)

    @classmethod
    def _of(cls, inner: _index.Index) -> Index:
        made = cls.__new__(cls)
        made._inner = inner
        return made

    @classmethod
    def wrap(cls, array: NDArray[Any], metric: str | None = None, dtype: str | None = None) -> _Opening[Index]:
        """An index over an array that stays yours: await it, or ``async with``; see `hither.Index.wrap`."""
        return _Opening(_open(lambda: _index.Index.wrap(array, metric, dtype), cls._of))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> _Opening[Index]:
        """Open a saved index by mapping its file: await it, or ``async with``; see `hither.Index.open`."""
        return _Opening(_open(lambda: _index.Index.open(path), cls._of))

    @property
    def dim(self) -> int:
        """Dimensions of a row."""
        return self._inner.dim

    @property
    def metric(self) -> str:
        """The metric of searches that do not name another."""
        return self._inner.metric

    @property
    def dtype(self) -> str:
        """How a number is stored, e.g. "f32"."""
        return self._inner.dtype

    @property
    def kind(self) -> str:
        """How it searches: "exact", "ivf" or "hnsw"."""
        return self._inner.kind

    async def count(self) -> int:
        """Rows in it."""
        inner = self._inner
        return await _run(lambda: len(inner))

    add = _mirror(_index.Index.add)
    build = _mirror_long(_index.Index.build)
    explain = _mirror(_index.Index.explain)
    info = _mirror(_index.Index.info)
    remove = _mirror(_index.Index.remove)
    save = _mirror(_index.Index.save)
    search = _mirror(_index.Index.search)
    tune = _mirror(_index.Index.tune)
    verify = _mirror(_index.Index.verify)
    within = _mirror(_index.Index.within)

    def __repr__(self) -> str:
        return "<hither.aio.Index>" if self._inner._cdata is not None else "<hither.aio.Index, closed>"


# ---- window


class Window:
    """The newest records of a stream, as `hither.Window`.

    Examples
    --------
    >>> import asyncio, hither
    >>> async def main():
    ...     window = hither.aio.Window(capacity=1000)
    ...     scores = await window.push(["disk fine"] * 20 + ["disk failure"])
    ...     return scores.seen[-2:].tolist(), (await window.search("failure", k=1)).documents
    >>> asyncio.run(main())
    ([19, 0], ['disk failure'])
    """

    __slots__ = ("__weakref__", "_inner")
    _inner: _window.Window

    def __init__(
        self,
        dim: int | None = None,
        *,
        capacity: int = 16384,
        age: float | timedelta | None = None,
        shards: int = 16,
        metric: str = "cosine",
        embedder: Embedder | None = None,
        track_centroid: bool = True,
        half_life: float | None = None,
        novelty: bool = True,
        rules: str | None = None,
    ) -> None:
        self._inner = _window.Window(
            dim,
            capacity=capacity,
            age=age,
            shards=shards,
            metric=metric,
            embedder=embedder,
            track_centroid=track_centroid,
            half_life=half_life,
            novelty=novelty,
            rules=rules,
        )

    @classmethod
    def _of(cls, inner: _window.Window) -> Window:
        made = cls.__new__(cls)
        made._inner = inner
        return made

    @classmethod
    async def open(cls, path: str | os.PathLike[str], *, embedder: Embedder | None = None) -> Window:
        """A window as it was saved; see `hither.Window.open`."""
        return cls._of(await _run(lambda: _window.Window.open(path, embedder=embedder)))

    @property
    def capacity(self) -> int:
        """Records kept."""
        return self._inner.capacity

    @property
    def dim(self) -> int:
        """Dimensions of its vectors."""
        return self._inner.dim

    async def centroid(self) -> NDArray[np.float32]:
        """The mean of the records' vectors; see `hither.Window.centroid`."""
        inner = self._inner
        return await _run(lambda: inner.centroid)

    async def count(self) -> int:
        """Records in the window."""
        inner = self._inner
        return await _run(lambda: len(inner))

    async def queries(self) -> list[Any]:
        """The standing queries; see `hither.Window.queries`."""
        inner = self._inner
        return await _run(lambda: inner.queries)

    async def snapshot(self) -> Window:
        """The window as it is now, as one that stays so; see `hither.Window.snapshot`."""
        return self._of(await _run(self._inner.snapshot))

    get = _mirror(_window.Window.get)
    info = _mirror(_window.Window.info)
    outliers = _mirror(_window.Window.outliers)
    push = _mirror(_window.Window.push)
    save = _mirror(_window.Window.save)
    search = _mirror(_window.Window.search)
    watch = _mirror(_window.Window.watch)
    within = _mirror(_window.Window.within)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Window lives in the memory of its process and cannot be pickled; make one in the other")

    def __repr__(self) -> str:
        return f"<hither.aio.Window of {self.capacity} records>"
