#!/bin/sh
# The libraries that hither.integrations serves, and the tests they publish for stores like it: sh tools/test_integrations.sh [PYTEST...]
#
# They come from requirements-integrations.txt into a venv of their own, .venv-integrations (some gigabytes, as txtai and
# mteb bring torch), once. HITHER_TXTAI=DIR, a checkout of txtai's repository, runs its base class of tests too.
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
# scikit-learn's check of array libraries asks for SCIPY_ARRAY_API; nothing is to be fetched while tests run.
SCIPY_ARRAY_API=1 HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 exec $python -m pytest -q \
    -c tests/integrations/pytest.ini --rootdir tests/integrations tests/integrations "$@"
