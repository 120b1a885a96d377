# hither's front door. Each target does all the set-up it needs (tools/setup.sh) and is thin over CMake's presets,
# ctest and pytest, which can just as well be used by hand. `make help` lists the targets.
.DEFAULT_GOAL := all
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

PYTHON_VENV := .venv/bin/python
STEP := sh tools/step.sh
PREFIX ?= /usr/local
SUITE ?= exact
FUZZ_SECONDS ?= 60

## all: set-up, then build/bin/hither and `import hither` in .venv/bin/python
.PHONY: all
all: build

.PHONY: setup
setup:
	@sh tools/setup.sh build

.PHONY: build
build: setup
	@cmake --preset release --log-level=WARNING
	@cmake --build --preset release

## demo: the main job on real text, in about two minutes
.PHONY: demo
demo:
	@sh tools/setup.sh build demo
	@$(MAKE) build
	@$(PYTHON_VENV) demo/demo.py

## test: every test, with gcc, clang and the sanitizers, then Python's
.PHONY: test
test:
	@sh tools/setup.sh build demo test
	@$(STEP) "release build" $(MAKE) build
	@$(STEP) "checks" $(MAKE) check
	@$(STEP) "C tests, gcc" $(MAKE) ctest-dev
	@$(STEP) "C tests, clang" $(MAKE) ctest-clang
	@$(STEP) "C tests, clang, address and undefined-behaviour sanitizers" $(MAKE) ctest-asan-ubsan-clang
	@$(STEP) "C tests, gcc, thread sanitizer" $(MAKE) ctest-tsan
	@$(STEP) "Python tests" $(MAKE) pytest

# ctest-PRESET: the C tests of one preset. build/PRESET is its folder.
ctest-%:
	@cmake --preset $* --log-level=WARNING
	@cmake --build --preset $*
	@ctest --test-dir build/$* --output-on-failure --no-tests=error --parallel 2 $(CTEST_FLAGS)

.PHONY: pytest
pytest: build
	@$(PYTHON_VENV) -m pytest -q tests/python

## check: format, layers, sizes, exports, documents, lint
.PHONY: check
check:
	@sh tools/setup.sh build test
	@sh tools/check.sh

## clean: removes what was built; .venv stays
.PHONY: clean
clean:
	@rm -rf build

## help: this list
.PHONY: help
help:
	@sed -n 's/^## /make /p' $(MAKEFILE_LIST)
