# The one door: people and CI call the same targets. Each sets up what it needs; done once, it is not done again.

PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$name; break; }; done)
PROFILE ?= release
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tierstore
BIN := .venv/bin
PY := $(BIN)/python

# Rust: the one on the path, else the one that rustup put into the home folder, else our own in the cache folder.
export PATH := $(PATH):$(HOME)/.cargo/bin
export PIP_QUIET := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
CARGO := $(shell command -v cargo)
# How many workers share a whole test run, each with servers of its own (0: none, one test after another).
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)
SHARED := --numprocesses=$(WORKERS) --dist=loadgroup --no-loadscope-reorder
ifeq ($(CARGO),)
export RUSTUP_HOME := $(CACHE)/rust/rustup
export CARGO_HOME := $(CACHE)/rust/cargo
export PATH := $(PATH):$(CARGO_HOME)/bin
CARGO := $(CARGO_HOME)/bin/cargo
endif

DEPENDENCIES := .venv/.dependencies
BUILT := target/.built-$(PROFILE)
NATIVE := $(wildcard python/tierstore/_native*.so)
RUST_SOURCES := $(shell find rust -name target -prune -o -name '*.rs' -print -o -name Cargo.toml -print)

.DEFAULT_GOAL := help
.PHONY: help build demo test lint bench requirements wheels docs corpus clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

build: $(BUILT) ## Build the native module into .venv (PROFILE=release, or quick between two edits).

demo: build ## Import real schemas into a fresh folder and look around (INPUT=large: 8,052 .proto files).
ifeq ($(INPUT),large)
	@$(MAKE) --no-print-directory corpus
	$(BIN)/tierstore demo --input $(CACHE)/corpus
else
	$(BIN)/tierstore demo
endif

test: build $(if $(TESTS),,lint) ## Lint, and run every test on real servers (TESTS=tests/contract ARGS="-k get" for some).
	cargo test --quiet --package tierstore-core
	$(if $(TESTS),,$(PY) -m tests.servers.programs)
	$(PY) -m pytest $(TESTS) $(if $(TESTS),,$(SHARED) --requirements=check) $(ARGS)

lint: build ## ruff, mypy, stubtest, rustfmt, clippy, cargo-deny where it is installed.
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy rustfmt
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=python $(PY) -m mypy.stubtest tierstore._native --allowlist tests/typing/stubtest-allowed.txt
	@cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1 || rustup component add clippy rustfmt
	cargo fmt --check
	cargo clippy --quiet --workspace --all-targets -- --deny warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check bans licenses sources; \
	else echo "cargo-deny is not installed: licences and sources are checked by the published workflow"; fi

bench: build .venv/.rivals ## Measure ours beside its rivals (BENCH=targets for one).
	$(PY) -m benches $(BENCH) $(ARGS)

requirements: build ## Which requirements the tests prove (ALL=1: a line an id; UPDATE=1: rewrite the committed list).
	$(PY) -m tests.servers.programs
	$(PY) -m pytest -q --tb=short $(SHARED) -m requirement --requirements=$(if $(UPDATE),update,$(if $(ALL),all,count)) $(ARGS)

wheels: $(DEPENDENCIES) $(CARGO) ## Build all wheels and the sdist into dist/ (WHEEL=cp311-x86_64: one, installed and tried).
	$(PY) -m tests.house.wheels $(WHEEL)

docs: build ## Make the site of README, docs and reference in build/docs; it needs no network to read.
	$(PY) -m tests.house.site build/docs

corpus: $(DEPENDENCIES) ## Fetch 8,052 real .proto files into the cache folder.
	$(PY) -m tests.house.corpus

clean: ## Remove what was built, and .venv.
	rm -rf .venv target build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks python/tierstore/_native*.so

$(DEPENDENCIES): pyproject.toml tests/house/dependencies.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv
	$(PYTHON) -m tests.house.dependencies dev > .venv/requirements.txt
	$(PY) -m pip install --requirement .venv/requirements.txt
	@touch $@

.venv/.rivals: pyproject.toml $(DEPENDENCIES)
	$(PYTHON) -m tests.house.dependencies bench > .venv/bench.txt
	$(PY) -m pip install --requirement .venv/bench.txt
	@touch $@

$(CACHE)/rust/cargo/bin/cargo: | $(DEPENDENCIES)
	$(PY) -m pip install puccinialin
	$(PY) -m puccinialin --location $(CACHE)/rust --info-json .venv/rust.json

# The module counts as built while it is older than the stamp: one that another profile left is built over.
$(BUILT): $(RUST_SOURCES) $(NATIVE) Cargo.toml Cargo.lock pyproject.toml $(DEPENDENCIES) | $(CARGO)
	$(BIN)/maturin develop --quiet --profile $(PROFILE)
	@touch $@
