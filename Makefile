# Everything here sets itself up: on a fresh machine `make demo` or `make test` is the only command to type.
# Needs python3.11 with venv, a C compiler and make. The environments .venv and .venv-core are made once.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
ESCNN := escnn==1.0.11
NATIVE := $(wildcard scalegroup/engine/native/contract.*)

BIN := .venv/bin
READY := .venv/.ready
CORE := .venv-core/bin
CORE_READY := .venv-core/.ready

.PHONY: help demo test lint core docs browse bench clean

test core docs: export OMP_NUM_THREADS = 1  # two workers on two cores
docs: export NO_COLOR = 1  # what examples print is shown on pages

help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: $(READY)  ## train and compare two U-Nets on made-up scans; pictures in ./demo/ (6 minutes)
	$(BIN)/scalegroup demo

test: $(READY)  ## all tests and doctests
	$(BIN)/python -m pytest -n 2 -q

lint: $(READY)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/mypy

# Without what torch.compile and torch.export see of a layer: no numpy, and `make test` has tried it.
core: $(CORE_READY)  ## the tests again with numpy 2 and the core dependencies alone
	$(CORE)/python -c "import numpy, sys; sys.exit(0 if numpy.__version__ >= '2' else 'numpy 2 expected')"
	$(CORE)/python -m pytest -n 2 -q --doctest-ignore-import-errors -k "not compile and not export"

docs: $(READY)  ## the site in docs/_build/html; its pages and examples are executed, a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -j 2 -b html docs docs/_build/html

browse: docs  ## open every page of the site in headless Chromium; screenshots in docs/_build/shots
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[browser]'
	test -x /usr/bin/chromium || { apt-get update -qq && apt-get install -y -qq chromium; }
	$(BIN)/python docs/browse.py

bench: $(READY)  ## time the engine beside dense and plain convolutions; tables in docs/results/ (12 minutes)
	$(BIN)/scalegroup bench --results docs/results

clean:  ## remove both environments and everything generated
	rm -rf .venv .venv-core build dist demo runs docs/_build docs/gallery docs/api/generated *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache

# Two steps, because escnn asks for py3nj, which needs a Fortran compiler and is not used here.
$(READY): pyproject.toml constraints.txt $(NATIVE)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,viz,points,diffusion,escnn,docs,dev]'
	$(BIN)/python -m pip install --quiet --no-deps $(ESCNN)
	touch $@

$(CORE_READY): pyproject.toml constraints.txt $(NATIVE)
	test -x $(CORE)/python || $(PYTHON) -m venv .venv-core
	$(CORE)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]' 'numpy>=2'
	touch $@
