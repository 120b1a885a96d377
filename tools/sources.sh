#!/bin/sh
# The sources of the C libraries that a wheel, the source archive and the static command carry inside:
# sh tools/sources.sh puts them into build/sources/NAME, from the distribution's own source packages.
#
# Every archive must be the one that tools/sources.txt names by its SHA-256; when the distribution has moved on, the
# message says which, and a person changes that list. SQLite's many files become its one-file form ("amalgamation")
# here, by its own script. HITHER_SOURCES=DIR takes the archives from a folder instead of the network.
set -eu
cd "$(dirname "$0")/.."
top=$PWD
out=$top/build/sources
list=$top/tools/sources.txt

die() {
    printf 'sources: %s\n' "$*" >&2
    exit 1
}
cmp -s "$list" "$out/.made-of" && exit 0

sh tools/setup.sh wheel
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

if [ -n "${HITHER_SOURCES:-}" ]; then
    cp "$HITHER_SOURCES"/* "$work/"
else
    # The system's own lists of sources, asked for source packages, in a state of their own: nothing of apt's changes.
    mkdir -p "$work/apt/parts" "$work/apt/lists/partial"
    for file in /etc/apt/sources.list.d/*.sources; do
        [ ! -f "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$work/apt/parts/$(basename "$file")"
    done
    [ ! -f /etc/apt/sources.list ] || sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$work/apt/parts/all.list"
    apt() {
        apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/apt/parts" \
            -o Dir::State::lists="$work/apt/lists" -o Dir::Cache="$work/apt" -o APT::Sandbox::User=root "$@"
    }
    apt update || die "apt-get could not read its lists"
    (cd "$work" && apt source --download-only sqlite3 jansson utf8proc ncurses) || die "apt-get could not fetch them"
fi

grep -v '^#' "$list" | while read -r want file; do
    [ -f "$work/$file" ] || die "$file is not there; the distribution may have a newer one: see tools/sources.txt"
    is=$(sha256sum "$work/$file" | cut -d' ' -f1)
    [ "$is" = "$want" ] || die "$file has SHA-256 $is, and tools/sources.txt says $want"
done

# unpack NAME: upstream's archive with the distribution's patches on it, in $work/NAME
unpack() {
    mkdir "$work/$1"
    tar -xf "$work/$1"_*.orig.tar.* -C "$work/$1" --strip-components=1
    tar -xf "$work/$1"_*.debian.tar.xz -C "$work/$1"
    [ ! -f "$work/$1/debian/patches/series" ] || grep -v '^#' "$work/$1/debian/patches/series" | while read -r patch _; do
        [ -z "$patch" ] || patch -s -p1 -d "$work/$1" <"$work/$1/debian/patches/$patch"
    done
}
rm -f "$work"/*.asc "$work"/*www*
for name in sqlite3 jansson utf8proc ncurses; do
    unpack "$name" || die "a patch of $name does not apply"
done

rm -rf "$out"
mkdir -p "$out/sqlite3" "$out/jansson" "$out/utf8proc"
(cd "$work/sqlite3" && ./configure --disable-tcl >/dev/null && make sqlite3.c >/dev/null 2>&1) ||
    die "SQLite's one-file form could not be made"
cp "$work/sqlite3/sqlite3.c" "$work/sqlite3/sqlite3.h" "$out/sqlite3/"
cp "$work"/jansson/src/*.[ch] "$work/jansson/src/jansson_config.h.in" "$work/jansson/LICENSE" "$out/jansson/"
cp "$work"/utf8proc/utf8proc.[ch] "$work/utf8proc/utf8proc_data.c" "$work/utf8proc/LICENSE.md" "$out/utf8proc/"
mv "$work/ncurses" "$out/ncurses"
cp "$list" "$out/.made-of"
printf 'sources: sqlite3, jansson, utf8proc and ncurses are in build/sources\n'
