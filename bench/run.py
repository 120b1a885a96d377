#!/usr/bin/env python3
"""Run one suite of benchmarks: bench/run.py SUITE [OPTION...]; `bench/run.py SUITE --help` says which options.

It takes the interpreter that the package and the engines beside it are installed for; `make bench SUITE=exact` sees
to both. An engine that is not installed is left out, and said so.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

SUITES = ("exact", "ann", "recall", "store", "database", "stream", "embed", "python")


def main() -> int:
    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here))
    sys.path.insert(1, str(here.parent / "python"))
    if len(sys.argv) < 2 or sys.argv[1] not in SUITES:
        print(f"usage: bench/run.py SUITE [OPTION...]; suites: {', '.join(SUITES)}", file=sys.stderr)
        return 2
    suite = importlib.import_module(sys.argv[1])
    return int(suite.main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
