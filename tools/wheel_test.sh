#!/bin/sh
# Installs a wheel from dist/ into an empty environment and runs the Python tests against what was installed:
# sh tools/wheel_test.sh WHEEL [PYTEST ARGUMENT...]. The tests are copied away from the checkout, so that nothing of
# python/ or build/ can be found, and no compiler is on the PATH.
set -eu
cd "$(dirname "$0")/.."
wheel=$(realpath "$1")
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

.venv/bin/python -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "$wheel" 'pytest>=8,<10' 'hypothesis>=6.100,<7' 'pyarrow>=14'
"$work/venv/bin/hither" --version

mkdir -p "$work/tree/python" "$work/bin"
cp -R tests docs tools bench include examples VERSION pyproject.toml "$work/tree/"
cp python/README.md "$work/tree/python/"
# What reads the sources, or builds them, is about a checkout.
rm -f "$work/tree/tests/python/test_packaging.py"
IFS=:
for folder in $PATH; do
    for file in "$folder"/*; do
        case ${file##*/} in
        *gcc* | *g++* | cc | c99 | c89 | c++ | cpp* | *clang* | ld* | as | tcc | zig | python* | pip* | hither) ;;
        *) [ ! -x "$file" ] || [ -e "$work/bin/${file##*/}" ] || ln -s "$file" "$work/bin/" ;;
        esac
    done
done
cd "$work/tree"
env -u PYTHONPATH PATH="$work/venv/bin:$work/bin" HITHER_COMMAND="$work/venv/bin/hither" \
    "$work/venv/bin/python" -m pytest -q -p no:cacheprovider -o pythonpath= -W ignore::pytest.PytestConfigWarning \
    tests/python "$@"
