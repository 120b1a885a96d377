"""Checks that the layers hold: who may include whom, and who may call the operating system.

The table below is the architecture. A folder of src/ may include its own headers and those of the folders named, and
nothing above it. Files are touched in base/io_* and store/vfs_* only, memory comes from base/alloc only, the
environment is read in two places, and nothing in the library prints or ends the process.
"""

import re
import sys
from pathlib import Path

from c_source import ROOT, c_files, code_only, line_of, report

MAY_INCLUDE = {
    "base": set(),
    "kernels": set(),
    "index": {"base", "kernels"},
    "keyword": {"base"},
    "store": {"base"},
    "engine": {"base", "kernels", "index", "keyword", "store"},
    "stream": {"base", "kernels", "index"},
    "embed": {"base", "kernels"},
    "api": {"base", "kernels", "index", "keyword", "store", "engine", "stream", "embed"},
}
# The command is a user of hither.h, and borrows these from base.
CLI_HEADERS = {"hither.h"} | {f"base/{name}.h" for name in ("alloc", "buf", "error", "json", "strings")}

# A header of a library that only some folders may know.
OWNERS = {"sqlite3.h": {"store"}, "jansson.h": {"base"}, "utf8proc.h": {"base"}}

FILES = """access chmod close closedir creat fallocate fclose fcntl fdatasync fdopen fdopendir fflush flock fopen fread
    freopen fseek fstat fstatat fsync ftruncate fwrite getcwd link linkat lockf lseek lstat mkdir mkdirat
    mkstemp mmap mremap msync munmap open openat opendir posix_fadvise posix_fallocate pread preadv pwrite pwritev read
    readdir readlink readv realpath remove rename renameat rmdir stat symlink sync sync_file_range syncfs truncate
    unlink unlinkat write writev""".split()
MEMORY = "aligned_alloc asprintf calloc free getline malloc posix_memalign realloc strdup strndup vasprintf".split()
ENVIRONMENT = "getenv putenv secure_getenv setenv unsetenv".split()
NEVER = """_exit abort assert atexit atof atoi dup2 err errx execv execve exit fork fprintf fputc fputs gets
    localtime perror popen printf putchar puts quick_exit raise rand random setlocale sigaction signal socket sprintf
    srand srandom strcat strcpy strtok syslog system vfprintf vprintf vsprintf warn warnx""".split()

# (names, where they may stand, what to do instead). A place is a pattern for the path under src/.
RULES = [
    (FILES, r"base/io_\w+\.c|store/vfs_\w+\.c", "files are touched through base/io.h"),
    (["madvise"], r"base/io_\w+\.c|base/alloc\.c", "pages are advised on where they come from"),
    (MEMORY, r"base/alloc\.c", "memory comes from base/alloc.h"),
    (ENVIRONMENT, r"base/pool\.c|kernels/dispatch\.c|engine/settings\.c", "the environment is read in three places"),
    (NEVER, r"", "the library does not do this"),
]
# Exceptions, each with its reason.
ALLOWED = {
    ("base/error.h", "assert"): "HT_ASSERT, in builds with assertions only",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)


def includes(text: str) -> list[tuple[int, str, bool]]:
    return [(line_of(text, m.start(2)), m.group(2), m.group(1) == '"') for m in INCLUDE.finditer(text)]


def calls(text: str, names: list[str]) -> list[tuple[int, str]]:
    """Places where one of the names is called as a plain function: not a member, not part of a longer name."""
    pattern = re.compile(r"(?<![\w.])(?<!->)(" + "|".join(names) + r")\s*\(")
    code = code_only(text)
    return [(line_of(code, m.start()), m.group(1)) for m in pattern.finditer(code)]


def check_library(root: Path, problems: list[str]) -> None:
    for path in c_files(root, "src"):
        inside = path.relative_to(root / "src").as_posix()
        layer = inside.split("/")[0]
        text = path.read_text(encoding="utf-8")
        if layer not in MAY_INCLUDE:
            problems.append(f"src/{inside}: the table in tools/check_layers.py has no layer {layer}")
            continue
        for line, header, quoted in includes(text):
            where = f"src/{inside}:{line}: includes {header}"
            owners = OWNERS.get(header)
            if owners and layer not in owners:
                problems.append(f"{where}, which only {', '.join(sorted(owners))} may know")
            if not quoted or header == "hither.h":
                continue
            target = header.split("/")[0] if "/" in header else layer
            if "/" not in header and path.parent.joinpath(header).suffix != ".inc":
                problems.append(f'{where}; write the path from src/, as "{layer}/{header}"')
            elif target != layer and target not in MAY_INCLUDE[layer]:
                allowed = ", ".join(sorted(MAY_INCLUDE[layer])) or "nothing"
                problems.append(f"{where}, but {layer} may use {allowed} only")
        for names, places, instead in RULES:
            if re.fullmatch(places, inside):
                continue
            for line, name in calls(text, names):
                if (inside, name) not in ALLOWED:
                    problems.append(f"src/{inside}:{line}: calls {name}(): {instead}")


def check_command(root: Path, problems: list[str]) -> None:
    for path in c_files(root, "cli"):
        for line, header, quoted in includes(path.read_text(encoding="utf-8")):
            own = (root / "cli" / header).exists()
            if quoted and header not in CLI_HEADERS and not own:
                problems.append(
                    f"{path.relative_to(root)}:{line}: includes {header}; the command may use hither.h, "
                    "and of base alloc, buf, error, json, strings"
                )
            if header == "sqlite3.h":
                problems.append(f"{path.relative_to(root)}:{line}: includes sqlite3.h, which only store may know")


def main(root: Path = ROOT) -> int:
    problems: list[str] = []
    check_library(root, problems)
    check_command(root, problems)
    files = len(c_files(root, "src", "cli"))
    return report("layers", problems, f"{files} files keep to them")


if __name__ == "__main__":
    sys.exit(main())
