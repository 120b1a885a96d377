#!/bin/sh
# What an installed hither is to a stranger's project: `make install` into an empty folder, then a C and a C++ program
# built against it, by find_package and by pkg-config, and run. sh tools/test_install.sh; it wants a release build.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
prefix=$work/prefix
cmake -DCMAKE_INSTALL_PREFIX="$prefix" -P build/cmake_install.cmake >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
lib=$(dirname "$(find "$prefix" -name libhither.a)")
version="hither $(cat VERSION)"
export LD_LIBRARY_PATH="$lib"

cmake -G Ninja -S tests/consumer -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 &&
    cmake --build "$work/cmake" >>"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
for program in c_program static_program cxx_program; do
    [ "$("$work/cmake/$program")" = "$version" ] || { echo "install: $program says otherwise" >&2; exit 1; }
done

export PKG_CONFIG_PATH="$lib/pkgconfig"
# shellcheck disable=SC2046 # lists of flags
gcc tests/consumer/program.c -o "$work/shared" $(pkg-config --cflags --libs hither)
# shellcheck disable=SC2046
gcc tests/consumer/program.c -o "$work/static" $(pkg-config --cflags hither) "$lib/libhither.a" \
    $(pkg-config --static --libs hither | sed 's/-lhither//')
for program in shared static; do
    [ "$("$work/$program")" = "$version" ] || { echo "install: the $program program says otherwise" >&2; exit 1; }
done
"$prefix/bin/hither" --version | grep -q "^$version "
echo "install: C and C++ programs build and run against it, by CMake and by pkg-config"
