"""Write the C source of hither._ffi, the extension module that joins Python to libhither.

    build.py OUTPUT.c

cffi's API mode: the C compiler checks every declaration of hither.cdef.txt against include/hither.h, so a mismatch
is a compile error and never a crash. CMake compiles the output for the stable ABI and links it with libhither.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
CDEF = HERE / "hither.cdef.txt"


def builder() -> FFI:
    """The declarations and the source, ready to emit."""
    ffi = FFI()
    ffi.cdef(CDEF.read_text(encoding="utf-8"))
    ffi.cdef((HERE / "plain.cdef.txt").read_text(encoding="utf-8"))
    source = '#include "hither.h"\n' + (HERE / "plain.c").read_text(encoding="utf-8")
    ffi.set_source("hither._ffi", source, py_limited_api=True)
    return ffi


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: build.py OUTPUT.c")
    builder().emit_c_code(sys.argv[1])
