# Everything runs in a virtual environment under this folder, made when it is needed.
#   make up [PORT=8080] [HOST=127.0.0.1]   install and start the service
#   make test                              run the tests
#   make train                             install what fine-tuning needs as well
#   make lint                              format, lint, types, layers, and what has grown long
#   make demo-loop                         from corrected answers to a better model, for real
#   make bench                             run the benchmarks (not the soak: bench/soak.py)

PORT ?= 8080
HOST ?= 127.0.0.1
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$each; break; }; done)

.PHONY: up train demo-loop test lint bench format clean

up: $(VENV)/.installed
	@exec $(BIN)/headrace up --host $(HOST) --port $(PORT)

# Tests start hundreds of processes: with no bytecode kept, each would compile all it imports. Each
# worker begins with its share of the files in order, so that what a session or a file shares is
# made once, and takes tests of another when it has none left. One more than there are cores: tests
# wait for processes, disks and clocks about a quarter of their time.
test: $(VENV)/.installed-dev
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses=$$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses=4 --dist=worksteal $(ARGS)

train: $(VENV)/.installed-train

demo-loop: $(VENV)/.installed-train
	@$(BIN)/python examples/loop/demo.py

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(BIN)/python tools/longest.py

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev
	@failed=; for each in $(filter-out bench/soak.py,$(wildcard bench/*.py)); do \
		echo "== $$each"; $(BIN)/python $$each || failed="$$failed $$each"; done; \
		test -z "$$failed" || { echo "error: not as it should be:$$failed" >&2; exit 1; }

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "error: Headrace needs Python 3.11 or newer, and none was found" >&2; \
		echo "hint: install it, or name it: make up PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "making a virtual environment in $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) || { echo "hint: on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	@echo "installing Headrace and what it needs (about a minute the first time)"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed pyproject.toml
	@echo "installing what the tests need"
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --group dev
	@touch $@

$(VENV)/.installed-train: $(VENV)/.installed-dev pyproject.toml
	@echo "installing what fine-tuning needs (PyTorch and its libraries)"
	@$(PIP) install --editable '.[train]'
	@touch $@
