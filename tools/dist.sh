#!/bin/sh
# One static `hither` for any Linux of a processor, with its man page and licences:
# sh tools/dist.sh [x86_64|aarch64] makes dist/hither-VERSION-PROCESSOR-linux.tar.gz. Its libc is musl.
set -eu
cd "$(dirname "$0")/.."
processor=${1:-x86_64}
sh tools/sources.sh
zig=$(.venv/bin/python -c 'import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))')
target=$processor-linux-musl
name=hither-$(cat VERSION)-$processor-linux
sh tools/ncurses.sh "$zig" "$target" "build/ncurses/$target"
cmake -G Ninja -B "build/dist-$processor" --toolchain cmake/zig.cmake --log-level=WARNING -DCMAKE_BUILD_TYPE=Release \
    -DHITHER_ZIG="$zig" -DHITHER_TARGET="$target" -DHITHER_TESTS=OFF -DHITHER_BUNDLED="$PWD/build/sources" \
    -DHITHER_NCURSES="$PWD/build/ncurses/$target"
cmake --build "build/dist-$processor" --target hither
rm -rf "build/$name"
mkdir -p "build/$name" dist
cp "build/dist-$processor/bin/hither" LICENSE-MIT LICENSE-APACHE "build/$name/"
"$zig" objcopy --strip-all "build/dist-$processor/bin/hither" "build/$name/hither"
chmod 755 "build/$name/hither"
case $processor in
"$(uname -m)") "build/$name/hither" help --man >"build/$name/hither.1" ;;
aarch64) qemu-aarch64 "build/$name/hither" help --man >"build/$name/hither.1" ;;
esac
! readelf -l "build/$name/hither" | grep -q INTERP || {
    echo "dist: the command is not static" >&2
    exit 1
}
tar -C build --owner=0 --group=0 -czf "dist/$name.tar.gz" "$name"
printf 'dist: dist/%s.tar.gz, %s bytes\n' "$name" "$(stat -c %s "dist/$name.tar.gz")"
