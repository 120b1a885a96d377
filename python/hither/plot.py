"""Pictures, where matplotlib is installed: what recall costs. Imported only when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import InvalidError, UnsupportedError


def recall(tuned: Mapping[str, Any] | Mapping[str, Mapping[str, Any]], ax: Any = None, *, k: int = 10) -> Any:
    """Draw the curve that `Index.tune` measured: recall against the rows a search looks at.

    Parameters
    ----------
    tuned : dict
        What `tune` returned, or such by name, to stand side by side.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None makes a figure.
    k : {10, 100}
        Of how many nearest.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np, hither, hither.plot
    >>> rows = np.random.default_rng(1).standard_normal((5000, 16), np.float32)
    >>> index = hither.Index(16, kind="hnsw")
    >>> _ = index.add(rows)
    >>> index.build()
    >>> hither.plot.recall(index.tune()).get_ylabel()
    'recall@10'
    """
    if k not in (10, 100):
        raise InvalidError(f"k is {k}; what is measured are the 10 and the 100 nearest")
    if ax is None:
        ax = _axes()
    curves: Mapping[str, Any] = {"": tuned} if "curve" in tuned else tuned
    for name, one in curves.items():
        points = [(step["visited"], step[f"recall{k}"]) for step in one["curve"]]
        ax.plot(*zip(*sorted(points), strict=True), marker="o", markersize=3, label=name or None)
    ax.set_xscale("log")
    ax.set_xlabel("rows looked at")
    ax.set_ylabel(f"recall@{k}")
    ax.grid(True, alpha=0.3)
    if any(curves):
        ax.legend()
    return ax


def _axes() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UnsupportedError("drawing takes matplotlib: pip install matplotlib") from None
    return Figure(figsize=(6, 4), layout="constrained").add_subplot()
