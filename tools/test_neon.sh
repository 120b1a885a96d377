#!/bin/sh
# The kernel tests for ARM64 on another machine: cross-compiled, statically linked, run under qemu's user mode at every
# level. The kernels stand on nothing but libc, so nothing else need be there for that architecture.
set -eu
cd "$(dirname "$0")/.."
out=build/neon
mkdir -p "$out"
compile="aarch64-linux-gnu-gcc -std=c11 -D_GNU_SOURCE -O2 -ffp-contract=off -fno-math-errno -Wall -Wextra -Werror -static
    -Iinclude -Isrc -Itests/support -Itests/cross"
files=$(find src/kernels -name '*.c' ! -name 'avx*' ! -name neon_dot.c)
$compile -march=armv8.2-a+dotprod -c src/kernels/neon_dot.c -o "$out/neon_dot.o"
$compile $files "$out/neon_dot.o" tests/kernels/test_kernels.c -o "$out/test_kernels" -lm
for level in scalar neon neon-dot; do
    echo "kernels.$level, aarch64:"
    qemu-aarch64 "$out/test_kernels" "$level"
done
$compile $files "$out/neon_dot.o" tests/kernels/test_transformer.c -o "$out/test_transformer" -lm
echo "kernels.transformer, aarch64:"
qemu-aarch64 "$out/test_transformer"
