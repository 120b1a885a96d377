"""One collection for a store of another library: opened or made, from a path, a database or a collection.

The width of the vectors is often known only with the first of them, so the collection is made then. Any thread.
"""

from __future__ import annotations

import os
import threading

from ..aio import Collection as AioCollection
from ..collection import Collection
from ..db import Database, connect

Where = str | os.PathLike[str] | Database | Collection


class Shelf:
    """The collection of a store, and the database where that is the store's own to close."""

    def __init__(self, place: Where, name: str, metric: str) -> None:
        self.name = name
        self.metric = metric
        self._lock = threading.Lock()
        self._own: Database | None = None
        self._collection: Collection | None = None
        self._db: Database | None = None
        if isinstance(place, Collection):
            self._collection = place
            self.name, self.metric = place.name, place.metric
            return
        if isinstance(place, Database):
            self._db = place
        else:
            self._db = self._own = connect(place)
        if name in self._db:
            self._collection = self._db[name]
            self.metric = self._collection.metric

    def there(self) -> Collection | None:
        """The collection, if it was made yet."""
        return self._collection

    def made(self, dim: int) -> Collection:
        """The collection, made for vectors of this width if there is none."""
        with self._lock:
            if self._collection is None:
                assert self._db is not None
                self._collection = self._db.collection(self.name, dim, self.metric)
            return self._collection

    def remade(self, dim: int) -> Collection:
        """The collection made anew, empty."""
        with self._lock:
            assert self._db is not None
            self._db.drop(self.name)
            self._collection = self._db.collection(self.name, dim, self.metric)
            return self._collection

    def awaited(self) -> AioCollection | None:
        """The collection to be awaited, if it was made yet."""
        return None if self._collection is None else AioCollection(self._collection)

    def close(self) -> None:
        """Close the database, if this opened it."""
        if self._own is not None:
            self._own.close()
