# Needs Python 3.11 or newer, make and the package index; everything else is installed into .venv.
PYTHON ?= python3
WORKERS ?= auto
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.PHONY: help install demo test torture check format bench lock clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

install: $(INSTALLED)  ## the pinned environment in .venv

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, $(PYTHON) is {v[0]}.{v[1]}: make PYTHON=python3.11 ...")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(INSTALLED)  ## train skills from a list of sentences, chain those that passed and film the result
	$(PY) tools/train_batch.py --instructions configs/instructions/demo.txt --config configs/high_level.py:demo --force \
	  --zoo outputs/demo/zoo --workdir outputs/demo/run
	$(PY) tools/compose_demo.py --zoo outputs/demo/zoo --out outputs/demo/demo.mp4

test: $(INSTALLED)  ## every test
	$(PY) -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

torture: $(INSTALLED)  ## the zoo under attack, at most 40 minutes (rewrites docs/trust-report.md); training killed 20 times
	$(PY) tests/skill_zoo/torture.py --report docs/trust-report.md
	$(PY) tests/low_level/kill_torture.py --kills 20

check: $(INSTALLED)  ## format, lint, types, import floors and the fast tests
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/ruff check
	$(VENV)/bin/pyright
	$(VENV)/bin/lint-imports
	$(PY) -m pytest -m "not slow" -n $(WORKERS) --maxprocesses 4 --dist loadfile

format: $(INSTALLED)  ## rewrite the code in its house style
	$(VENV)/bin/ruff format
	$(VENV)/bin/ruff check --fix

bench: $(INSTALLED)  ## measure the physics door on this machine
	$(PY) benchmarks/physics.py

lock: $(INSTALLED)  ## resolve every extra anew and rewrite constraints.txt
	$(PY) tools/lock.py

clean:  ## remove the environment and every output
	rm -rf $(VENV) outputs runs .pytest_cache .ruff_cache .import_linter_cache
