#!/bin/sh
# Every check that is not a test: sh tools/check.sh [format|layers|sizes|exports|documents|tools|python|install|tidy]...
# It wants a release build (exports). All that were asked for run, whatever fails; the status says if any did.
set -u
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- format layers sizes exports documents tools python install tidy
python=.venv/bin/python
failed=

check() {
    case $1 in
    format)
        find include src cli tests bench examples -name '*.[ch]' | xargs clang-format --dry-run -Werror &&
            echo "format: all C files are as clang-format leaves them"
        ;;
    layers) $python tools/check_layers.py ;;
    sizes) $python tools/check_size.py ;;
    exports) $python tools/check_exports.py ;;
    documents) $python tools/check_docs.py ;;
    tools) $python -m pytest -q -p no:cacheprovider tools ;;
    python)
        $python -m ruff check --quiet . && $python -m ruff format --quiet --check . && echo "python: ruff agrees" &&
            $python -m basedpyright
        ;;
    install) sh tools/test_install.sh ;;
    tidy)
        cmake --preset clang --log-level=WARNING >/dev/null &&
            run-clang-tidy -quiet -j "$(nproc)" -p build/clang '/(src|cli)/' >build/tidy.log 2>&1 &&
            echo "tidy: clang-tidy has nothing to say" || {
            grep -E 'warning:|error:' build/tidy.log
            false
        }
        ;;
    *)
        echo "no such check: $1" >&2
        false
        ;;
    esac
}

for name in "$@"; do
    check "$name" || failed="$failed $name"
done
if [ -n "$failed" ]; then
    echo "checks that failed:$failed" >&2
    exit 1
fi
