# make run    separates the example song (or SONG=path) into twelve stems
# make test   everything that must hold, from nothing, in under 15 minutes
# make check  ruff and mypy
# make bench  speed and memory of the separator on this machine

PYTHON ?= python3
SONG ?= examples/song.mp3
STEMS ?= twelve
BIN := .venv/bin
# pip has no way to prefer the small CPU build of torch; this pin is the one that exists everywhere (CONTRIBUTING.md).
CONSTRAINTS := --constraint training/constraints.txt

.PHONY: run test test-long check bench train clean packages

run: .venv/installed
	@$(BIN)/stemwright separate "$(SONG)" --stems $(STEMS)

test: .venv/tested packages
	$(BIN)/pytest -m "not long" -n 2 --dist worksteal

test-long: .venv/tested packages
	$(BIN)/pytest -m long

check: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python benchmarks/separate.py

train: .venv/tested packages
	$(BIN)/python -m training.train $(TRAIN)

packages:
	@sh tests/packages.sh

clean:
	rm -rf .venv stems build dist

# Each mark is made once all that it stands for is installed, so a broken install is begun again.
.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Stemwright needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv is missing: apt-get install python3-venv"; exit 2; }
	$(BIN)/pip install --quiet --upgrade pip
	@touch $@

.venv/installed: .venv/made pyproject.toml
	$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/checked: .venv/installed
	$(BIN)/pip install --quiet --editable .[dev]
	@touch $@

.venv/tested: .venv/checked training/constraints.txt
	$(BIN)/pip install --quiet $(CONSTRAINTS) torch
	$(BIN)/pip install --quiet $(CONSTRAINTS) 'setuptools<80' wheel cython numpy
	@$(BIN)/pip install --quiet $(CONSTRAINTS) --no-build-isolation pyworld || echo "pyworld could not be built (it needs a C++ compiler): the tests of singing are left out"
	$(BIN)/pip install --quiet $(CONSTRAINTS) mido onnx onnxscript
	@touch $@
