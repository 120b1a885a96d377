# hither's front door. Each target does all the set-up it needs (tools/setup.sh) and is thin over CMake's presets,
# ctest and pytest, which can just as well be used by hand. `make help` lists the targets.
.DEFAULT_GOAL := all
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
STEP := sh tools/step.sh
PREFIX ?= /usr/local
SUITE ?= exact
FUZZ_SECONDS ?= 60
# The tests in which several threads meet.
THREADED := ^unit\.(backup|collection_codes|collection_index|compact_threads|container|embedder|engine|exact|filter_threads|flat|hnsw|io|ivf|job|kept_threads|keyword_api|kmeans|lanes|near|near_churn|pool|relaxed|result|schema|snapshot|standing|store|threads|tokenizer|verify|window|window_open|window_ring)$$

## all: set-up, then build/bin/hither and `import hither` in .venv/bin/python
.PHONY: all
all:
	@sh tools/setup.sh build
	@cmake --preset release --log-level=WARNING -DHITHER_PYTHON=ON -DPython3_EXECUTABLE="$(CURDIR)/$(PYTHON)"
	@cmake --build --preset release
	@$(PYTHON) tools/link_package.py python

## demo: the main job on real text, in about two minutes
.PHONY: demo
demo: all
	@sh tools/setup.sh demo
	@$(PYTHON) demo/demo.py

## test: all the tests, with gcc, clang and the sanitizers, and the checks
.PHONY: test
test:
	@sh tools/setup.sh build demo test
	@$(STEP) "release build" $(MAKE) all
	@HITHER_CRASH_STATES=10000 $(STEP) "C tests, gcc" $(MAKE) ctest-dev
	@$(STEP) "C tests, clang" $(MAKE) ctest-clang
	@HITHER_CRASH_STATES=300 HITHER_FAULT_STEP=40 $(STEP) "C tests, clang, address and undefined-behaviour sanitizers" \
	    $(MAKE) ctest-asan-ubsan-clang
	@$(STEP) "C tests of threads, gcc, thread sanitizer" $(MAKE) ctest-tsan
	@$(STEP) "checks" sh tools/check.sh
	@$(STEP) "Python tests" $(MAKE) pytest

ctest-tsan: CTEST_FLAGS = --tests-regex '$(THREADED)'
# ctest-PRESET: builds and runs the C tests of one preset; build/PRESET is its folder.
ctest-%:
	@cmake --preset $* --log-level=WARNING
	@cmake --build --preset $*
	@ctest --test-dir build/$* --output-on-failure --no-tests=error --parallel 2 $(CTEST_FLAGS)

.PHONY: pytest
pytest:
	@$(PYTHON) -m pytest -q tests/python tests/examples

## check: format, layers, sizes, exports, documents, lint
.PHONY: check
check: all
	@sh tools/setup.sh test
	@sh tools/check.sh

## bench: one suite of benchmarks beside its peers; SUITE=exact|ann|recall|store|database|stream|embed|python
.PHONY: bench
bench: all
	@sh tools/setup.sh bench
	@$(PYTHON) bench/run.py $(SUITE)

## test-neon: the kernel tests on an emulated ARM64
.PHONY: test-neon
test-neon:
	@sh tools/setup.sh cross
	@sh tools/test_neon.sh

## test-integrations: the suites of LangChain, Haystack, txtai, scikit-learn and others over hither, in a venv of their own
.PHONY: test-integrations
test-integrations: all
	@sh tools/test_integrations.sh

STRINGS ?= 200000
TEXTS ?= 2000
## test-embed-parity: tokens and vectors beside those of tokenizers and ONNX Runtime; STRINGS=200000 TEXTS=2000
.PHONY: test-embed-parity
test-embed-parity: all
	@sh tools/setup.sh demo test parity
	@cmake --preset dev --log-level=WARNING
	@cmake --build --preset dev --target tokenizer_ids
	@$(PYTHON) tests/parity/parity.py --strings $(STRINGS) --texts $(TEXTS)

## torture: every failing operation, 100,000 crashes, 5,000 kills, a million ties, 100,000 operations, 10^9 records of a stream; takes hours
.PHONY: torture
torture: all
	@sh tools/setup.sh test
	@cmake --preset dev --log-level=WARNING
	@cmake --build --preset dev
	@HITHER_CRASH_STATES=100000 build/dev/bin/test_crash_replay
	@HITHER_FAULT_STEP=1 build/dev/bin/test_io_errors
	@HITHER_FAULT_STEP=1 build/dev/bin/test_oom
	@HITHER_DAMAGE_STEP=1 build/dev/bin/test_damage
	@HITHER_TIES=1000000 build/dev/bin/test_exact
	@HITHER_STREAM_RECORDS=1000000000 build/dev/bin/test_window_ring
	@HITHER_STREAM_RECORDS=1000000000 build/dev/bin/test_window_open
	@HITHER_KILLS=5000 $(PYTHON) -m pytest -q tests/python/test_kill.py
	@HITHER_KILLS=500 $(PYTHON) -m pytest -q tests/python/test_space.py
	@HITHER_SWEEP_OPERATIONS=100000 HITHER_LINEAR_ROUNDS=5000 \
		$(PYTHON) -m pytest -q tests/python/test_sweep.py tests/python/test_linear.py

## fuzz: every fuzz target for FUZZ_SECONDS=60
.PHONY: fuzz
fuzz:
	@sh tools/setup.sh build test
	@sh tools/fuzz.sh $(FUZZ_SECONDS)

## install: the command, the libraries, the header and the man page under PREFIX=/usr/local
.PHONY: install
install: all
	@cmake --preset release --log-level=WARNING -DCMAKE_INSTALL_PREFIX="$(PREFIX)"
	@cmake --build --preset release
	@cmake --install build

## wheel: dist/*.whl for x86-64 and glibc 2.28 on; WHEELS="x86_64-gnu aarch64-gnu x86_64-musl aarch64-musl" for all
.PHONY: wheel
wheel:
	@sh tools/setup.sh build wheel
	@sh tools/wheel.sh $(WHEELS)

## test-wheel: that wheel in an empty environment without compilers, and the Python tests against it
.PHONY: test-wheel
test-wheel: wheel
	@sh tools/wheel_test.sh dist/*manylinux*_x86_64.whl

## test-wheel-arm64: the wheel for ARM64, tried on an emulated machine
.PHONY: test-wheel-arm64
test-wheel-arm64:
	@sh tools/setup.sh build wheel cross
	@sh tools/wheel.sh aarch64-gnu
	@sh tools/wheel_smoke_arm64.sh dist/*manylinux*_aarch64.whl

## sdist: dist/hither-VERSION.tar.gz, with the sources of the C libraries in it
.PHONY: sdist
sdist:
	@sh tools/setup.sh build wheel
	@sh tools/sdist.sh

## dist: one static `hither` for any x86-64 Linux, dist/hither-VERSION-x86_64-linux.tar.gz
.PHONY: dist
dist:
	@sh tools/setup.sh build wheel
	@sh tools/dist.sh

## site: the documentation with its references, as pages in build/site
.PHONY: site
site: all
	@sh tools/setup.sh site
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=python $(PYTHON) -m mkdocs build --strict --quiet
	@echo "site: build/site/index.html"

## clean: removes what was built; .venv stays
.PHONY: clean
clean:
	@rm -rf build python/hither/*.so

## help: this list
.PHONY: help
help:
	@sed -n 's/^## /make /p' $(MAKEFILE_LIST)
