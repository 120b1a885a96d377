#!/bin/sh
# Set-up for a Debian 12 machine, or for anything that has the same tools: sh tools/setup.sh [GROUP...]
#
#   build   compilers and libraries for the library, the command and the Python package; .venv
#   demo    the demo's data
#   test    the second compiler, the sanitizers' and fuzzers' runtimes, the checkers, the test libraries
#   bench   the engines that the benchmarks stand beside
#   parity  what `make test-embed-parity` compares tokens and vectors with
#   cross   an ARM compiler and emulator, for `make test-neon`
#   site    what makes a site of docs/
#   wheel   what builds and checks wheels, the source archive and the static command
#
# No group means build, demo and test. Every thing is looked for by using it, and only what is missing is installed:
# Debian packages with apt-get, as root or through sudo; Python packages into .venv. With nothing missing it prints
# nothing, touches no network and is done in about a second. Run it as often as you like.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- build demo test

say() { printf 'set-up: %s\n' "$*"; }
die() {
    printf 'set-up: %s\n' "$*" >&2
    exit 1
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# need PACKAGES CHECK...: notes the Debian packages as missing unless the check succeeds.
missing=
need() {
    packages=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $packages"
}
have() { command -v "$1"; }
compiles() { echo '#include <stdio.h>' | gcc -E -; }
fuzzes() {
    echo 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return !p && n; }' >"$scratch/fuzz.c"
    clang -fsanitize=fuzzer,address,undefined "$scratch/fuzz.c" -o "$scratch/fuzz"
}
# An interpreter that can own .venv: new enough, with its headers, venv and ensurepip (Debian packs them apart).
find_python() {
    for python in ${PYTHON:-} python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
        if "$python" - <<'PY'
import os, sys, sysconfig
import ensurepip, venv
header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
sys.exit(sys.version_info < (3, 11) or not os.path.exists(header))
PY
        then
            return 0
        fi
    done 2>/dev/null
    return 1
}
venv_works() { .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))'; }
wants_python() { venv_works || find_python; }

look() {
    missing=
    for group in "$@"; do
        case $group in
        build)
            need make have make
            need cmake have cmake
            need ninja-build have ninja
            need pkg-config have pkg-config
            need gcc have gcc
            need libc6-dev compiles
            need libsqlite3-dev pkg-config --exists 'sqlite3 >= 3.40'
            need libjansson-dev pkg-config --exists 'jansson >= 2.13'
            need libutf8proc-dev pkg-config --exists 'libutf8proc >= 2.5'
            need libncurses-dev pkg-config --exists ncursesw
            need 'python3 python3-venv python3-dev' wants_python
            ;;
        demo)
            need wordnet-base test -r /usr/share/wordnet/data.noun
            ;;
        test)
            need clang have clang
            need g++ have g++
            need libclang-rt-14-dev fuzzes
            need clang-format have clang-format
            need clang-tidy have clang-tidy
            need libcmocka-dev pkg-config --exists cmocka
            need strace have strace
            ;;
        bench)
            need g++ have g++
            ;;
        cross)
            need 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross' have aarch64-linux-gnu-gcc
            need qemu-user have qemu-aarch64
            ;;
        parity) ;; # Python packages only
        site) ;;
        wheel)
            need patch have patch
            need xz-utils have xz
            need tcl have tclsh
            need binutils have readelf
            ;;
        *) die "no such group: $group (there are build, demo, test, bench, parity, cross, site, wheel)" ;;
        esac
    done
}

look "$@"
if [ -n "$missing" ]; then
    line="apt-get install -y --no-install-recommends$missing"
    have apt-get >/dev/null || die "these Debian packages, or what your system calls them, are missing:$missing"
    if [ "$(id -u)" -eq 0 ]; then
        as_root=
    elif have sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root=sudo
    else
        die "some Debian packages are missing, and neither root nor sudo is at hand. Once, as root: $line"
    fi
    say "installing Debian packages:$missing"
    # shellcheck disable=SC2086 # both are lists of words
    {
        $as_root apt-get update -qq </dev/null
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing </dev/null >"$scratch/apt.log" 2>&1 || {
            cat "$scratch/apt.log" >&2
            die "apt-get could not install them; once it can, run: $line"
        }
    }
    look "$@"
    [ -z "$missing" ] || die "installed, yet still not usable:$missing"
fi

if ! venv_works >/dev/null 2>&1; then
    find_python || die "no Python of 3.11 or newer with venv, ensurepip and Python.h; name one in PYTHON="
    say "making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi
# A group's Python packages count as there while its list is the one last installed and pip still sees all of them.
for group in "$@"; do
    list=tools/requirements-$group.txt
    stamp=.venv/.installed-$group
    [ -f "$list" ] || continue
    if cmp -s "$list" "$stamp" && .venv/bin/python tools/has_packages.py "$list"; then
        continue
    fi
    flags=
    [ "$group" != parity ] || flags=--no-deps # their files are wanted, not what they ask for in turn
    say "installing into .venv: $(sed -e 's/#.*//' -e 's/[<>=!].*//' "$list" | tr -s ' \n' ' ')"
    .venv/bin/pip install --quiet --disable-pip-version-check --no-input $flags -r "$list" ||
        die "pip could not install what $list names"
    cp "$list" "$stamp"
done
