"""Window: the newest records of a stream, and how new each one was when it came."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from . import _core
from .arrays import Text, texts as text_column
from .embed import Embedder
from .errors import DimensionError, InvalidError
from .hits import Hits


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What each pushed record was worth, judged by the window before it. Every array has shape (n,).

    Attributes
    ----------
    novelty : ndarray of float32
        rarity + 2 * distance: 0 for the commonest form, larger is newer.
    rarity : ndarray of float32
        How rare the masked form is in the window, 0 to 1.
    distance : ndarray of float32
        Cosine distance to the nearest other form; 0 when the form itself is in the window.
    centroid : ndarray of float32
        Cosine similarity to the mean of the window; 1 for the first record.
    seen : ndarray of int64
        Records of the same form in the window before it.
    record : ndarray of int64
        The record's number, counted from 0, for `Window.get`.
    nearest : ndarray of int64
        Number of the nearest record of another form; -1 if there is none.
    """

    novelty: NDArray[np.float32]
    rarity: NDArray[np.float32]
    distance: NDArray[np.float32]
    centroid: NDArray[np.float32]
    seen: NDArray[np.int64]
    record: NDArray[np.int64]
    nearest: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.novelty)

    def __repr__(self) -> str:
        if not len(self):
            return "Scores([])"
        top = int(self.novelty.argmax())
        return f"<hither.Scores of {len(self)}, largest novelty {self.novelty[top]:.3f} at {top}>"


class Window:
    """The newest `capacity` texts of a stream, in memory only. Any number of threads may push.

    The variable parts of a text (numbers, addresses, times) are masked before it is compared, so that ten thousand
    lines which differ in a number are one form. It finds what is new and rare, which is not the same as what is bad.

    Parameters
    ----------
    dim : int, optional
        Dimensions of the vectors; if given it must be the embedder's.
    capacity : int
        Records kept.
    embedder : Embedder, optional
        The built-in one if left out.

    Examples
    --------
    >>> import hither
    >>> window = hither.Window(capacity=1000)
    >>> lines = [f"GET /item/{n} 200" for n in range(100)] + ["disk failure on sda"]
    >>> scores = window.push(lines)
    >>> int(scores.novelty[50:].argmax())
    50
    >>> window.get(scores.record[-1:])[0].document
    'disk failure on sda'
    """

    __slots__ = ("__weakref__", "_capacity", "_embedder", "_handle")

    def __init__(self, dim: int | None = None, *, capacity: int = 16384, embedder: Embedder | None = None) -> None:
        self._embedder = embedder if embedder is not None else Embedder()
        if not isinstance(self._embedder, Embedder):
            raise InvalidError(f"embedder is a {type(embedder).__name__}, not a hither.Embedder")
        if dim is not None and dim != self._embedder.dim:
            raise DimensionError(f"dim is {dim}, but the embedder makes {self._embedder.dim} dimensions")
        self._capacity = operator.index(capacity)
        if not 1 <= self._capacity <= _core.UINT32_MAX:
            raise InvalidError(f"capacity is {capacity}; a window keeps 1 to {_core.UINT32_MAX} records")
        self._handle = _core.window_new(self._capacity, self._embedder._handle)

    @property
    def capacity(self) -> int:
        """Records kept."""
        return self._capacity

    @property
    def dim(self) -> int:
        """Dimensions of its vectors."""
        return self._embedder.dim

    def push(self, texts: Text | Iterable[Text]) -> Scores:
        """Score each text against the window before it, then take it in.

        Parameters
        ----------
        texts : str or iterable of str or bytes
            In the order they came. What is not UTF-8 is taken as U+FFFD: a log must go on.
        """
        found = _core.window_push(self._handle, text_column([texts] if isinstance(texts, (str, bytes)) else texts))
        return Scores(
            found["novelty"].copy(),
            found["rarity"].copy(),
            found["distance"].copy(),
            found["centroid"].copy(),
            found["seen"].astype(np.int64),
            found["record"].astype(np.int64),
            found["nearest"].astype(np.int64),  # the largest uint64, "none", wraps to -1
        )

    def get(self, records: Iterable[int]) -> Hits:
        """The texts of records by number, as documents with the numbers as ids; those that left are left out."""
        numbers = np.array([operator.index(number) for number in records], np.int64)
        if numbers.size and int(numbers.min()) < 0:
            numbers = numbers[numbers >= 0]  # -1 is "no such record"
        return Hits(_core.window_get(self._handle, numbers.view(np.uint64)))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Window lives in the memory of its process and cannot be pickled; make one in the other")

    def __repr__(self) -> str:
        return f"<hither.Window of {self._capacity} records>"
