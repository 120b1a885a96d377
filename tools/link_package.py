"""Puts a folder of the checkout on this interpreter's path, by a .pth file: link_package.py FOLDER."""

import sys
import sysconfig
from pathlib import Path


def main() -> int:
    folder = Path(sys.argv[1]).resolve()
    link = Path(sysconfig.get_path("purelib")) / "hither-checkout.pth"
    text = f"{folder}\n"
    if not link.exists() or link.read_text(encoding="utf-8") != text:
        link.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
