# Two commands for a newcomer: make demo, make test.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

STUDY ?= study-all

.PHONY: demo test lint leaderboard clean

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/ctloupe demo --out demo --overwrite

lint: $(STAMP)
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Trains what the study lacks (three quarters of an hour on two cores), runs the suite, and writes it into the docs.
leaderboard: $(STAMP)
	$(BIN)/ctloupe study run all --scale tiny --out $(STUDY) --resume
	$(BIN)/python benchmarks/leaderboard.py --study $(STUDY) --page docs/results.md

clean:
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
