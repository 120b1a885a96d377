"""hither: an embedded vector engine.

    connect(path)                 a database: a folder, or ":memory:"
    knn(base, queries, k)         the nearest rows of an array, exactly
    Index(dim), .wrap, .open      rows kept in memory or in one file, searched exactly
    Embedder()                    texts to vectors, with no model
    Window()                      what is new in a stream of texts
    aio                           the same, to be awaited

Everything runs inside this process: no server, no network, no model download. Numbers go in and out as numpy arrays,
without copies where their layout allows.
"""

from typing import TYPE_CHECKING, Any

from . import _core
from .collection import Collection
from .db import Database, connect, repair
from .embed import Embedder
from .errors import (
    BusyError,
    CorruptError,
    DimensionError,
    EncodingError,
    Error,
    ExistsError,
    ForkedError,
    FormatError,
    FullError,
    InterruptedError as InterruptedError,
    InvalidError,
    IoError,
    ModelError,
    NoMemoryError,
    NotDatabaseError,
    NotFiniteError,
    NotFoundError,
    PermissionError as PermissionError,
    PoisonedError,
    ReadonlyError,
    StaleError,
    SyntaxError as SyntaxError,
    TimeoutError as TimeoutError,
    TooLargeError,
    UnsupportedError,
)
from .exact import knn, within
from .fields import Field
from .hits import Hit, Hits, Plan, Scan
from .index import Index
from .progress import Bar

if TYPE_CHECKING:
    from . import aio as aio
    from .window import Match, Scores, Window

__version__ = _core.version()


_LATER = {"aio": "aio", "Match": "window", "Scores": "window", "Window": "window"}


def __getattr__(name: str) -> Any:
    """What is imported when somebody asks for it, as it would take longer than all the rest."""
    if name not in _LATER:
        raise AttributeError(f"module 'hither' has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f"hither.{_LATER[name]}")
    found = globals()[name] = module if name == "aio" else getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


def simd() -> str:
    """The kernels in use ("avx512", "avx2", "neon", "scalar"): the processor's best, capped by HITHER_SIMD."""
    return _core.simd()


# Without the errors that share a builtin's name: `from hither import *` must not hide those.
__all__ = [
    "Bar",
    "BusyError",
    "Collection",
    "CorruptError",
    "Database",
    "DimensionError",
    "Embedder",
    "EncodingError",
    "Error",
    "ExistsError",
    "Field",
    "ForkedError",
    "FormatError",
    "FullError",
    "Hit",
    "Hits",
    "Index",
    "InvalidError",
    "IoError",
    "Match",
    "ModelError",
    "NoMemoryError",
    "NotDatabaseError",
    "NotFiniteError",
    "NotFoundError",
    "Plan",
    "PoisonedError",
    "ReadonlyError",
    "Scan",
    "Scores",
    "StaleError",
    "TooLargeError",
    "UnsupportedError",
    "Window",
    "connect",
    "knn",
    "repair",
    "simd",
    "within",
]
