#!/bin/sh
# ncurses for `watch --view` in wheels and in the static command: sh tools/ncurses.sh ZIG TARGET FOLDER builds the static
# library of build/sources/ncurses for a target of `zig cc` into FOLDER. It reads the terminal descriptions of the
# system it runs on, and carries those of the usual terminals for a system that has none.
set -eu
cd "$(dirname "$0")/.."
zig=$1 target=$2 out=$3
[ ! -f "$out/lib/libncursesw.a" ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
sources=$PWD/build/sources/ncurses
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$work"
CC="$zig cc -target $target -fno-sanitize=undefined" AR="$zig ar" RANLIB="$zig ranlib" CFLAGS="-O2 -fPIC -fvisibility=hidden" \
    "$sources/configure" --prefix="$out" --build=x86_64-linux-gnu --host="${target%%.*}" --with-build-cc=gcc \
    --enable-widec --disable-db-install --without-shared --without-debug --without-ada --without-cxx \
    --without-cxx-binding --without-manpages --without-progs --without-tests --without-dlsym \
    --with-fallbacks=xterm-256color,xterm,screen-256color,screen,tmux-256color,linux,vt100 \
    --with-default-terminfo-dir=/usr/share/terminfo \
    --with-terminfo-dirs=/etc/terminfo:/lib/terminfo:/usr/share/terminfo >configure.log 2>&1 ||
    { tail -5 configure.log >&2; exit 1; }
{ make -j2 libs && make install.libs install.includes; } >make.log 2>&1 || { tail -15 make.log >&2; exit 1; }
