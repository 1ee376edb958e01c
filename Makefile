# `make demo` and `make test` do all the set-up on a machine that has python3 (3.11 or newer, with venv) and make.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PINS = $(shell $(PYTHON) -c 'import sys; print("requirements/py%d%d.txt" % sys.version_info[:2])')
CONSTRAIN = $(if $(wildcard $(PINS)),-c $(PINS))

.PHONY: demo test lint bench clean

demo: $(VENV)/.installed
	$(BIN)/ganx demo --out runs/demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("ganx needs Python 3.11 or newer; set PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet $(CONSTRAIN) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet $(CONSTRAIN) -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) runs report
