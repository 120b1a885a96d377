"""Embedder: texts to vectors, by the built-in embedder or a sentence model from a folder."""

from __future__ import annotations

import importlib.util
import operator
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from . import _core
from .arrays import Text, texts as text_column
from .errors import InterruptedError, InvalidError
from .progress import told

if TYPE_CHECKING:
    from .cached import CachedEmbedder

_STEP = 256  # texts embedded between two looks at the progress

_ENGINES = ("auto", "own", "onnxruntime")


def _installed_runtime() -> str | None:
    """The folder of the library in the package onnxruntime, which is not imported for that."""
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = os.path.join(spec.submodule_search_locations[0], "capi")
    return folder if os.path.isdir(folder) else None


def _user_cache() -> str:
    own, user, home = (os.environ.get(name) for name in ("HITHER_CACHE", "XDG_CACHE_HOME", "HOME"))
    if own is not None:
        return own
    return os.path.join(user, "hither") if user else os.path.join(home, ".cache", "hither") if home else ""


class Embedder:
    """Texts to vectors. ``Embedder()`` is the built-in embedder; `Embedder.open` takes a sentence model's folder.

    The built-in one: no model, 384 dimensions, the same bytes on every machine.

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

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        precision: str = "i8",
        max_tokens: int | None = None,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        file: str | None = None,
        engine: str = "auto",
        onnxruntime: str | os.PathLike[str] | None = None,
        cache: str | os.PathLike[str] | bool = True,
    ) -> Embedder:
        """A sentence model of the BERT family from its folder, as it is published (docs/models.md).

        Parameters
        ----------
        folder : path
            With config.json, model.safetensors or model.onnx, and tokenizer.json or vocab.txt.
        precision : {"i8", "f32"}
            How it multiplies: by bytes, with the same vectors on every machine, or in f32, some three times slower.
        max_tokens : int, optional
            What a text has beyond is cut off. Default: as the folder says, else 512.
        query_prefix, document_prefix : str, optional
            Put before texts that are searched by (`queries`), and before all others. Default: as the folder says.
        file : str, optional
            Of the weights, within the folder, e.g. ``"onnx/model_qint8_avx512.onnx"``. Default: model.safetensors, else
            model.onnx or model_quantized.onnx, there or in onnx/.
        engine : {"auto", "own", "onnxruntime"}
            What runs it: hither's own encoder, for the BERT family; ONNX Runtime, for any model in an *.onnx file (then
            `precision` has no meaning); or the first of them that can.
        onnxruntime : path, optional
            ONNX Runtime's libonnxruntime.so, or its folder. Default: ``HITHER_ONNXRUNTIME``, else that of the package
            onnxruntime where it is installed, else where the system looks.
        cache : path or bool
            Where a large model is kept packed, so that opening it again is fast: a folder; True for ``HITHER_CACHE``,
            else hither in the user's cache folder; False for nowhere.

        Raises
        ------
        ModelError
            The message says what is missing, wrong, or not supported.
        """
        if precision not in ("i8", "f32"):
            raise InvalidError(f'precision is {precision!r}; "i8" and "f32" are possible')
        if engine not in _ENGINES:
            raise InvalidError(f'engine is {engine!r}; "auto", "own" and "onnxruntime" are possible')
        library = onnxruntime or os.environ.get("HITHER_ONNXRUNTIME") or _installed_runtime()
        texts = {"query_prefix": query_prefix, "document_prefix": document_prefix, "file": file}
        names = {key: text.encode() for key, text in texts.items() if text is not None}
        for key, name in names.items():
            if b"\0" in name:
                raise InvalidError(f"{key} holds a NUL")
        most = 0 if max_tokens is None else operator.index(max_tokens)
        if max_tokens is not None and not 1 <= most <= 32768:
            raise InvalidError(f"max_tokens is {most}; 1 to 32768 are possible")
        if engine != "own" and library:
            names["onnxruntime"] = os.fsencode(library)
        if cache is not False:
            names["cache"] = os.fsencode(_user_cache() if cache is True else cache)
        dtype = _core.DTYPES[precision]
        self = object.__new__(cls)
        self._handle = _core.embedder_open(os.fsencode(folder), dtype, most, _ENGINES.index(engine), **names)
        return self

    @property
    def dim(self) -> int:
        """Dimensions of its vectors."""
        return _core.embedder_dim(self._handle)

    @property
    def name(self) -> str:
        """The name that a collection stores, e.g. ``"builtin-1"``."""
        return _core.embedder_name(self._handle)

    def __call__(self, texts: Text | Iterable[Text], *, progress: _core.Progress | None = None) -> NDArray[np.float32]:
        """One unit vector a text; a text without tokens gives the zero vector.

        Parameters
        ----------
        texts : str or iterable of str
        progress : callable or True, optional
            Called with the texts done and the texts there are, some hundred at a time; False, or an exception, stops
            it. True: a `Bar`.

        Returns
        -------
        ndarray of float32, shape (n, dim), or (dim,) for a single str
        """
        if isinstance(texts, (str, bytes)):
            vectors: NDArray[np.float32] = _core.embed(self._handle, text_column([texts]))[0]
            return vectors
        tell = told(progress, "embedding")
        if tell is None:
            return _core.embed(self._handle, text_column(texts))
        items = texts if isinstance(texts, (list, tuple)) else list(texts)
        out = np.empty((len(items), self.dim), np.float32)
        for begin in range(0, len(items), _STEP):
            out[begin : begin + _STEP] = _core.embed(self._handle, text_column(items[begin : begin + _STEP]))
            if tell(min(begin + _STEP, len(items)), len(items)) is False:
                raise InterruptedError("stopped on request, after some of the texts")
        return out

    def queries(self, texts: Text | Iterable[Text]) -> NDArray[np.float32]:
        """As calling it, for texts that are searched by: some models have a prefix for these."""
        if isinstance(texts, (str, bytes)):
            vectors: NDArray[np.float32] = _core.embed(self._handle, text_column([texts]), True)[0]
            return vectors
        return _core.embed(self._handle, text_column(texts), True)

    def cached(self, path: str | os.PathLike[str]) -> CachedEmbedder:
        """The same vectors, each computed once and kept in the file at `path`; several embedders may share one.

        Examples
        --------
        >>> import hither
        >>> e = hither.Embedder().cached(":memory:")
        >>> e(["a bird of prey", "bread", "bread"]).shape
        (3, 384)
        >>> e.found, e.computed
        (0, 2)
        """
        from .cached import CachedEmbedder  # SQLite and digests, for those who ask

        return CachedEmbedder(self, path)

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Embedder cannot be pickled; make it anew in the other process")

    def __repr__(self) -> str:
        return f"<hither.Embedder {self.name!r}, {self.dim} dimensions>"
