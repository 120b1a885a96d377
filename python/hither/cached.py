"""CachedEmbedder: vectors that were computed before, by the digest of their text."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from . import _core
from .arrays import Text
from .errors import InterruptedError
from .progress import told

if TYPE_CHECKING:
    from .embed import Embedder

_MAKE = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
_AT_ONCE = 256  # texts computed, and kept, at a time


class CachedEmbedder:
    """An `Embedder` whose vectors are kept in a file (`Embedder.cached` makes one); any number of threads may use it.

    A vector is found by a digest of its text, of the embedder's name, which stands for all that decides about vectors,
    and of whether it is a query. The file only grows; deleting it loses nothing but time.
    """

    def __init__(self, embedder: Embedder, path: str | os.PathLike[str]) -> None:
        self._embedder = embedder
        self._lock = threading.Lock()
        self._file = sqlite3.connect(os.fspath(path), check_same_thread=False, isolation_level=None)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=NORMAL")
        self._file.execute(_MAKE)
        self.found = 0
        """Vectors that were there already."""
        self.computed = 0
        """Vectors that were not."""

    @property
    def dim(self) -> int:
        """Dimensions of its vectors."""
        return self._embedder.dim

    @property
    def name(self) -> str:
        """The embedder's name."""
        return self._embedder.name

    def __call__(self, texts: Text | Iterable[Text], *, progress: _core.Progress | None = None) -> NDArray[np.float32]:
        """As calling the embedder."""
        return self._embed(texts, False, progress)

    def queries(self, texts: Text | Iterable[Text]) -> NDArray[np.float32]:
        """As the embedder's `queries`."""
        return self._embed(texts, True, None)

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._file.close()

    def _key(self, text: Text, queries: bool) -> bytes:
        raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
        return hashlib.blake2b(f"{self.name} {int(queries)}\n".encode() + raw, digest_size=32).digest()

    def _embed(
        self, texts: Text | Iterable[Text], queries: bool, progress: _core.Progress | None
    ) -> NDArray[np.float32]:
        if isinstance(texts, (str, bytes)):
            vector: NDArray[np.float32] = self._part([texts], queries)[0]
            return vector
        tell = told(progress, "embedding")
        items = list(texts)
        out = np.empty((len(items), self.dim), np.float32)
        for begin in range(0, len(items), _AT_ONCE):
            part = items[begin : begin + _AT_ONCE]
            out[begin : begin + len(part)] = self._part(part, queries)
            if tell is not None and tell(begin + len(part), len(items)) is False:
                raise InterruptedError("stopped on request, after some of the texts")
        return out

    def _part(self, texts: list[Text], queries: bool) -> NDArray[np.float32]:
        keys = [self._key(text, queries) for text in texts]
        size = 4 * self.dim
        have: dict[bytes, bytes] = {}
        with self._lock:
            for key in keys:
                row = self._file.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
                if row is not None and len(row[0]) == size:
                    have[key] = row[0]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in have}
        self.found += len(texts) - sum(key in new for key in keys)
        if new:
            how = self._embedder.queries if queries else self._embedder
            rows = [(key, row.tobytes()) for key, row in zip(new, how(list(new.values())), strict=True)]
            with self._lock:
                self._file.execute("BEGIN IMMEDIATE")
                self._file.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
                self._file.execute("COMMIT")
            have.update(rows)
            self.computed += len(new)
        return np.frombuffer(b"".join(have[key] for key in keys), np.float32).reshape(len(texts), self.dim)
