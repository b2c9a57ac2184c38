# Needs make and Python 3.11 or later, nothing else. Another Python: make PYTHON=python3.12 run
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
WORKERS ?= 2

# Stamps: a set-up is repeated only when pyproject.toml is newer than the last one that finished.
RUNTIME := $(VENV)/.installed-runtime
DEV     := $(VENV)/.installed-dev

.PHONY: run test test-full check docs bench clean help
.DEFAULT_GOAL := help

help:  ## say what the targets do
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUNTIME)  ## set up once, train on the bundled digits, print where the results are
	$(BIN)/chainrule train digits

test: $(DEV)  ## set up once, then every test except the slow ones
	$(BIN)/python -m pytest -n $(WORKERS)

test-full: $(DEV)  ## every test, the slow ones too
	$(BIN)/python -m pytest -n $(WORKERS) --full

check: $(DEV)  ## format, lint, types, layers, generated pages, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/layers/test_imports.py
	$(BIN)/python -m tools.docs --check
	$(BIN)/python -m pytest -n $(WORKERS)

docs: $(DEV)  ## write the generated pages of docs/ again
	$(BIN)/python -m tools.docs

bench: $(DEV)  ## time training against every library that is installed, write docs/performance.md
	$(BIN)/python -m benchmarks.training_step; code=$$?; \
	$(BIN)/python -m benchmarks.report && exit $$code

clean:  ## remove the environment and caches (runs/ stays)
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(RUNTIME): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "chainrule needs Python 3.11 or later; %s is %d.%d. Name another: make PYTHON=python3.12 run" % (sys.executable, v[0], v[1]))'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make environments: install its venv package (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(DEV): pyproject.toml | $(RUNTIME)
	@echo "adding the development tools to $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
