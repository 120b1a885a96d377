"""Checks that the shared library exports the functions of hither.h: all of them, and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

from c_source import ROOT, code_only, report


def declared(header: str) -> set[str]:
    """Names of the functions that the header marks HITHER_API."""
    text = re.sub(r"^\s*#.*(?:\\\n.*)*$", "", code_only(header), flags=re.MULTILINE)
    return set(re.findall(r"\bHITHER_API\b[^;(]*?\b(hither_\w+)\s*\(", text))


def exported(library: Path) -> set[str]:
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", str(library)], check=True, capture_output=True, text=True
    ).stdout
    return {line.split()[-1] for line in listing.splitlines() if line.strip()}


def differences(header: str, symbols: set[str]) -> list[str]:
    wanted = declared(header)
    problems = [f"hither.h declares {name}, but the library does not export it" for name in sorted(wanted - symbols)]
    problems += [f"the library exports {name}, which hither.h does not declare" for name in sorted(symbols - wanted)]
    return problems


def main(library: Path) -> int:
    header = (ROOT / "include" / "hither.h").read_text(encoding="utf-8")
    return report("exports", differences(header, exported(library)), f"{len(declared(header))} functions, as declared")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "libhither.so"))
