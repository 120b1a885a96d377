#!/bin/sh
# Wheels that need nothing on the machine but Python, numpy and cffi: sh tools/wheel.sh [TARGET...] puts them into dist/.
# A target is a processor and a libc: x86_64-gnu (what is made without one), aarch64-gnu, x86_64-musl, aarch64-musl.
#
# SQLite, jansson, utf8proc and ncurses are inside, built by `zig cc`, which reaches the older glibc that the wheel's
# name promises. A wheel counts as made once it is under 4 MB, exports its one function, and what it links is found to be
# as portable as its name says, by auditwheel where that can tell.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- x86_64-gnu
sh tools/sources.sh
python=$PWD/.venv/bin/python
zig=$("$python" -c 'import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))')
die() {
    printf 'wheel: %s\n' "$*" >&2
    exit 1
}

mkdir -p dist
for name in "$@"; do
    processor=${name%-*}
    case $name in
    x86_64-gnu | aarch64-gnu) target=$processor-linux-gnu.2.28 tag=manylinux_2_28_$processor ;;
    x86_64-musl | aarch64-musl) target=$processor-linux-musl tag=musllinux_1_2_$processor ;;
    *) die "no such target: $name (there are x86_64-gnu, aarch64-gnu, x86_64-musl, aarch64-musl)" ;;
    esac
    sh tools/ncurses.sh "$zig" "$target" "build/ncurses/$target"
    made=build/wheel/$name
    mkdir -p "$made"
    rm -f "$made"/*.whl
    # The interpreter that runs the build lends its headers only; where it runs does not matter to the limited API.
    _PYTHON_HOST_PLATFORM=linux-$processor "$python" -m pip wheel --quiet --no-deps --no-build-isolation \
        --wheel-dir "$made" . -C build-dir="$made/build" -C cmake.args=--toolchain="$PWD/cmake/zig.cmake" \
        -C cmake.define.HITHER_ZIG="$zig" -C cmake.define.HITHER_TARGET="$target" \
        -C cmake.define.HITHER_BUNDLED="$PWD/build/sources" \
        -C cmake.define.HITHER_NCURSES="$PWD/build/ncurses/$target"
    "$python" -m wheel tags --remove --platform-tag "$tag" "$made"/*.whl >/dev/null
    wheel=$(ls "$made"/*.whl)

    [ "$(stat -c %s "$wheel")" -lt 4000000 ] || die "$wheel is not under 4 MB"
    rm -rf "$made/open"
    "$python" -m zipfile -e "$wheel" "$made/open"
    exported=$(readelf --dyn-syms --wide "$made/open/hither/_ffi.abi3.so" |
        awk '$4 == "FUNC" && $5 == "GLOBAL" && $7 != "UND" && $6 == "DEFAULT" { print $8 }')
    [ "$exported" = PyInit__ffi ] || die "the extension module exports: $exported"
    case $name in
    *-gnu)
        "$python" -m auditwheel show "$wheel" >"$made/audit.txt" 2>&1 || die "auditwheel: $(cat "$made/audit.txt")"
        tr '\n' ' ' <"$made/audit.txt" | grep -q "tag: \"$tag\"" ||
            die "auditwheel does not find it to be $tag: $(cat "$made/audit.txt")"
        ;;
    *-musl) # auditwheel takes this system's libraries for musl's, so: what is linked is its libc alone
        needed=$(readelf -d "$made/open/hither/_ffi.abi3.so" "$made"/open/*.data/scripts/hither |
            sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u)
        [ "$needed" = libc.so ] || die "$wheel needs: $needed"
        ;;
    esac
    mv "$wheel" dist/
    printf 'wheel: dist/%s, %s bytes\n' "$(basename "$wheel")" "$(stat -c %s "dist/$(basename "$wheel")")"
done
