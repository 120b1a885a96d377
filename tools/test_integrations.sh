#!/bin/sh
# The libraries that hither.integrations serves, and the tests they publish for stores like it:
# sh tools/test_integrations.sh [PYTEST...]
#
# They come from requirements-integrations.txt into a venv of their own, .venv-integrations (some gigabytes, as txtai and
# mteb bring torch), once. HITHER_OLD_SRVDB=1 builds SrvDB 0.1.9 from source and runs its lines too; HITHER_TXTAI=DIR, a
# checkout of txtai's repository, runs its own base class of tests. Types are checked first.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-integrations
python=$venv/bin/python

[ -x "$python" ] || .venv/bin/python -m venv "$venv"
for list in tools/requirements-build.txt tools/requirements-integrations.txt; do
    stamp=$venv/.installed-$(basename "$list" .txt)
    cmp -s "$list" "$stamp" && continue
    echo "set-up: installing into $venv what $list names"
    $python -m pip install --quiet --disable-pip-version-check --no-input -r "$list"
    cp "$list" "$stamp"
done
# The only SrvDB with the class of its README: from source, which takes cargo and a while.
if [ -n "${HITHER_OLD_SRVDB:-}" ] && [ ! -d "$venv/srvdb-0.1.9" ]; then
    $python -m pip install --quiet --no-deps --no-binary :all: --target "$venv/srvdb-0.1.9" srvdb==0.1.9
fi
$python -m basedpyright -p tests/integrations/pyrightconfig.json
# scikit-learn's check of array libraries asks for SCIPY_ARRAY_API; nothing is to be fetched while tests run; interpreters
# that tests start find the package by PYTHONPATH.
PYTHONPATH=$PWD/python SCIPY_ARRAY_API=1 HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 exec $python -m pytest -q \
    -c tests/integrations/pytest.ini --rootdir tests/integrations \
    tests/integrations tests/python/test_looks.py tests/python/test_arrow.py tests/python/test_importers.py "$@"
