"""The extension module cffi makes; its names are those of hither.cdef.txt, seen by _core.py alone."""

from typing import Any

ffi: Any
lib: Any
