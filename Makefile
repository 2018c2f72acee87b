# One word a task. `make demo` and `make test` need Python >= 3.10 and the package index, no more.
PYTHON ?= $(firstword $(foreach v,3 3.13 3.12 3.11 3.10 3.14,$(shell python$(v) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && command -v python$(v))))
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types check test-all soak storm fuzz bench format clean

demo: $(VENV)/.demo                ## hear it: local server, real voice, demo.wav
	$(BIN)/fishlive demo -o demo.wav --force

test: lint types check             ## everything a change must pass

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python --level error tests/typing/api.py
	@# What users see is an installed package, so that is what is verified.
	@rm -rf build/types && $(BIN)/python -m pip install --quiet --no-deps --target build/types .
	@# --verifytypes asks the first python on the PATH where packages are, and heeds no --pythonpath.
	PATH="$(abspath $(BIN)):$$PATH" PYTHONPATH="$(CURDIR)/build/types" $(BIN)/basedpyright --verifytypes fishlive --ignoreexternal

check: $(VENV)/.dev
	$(BIN)/pytest -n 2

test-all:                          ## the suite on every interpreter from 3.10 to 3.14 found here
	@for v in 3.10 3.11 3.12 3.13 3.14; do \
	  python$$v -c 'import sys' 2>/dev/null || { echo "python$$v: not found, skipped"; continue; }; \
	  echo "== python$$v"; $(MAKE) --no-print-directory check PYTHON=python$$v VENV=.venv-$$v || exit 1; \
	done

soak: $(VENV)/.dev                 ## seeded conversations in virtual time: make soak SCHEDULES=1000000
	SCHEDULES=$(or $(SCHEDULES),1000000) $(BIN)/pytest -q -p no:randomly tests/adversity/simulation/test_schedules.py

storm: $(VENV)/.dev                ## cancellations and short sessions: make storm SESSIONS=100000
	CANCELLATIONS=$(or $(CANCELLATIONS),10000) SESSIONS=$(or $(SESSIONS),100000) UTTERANCES=$(or $(UTTERANCES),5000) \
	  $(BIN)/pytest -q -rP -p no:randomly tests/adversity/storms

fuzz: $(VENV)/.dev                 ## seeded inputs for every reader, so many each: make fuzz INPUTS=1000000
	INPUTS=$(or $(INPUTS),1000000) $(BIN)/pytest -q -p no:randomly tests/adversity/fuzz

bench: $(VENV)/.dev                ## the table of benchmarks/README.md, peers in the same run
	$(BIN)/python -m benchmarks.run all

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-3.* build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.10 or newer is needed: set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[local]"
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[all]" --group dev
	@touch $@ $(VENV)/.demo
