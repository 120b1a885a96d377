"""Embedder: texts to vectors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from . import _core
from .arrays import Text, texts as text_column


class Embedder:
    """The built-in embedder: no model, 384 dimensions, the same bytes on every machine.

    It hashes words, word pairs and character trigrams, so it finds texts that share words or parts of words, not texts
    that share a meaning. Any number of threads may use one.

    Examples
    --------
    >>> import hither
    >>> e = hither.Embedder()
    >>> vectors = e(["a bird of prey", "birds of prey", "bread"])
    >>> vectors.shape, vectors.dtype.name
    ((3, 384), 'float32')
    >>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
    True
    """

    __slots__ = ("__weakref__", "_handle")

    def __init__(self) -> None:
        self._handle = _core.embedder_builtin()

    @property
    def dim(self) -> int:
        """Dimensions of its vectors."""
        return _core.embedder_dim(self._handle)

    @property
    def name(self) -> str:
        """The name that a collection stores, e.g. ``"builtin-1"``."""
        return _core.embedder_name(self._handle)

    def __call__(self, texts: Text | Iterable[Text]) -> NDArray[np.float32]:
        """One unit vector a text; a text without tokens gives the zero vector.

        Parameters
        ----------
        texts : str or iterable of str

        Returns
        -------
        ndarray of float32, shape (n, dim), or (dim,) for a single str
        """
        if isinstance(texts, (str, bytes)):
            vectors: NDArray[np.float32] = _core.embed(self._handle, text_column([texts]))[0]
            return vectors
        return _core.embed(self._handle, text_column(texts))

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Embedder cannot be pickled; make hither.Embedder() in the other process")

    def __repr__(self) -> str:
        return f"<hither.Embedder {self.name!r}, {self.dim} dimensions>"
