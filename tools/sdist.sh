#!/bin/sh
# The source archive, dist/hither-VERSION.tar.gz: the tracked files, and SQLite, jansson and utf8proc in third_party/, so
# that `pip install` of it takes a C compiler and nothing of the system's. sh tools/sdist.sh
set -eu
cd "$(dirname "$0")/.."
sh tools/sources.sh
stage=build/sdist
rm -rf "$stage"
mkdir -p "$stage/third_party" dist
git ls-files -z | tar --null -T - -cf - | tar -xf - -C "$stage"
for name in sqlite3 jansson utf8proc; do
    cp -R "build/sources/$name" "$stage/third_party/"
done
cp tools/sources.txt "$stage/third_party/SOURCES.txt"
.venv/bin/python -m build --sdist --no-isolation --outdir dist "$stage" >"$stage.log" 2>&1 || {
    tail -20 "$stage.log" >&2
    exit 1
}
archive=$(ls -t dist/*.tar.gz | grep -v -- '-linux' | head -1)
tar -tzf "$archive" | grep -q third_party/sqlite3/sqlite3.c
printf 'sdist: %s, %s bytes\n' "$archive" "$(stat -c %s "$archive")"
