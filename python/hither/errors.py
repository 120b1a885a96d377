"""The exceptions of hither: one class for each status of the C library, all of them an `Error`.

Each also is the builtin exception that fits, so that ``except KeyError`` or ``except OSError`` does what one expects.
A call that raises has changed nothing.
"""

from __future__ import annotations

import builtins
from typing import ClassVar


class Error(Exception):
    """What every exception of hither is. `str(error)` says what was wrong, where, and what to do.

    Attributes
    ----------
    status : str
        The name of the library's status, e.g. ``"NOT_FOUND"``.
    os_errno : int
        The operating system's error number where it caused this, else 0.

    Examples
    --------
    >>> import hither
    >>> try:
    ...     hither.connect(":memory:")["notes"]
    ... except hither.Error as error:
    ...     error.status
    'NOT_FOUND'
    """

    status: ClassVar[str] = "UNKNOWN"

    def __init__(self, message: str, os_errno: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.os_errno = os_errno

    def __str__(self) -> str:
        return self.message


class InvalidError(Error, ValueError):
    """An argument makes no sense: k = 0, an unknown metric, a closed handle."""

    status = "INVALID"


class DimensionError(Error, ValueError):
    """A vector has another dimension than the collection, or one outside 1 to 65,535."""

    status = "DIMENSION"


class NotFiniteError(Error, ValueError):
    """A NaN or an infinity; the message names the row and the column."""

    status = "NOT_FINITE"


class EncodingError(Error, ValueError):
    """Text that is not UTF-8; the message names the row and the byte."""

    status = "ENCODING"


class SyntaxError(Error, ValueError):
    """Metadata that is not the JSON object it should be; the message names the place."""

    status = "SYNTAX"


class TooLargeError(Error, ValueError):
    """Beyond one of the limits: k, an id, a name, a text, the depth of metadata."""

    status = "TOO_LARGE"


class NoMemoryError(Error, MemoryError):
    """Memory ran out; nothing was changed."""

    status = "NOMEM"


class IoError(Error, OSError):
    """The operating system reported an error while reading or writing."""

    status = "IO"


class FullError(Error, OSError):
    """No space is left on the device; nothing was changed."""

    status = "FULL"


class PermissionError(Error, builtins.PermissionError):
    """The operating system denied access."""

    status = "PERMISSION"


class NotFoundError(Error, KeyError):
    """No such collection, id or file."""

    status = "NOT_FOUND"


class ExistsError(Error, ValueError):
    """The id or the collection is there already; nothing was changed."""

    status = "EXISTS"


class BusyError(Error, BlockingIOError):
    """Another process writes to this database; the message names its pid."""

    status = "BUSY"


class ReadonlyError(Error, OSError):
    """The handle, or the file system, is read-only."""

    status = "READONLY"


class NotDatabaseError(Error, ValueError):
    """The path holds something else."""

    status = "NOT_DATABASE"


class FormatError(Error, ValueError):
    """Written by a newer hither than this one."""

    status = "FORMAT"


class CorruptError(Error, ValueError):
    """Bytes that fail their checksum or contradict each other; the message names the place.

    Attributes
    ----------
    findings : list of (str, str)
        What `Database.verify` found, as (place, what is wrong there); empty from other calls.
    """

    status = "CORRUPT"

    def __init__(self, message: str, os_errno: int = 0, findings: list[tuple[str, str]] | None = None) -> None:
        super().__init__(message, os_errno)
        self.findings = findings or []


class PoisonedError(Error, OSError):
    """An earlier write could not be made durable; close the database and connect again."""

    status = "POISONED"


class UnsupportedError(Error, NotImplementedError):
    """A known thing that this build, file or collection cannot do."""

    status = "UNSUPPORTED"


class ModelError(Error, ValueError):
    """An embedder is missing, broken, or not the one the collection was made with."""

    status = "MODEL"


class InterruptedError(Error, builtins.InterruptedError):
    """Stopped on request; nothing is half done."""

    status = "INTERRUPTED"


class TimeoutError(Error, builtins.TimeoutError):
    """The time allowed ran out."""

    status = "TIMEOUT"


class StaleError(Error, RuntimeError):
    """The version a scan stands on is gone."""

    status = "STALE"


class ForkedError(Error, RuntimeError):
    """The handle belongs to the parent process; connect again in the child."""

    status = "FORKED"


BY_STATUS: dict[str, type[Error]] = {
    kind.status: kind
    for kind in (
        InvalidError,
        DimensionError,
        NotFiniteError,
        EncodingError,
        SyntaxError,
        TooLargeError,
        NoMemoryError,
        IoError,
        FullError,
        PermissionError,
        NotFoundError,
        ExistsError,
        BusyError,
        ReadonlyError,
        NotDatabaseError,
        FormatError,
        CorruptError,
        PoisonedError,
        UnsupportedError,
        ModelError,
        InterruptedError,
        TimeoutError,
        StaleError,
        ForkedError,
    )
}
