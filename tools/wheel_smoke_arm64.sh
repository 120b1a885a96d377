#!/bin/sh
# The ARM64 wheel on an emulated ARM64 machine: sh tools/wheel_smoke_arm64.sh WHEEL. Python and its libraries are the
# distribution's for that processor, unpacked into build/arm64; numpy and cffi are their own wheels for it.
set -eu
cd "$(dirname "$0")/.."
wheel=$(realpath "$1")
sh tools/setup.sh build cross wheel
root=$PWD/build/arm64
if [ ! -f "$root/.made" ]; then
    rm -rf "$root"
    mkdir -p "$root/apt/parts" "$root/apt/lists/partial" "$root/packages" "$root/site"
    cp /etc/apt/sources.list.d/*.sources "$root/apt/parts/" 2>/dev/null || true
    [ ! -f /etc/apt/sources.list ] || cp /etc/apt/sources.list "$root/apt/parts/all.list"
    apt() {
        apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$root/apt/parts" \
            -o Dir::State::lists="$root/apt/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$root/apt" \
            -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root "$@"
    }
    apt update
    (cd "$root/packages" && apt download python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libgcc-s1 \
        libstdc++6 libexpat1 zlib1g libssl3 libffi8 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1)
    for package in "$root"/packages/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    .venv/bin/pip download --quiet --disable-pip-version-check --only-binary=:all: --python-version 3.11 \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
        --dest "$root/packages" 'numpy>=1.26,<3' 'cffi>=1.16,<3'
    for package in "$root"/packages/*.whl; do
        .venv/bin/python -m zipfile -e "$package" "$root/site"
    done
    touch "$root/.made"
fi
rm -rf "$root/hither"
.venv/bin/python -m zipfile -e "$wheel" "$root/hither"
command=$(find "$root/hither" -path '*/scripts/hither')
chmod +x "$command"
qemu-aarch64 -L "$root" "$command" --version
PYTHONPATH="$root/hither:$root/site" qemu-aarch64 -L "$root" "$root/usr/bin/python3.11" - <<'PY'
import platform, tempfile

import numpy as np

import hither

assert platform.machine() == "aarch64"
rng = np.random.default_rng(0)
rows, queries = rng.standard_normal((500, 48), dtype=np.float32), rng.standard_normal((5, 48), dtype=np.float32)
labels, distances = hither.knn(rows, queries, k=3, metric="l2")
exact = ((queries[:, None].astype(np.float64) - rows[None].astype(np.float64)) ** 2).sum(2)
assert (labels == np.argsort(exact, 1)[:, :3]).all()
with tempfile.TemporaryDirectory() as folder:
    with hither.connect(folder + "/db.hither") as db:
        db.collection("notes", embedder=hither.Embedder()).upsert([1, 2], documents=["a bird of prey", "warm bread"])
    with hither.connect(folder + "/db.hither") as db:
        assert db["notes"].search("birds", k=1)[0].id == 1
        db.verify()
window = hither.Window(embedder=hither.Embedder())
window.push(["one", "two", "three"])
assert len(window) == 3
print("arm64:", hither.__version__, "under", platform.python_version(), "with numpy", np.__version__)
PY
