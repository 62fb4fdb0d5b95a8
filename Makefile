# Two commands do everything: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.PHONY: help run serve link test test-faults bench bench-map bench-page bench-scale lint format lock clean browser programs

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

run: $(VENV)/.run  ## install, then serve with a sample machine that slowly fails
	@$(BIN)/python app.py demo

serve: $(VENV)/.run  ## install, then serve without the demonstration
	@$(BIN)/python app.py serve

link: $(VENV)/.run  ## print a fresh sign-in link for the first user
	@$(BIN)/python app.py link

test: $(VENV)/.test programs  ## install what the tests need, browser included, and run them
	@$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist worksteal

test-faults: $(VENV)/.test programs  ## the long fault sweeps and soaks
	@$(BIN)/python -m pytest -m slow

bench-map: $(VENV)/.test  ## measure the maps on public machines; OPTIONS="--help" says how
	@$(BIN)/python -W ignore -m benchmarks.map $(OPTIONS)

bench: $(VENV)/.test  ## measure the server beside its floors
	@$(BIN)/python -W ignore -m benchmarks.serving

bench-page: $(VENV)/.test browser  ## measure the page in a browser; OPTIONS="--help" says how
	@$(BIN)/python -W ignore -m benchmarks.page $(OPTIONS)

bench-scale: $(VENV)/.test browser  ## measure how far a machine carries; OPTIONS="--help" says how
	@$(BIN)/python -W ignore -m benchmarks.scale $(OPTIONS)

lint: $(VENV)/.test  ## style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.test  ## put the code into its form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(VENV)/.test  ## pin every dependency anew
	@$(PIP) install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --upgrade \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		--output-file requirements.lock pyproject.toml

clean:  ## remove what was installed and cached; data stays
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info

browser:
	@sh .ci/programs browser

programs:
	@sh .ci/programs browser redis nginx

$(BIN)/python:
	@sh .ci/venv $(PYTHON) $(VENV)

$(VENV)/.run: pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing D'insight (about a minute the first time) ..."
	@$(PIP) install --constraint requirements.lock --editable .
	@touch $@

$(VENV)/.test: pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing D'insight and what its tests need ..."
	@$(PIP) install --quiet --constraint requirements.lock --editable '.[test]'
	@touch $@ $(VENV)/.run
