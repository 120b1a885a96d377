"""Says by its exit status whether each package named in a requirements file is installed in this environment."""

import importlib.metadata
import re
import sys


def main() -> int:
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as lines:
            names = [re.match(r"[A-Za-z0-9._-]*", line).group() for line in lines]
        for name in filter(None, names):
            try:
                importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
