"""Closes the run with a line a library: how many of its own tests ran, and how many of hither's."""

from __future__ import annotations

from collections import Counter
from typing import Any

SUITES = ("::TestStandard", "::TestSync", "::TestAsync", "::test_estimator_checks", "::test_its_own_base_class")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    counts: Counter[tuple[str, str, str]] = Counter()
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            library = report.nodeid.split("::")[0].rpartition("test_")[2].removesuffix(".py")
            whose = "of its suite" if any(mark in report.nodeid for mark in SUITES) else "of hither's"
            counts[library, whose, outcome] += 1
    for library in sorted({key[0] for key in counts}):
        parts = [
            f"{count} {whose} {outcome}" for (name, whose, outcome), count in sorted(counts.items()) if name == library
        ]
        terminalreporter.write_line(f"integrations: {library}: {', '.join(parts)}")
