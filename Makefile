# The commands for people and for CI are the same ones. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PORT ?= 8000
BENCH ?=
PYTEST ?= $(BIN)/python -m pytest

export PYTHONDONTWRITEBYTECODE :=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install dev up test test-fast check format bench soak plugins lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.venv/bin/python:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed: install it, or say PYTHON=/path/to/python3" >&2; exit 1; fi
	@$(PYTHON) -m venv .venv || { echo "On Debian and Ubuntu, install the package python3-venv first" >&2; rm -rf .venv; exit 1; }

.venv/.installed: .ci/requirements.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --require-hashes --requirement .ci/requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

.venv/.dev: .ci/requirements-dev.txt .venv/.installed
	$(BIN)/python -m pip install --quiet --require-hashes --requirement .ci/requirements-dev.txt
	@touch $@

install: .venv/.installed ## make .venv with tool-server and extism-registry in it

dev: .venv/.dev ## and with what tests and checks need

up: install ## install and serve on 127.0.0.1:8000 with the bundled plugins (PORT=9000 for another port)
	@exec $(BIN)/tool-server up --port $(PORT)

test: dev ## every test; installs Node packages first. REQUIRE_ALL=1 turns skips for missing parts into failures
	$(BIN)/python -m tests.support.node
	@# What measures how long others wait comes afterwards and has the machine for itself.
	@status=0; \
	$(PYTEST) tests -m "not alone" --numprocesses 2 --dist worksteal || status=$$?; \
	$(PYTEST) tests -m alone || status=$$?; \
	exit $$status

test-fast: dev ## the tests that need no browser, Node or toolchain
	$(PYTEST) tests -m "not slow" --numprocesses 2 --dist worksteal

check: dev ## ruff, pyright, import-linter, the public schemas
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m pyright
	$(PYTEST) --quiet tests/inspection/test_public_schemas.py

format: dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: dev ## ratios measured in one run, printed and written to bench.json (BENCH=name runs one)
	$(BIN)/python -m tests.bench $(BENCH)

soak: dev ## 200,000 calls: memory, descriptors and processes stay flat; then two minutes of random faults under load
	$(BIN)/python -m tests.bench.soak
	$(BIN)/python -m tests.hostile.faults

plugins: dev ## build the bundled plugins again from their source
	$(BIN)/python plugins/build.py

lock: dev ## pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header --generate-hashes \
		--upgrade pyproject.toml --output-file .ci/requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header --generate-hashes \
		--upgrade --group dev pyproject.toml --output-file .ci/requirements-dev.txt

clean: ## remove what the commands made
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis tests/*/node/node_modules bench.json
