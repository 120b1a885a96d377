"""Progress of long work: `Bar`, which is what ``progress=True`` makes.

What must stay true: nothing is written anywhere but to a terminal or into a notebook's cell, and never more often than
ten times a second. A bar belongs to one call at a time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO, TypeAlias

# Told how far long work is; False stops it.
Progress: TypeAlias = Callable[[int, int], object]
MaybeProgress: TypeAlias = Progress | bool | None

_EVERY = 0.1


class Bar:
    """A bar of how far long work is, for what takes ``progress=``; ``progress=True`` makes one.

    It is drawn on standard error where that is a terminal, or in the cell of a notebook; in pipes and files nothing is
    written. Any callable ``f(done, total)`` can stand in its place, such as a wrapper of tqdm.

    Parameters
    ----------
    label : str
        What stands before the bar.
    file : text stream, optional
        None: standard error.

    Examples
    --------
    >>> import hither, io
    >>> bar = hither.Bar("copying", file=io.StringIO())  # no terminal: silent
    >>> bar(1, 2), bar(2, 2)
    (None, None)
    >>> bar.line(80).startswith("copying 100% |█████")
    True
    """

    def __init__(self, label: str = "", file: TextIO | None = None) -> None:
        self._label = label
        self._file = sys.stderr if file is None else file
        self._began: float | None = None
        self._drawn = 0.0
        self._done = self._total = 0
        self._cell: Any = None
        self._notebook = file is None and _notebook()
        self._terminal = not self._notebook and bool(getattr(self._file, "isatty", bool)())

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._began is None or done < self._done:  # a new call
            self._began, self._drawn, self._cell = now, 0.0, None
        self._done, self._total = done, total
        ended = done >= total
        if not (self._terminal or self._notebook) or (now - self._drawn < _EVERY and not ended):
            return
        self._drawn = now
        if self._notebook:
            self._show()
            return
        import shutil  # this and html when something is drawn: they take longer to import than most of hither

        line = self.line(shutil.get_terminal_size().columns - 1)
        self._file.write(f"\r{line}\x1b[K" + ("\n" if ended else ""))
        self._file.flush()

    def line(self, width: int) -> str:
        """The bar as a line of text, at most so wide."""
        share = self._done / self._total if self._total else 1.0
        took = 0.0 if self._began is None else time.monotonic() - self._began
        rate = self._done / took if took > 0 else 0.0
        left = (self._total - self._done) / rate if rate else 0.0
        before = f"{self._label + ' ' if self._label else ''}{min(share, 1.0):4.0%} |"
        after = f"| {self._done:,}/{self._total:,} [{_clock(took)}, {_clock(left)} left, {rate:,.0f}/s]"
        room = max(0, min(40, width - len(before) - len(after)))
        full = int(min(share, 1.0) * room)
        return (before + "█" * full + " " * (room - full) + after)[: max(width, 0)]

    def _show(self) -> None:
        """In a notebook, one element that is drawn over."""
        from IPython.display import HTML, display

        share = 100 * (self._done / self._total if self._total else 1.0)
        import html

        drawn = HTML(f'<progress max="100" value="{share:.1f}"></progress> <code>{html.escape(self.line(60))}</code>')
        if self._cell is None:
            self._cell = display(drawn, display_id=True)
        else:
            self._cell.update(drawn)

    def __repr__(self) -> str:
        return f"<hither.Bar {self.line(60)!r}>"


def told(progress: MaybeProgress, label: str) -> Progress | None:
    """What was passed as progress, as something to call; True is a bar."""
    if progress is True:
        return Bar(label)
    return None if progress is None or progress is False else progress


class Steps:
    """A progress as the library calls it: `step` from C, which must not raise, and `end` once the call has returned."""

    __slots__ = ("_last", "_tell", "raised")

    def __init__(self, tell: Progress) -> None:
        self._tell = tell
        self._last = (0, 0)
        self.raised: BaseException | None = None

    def step(self, ctx: Any, done: int, total: int) -> int:
        """Other than 0 stops the work. What it raises goes to `note`, which is the callback's onerror."""
        self._last = (done, total)
        return int(self._tell(done, total) is False)

    def note(self, kind: Any, error: BaseException, traceback: Any) -> None:
        """Keeps what `step` raised, Ctrl-C too."""
        self.raised = error

    def end(self, error: BaseException | None) -> None:
        """Raises what was kept; tells of the end where the last step was short of it."""
        if self.raised is not None:
            raise self.raised from None
        if error is None and self._last[0] < self._last[1]:
            self._tell(self._last[1], self._last[1])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def _notebook() -> bool:
    """Whether this is a notebook's kernel. Asks IPython only where it is loaded already."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
