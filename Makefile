.PHONY: help demo test test-thorough test-slow lint format bench docs dist clean

BIN := .venv-full/bin

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 26

demo:  ## Set up the base environment and run the main job: daf quickstart
	@scripts/setup.sh base
	@.venv/bin/daf quickstart

# Compiled modules are kept, whatever the environment says: many tests start processes that import DAF.
TESTS := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest

test:  ## Set up the full environment and run the tests
	@scripts/setup.sh full
	@$(TESTS) -n auto --dist worksteal

test-thorough:  ## The second stage of CI: kills and exact resume, hostile files, the whole main job
	@scripts/setup.sh full
	@$(TESTS) -n auto --dist worksteal -m "thorough and not slow"

test-slow:  ## The tests that take longer than CI may
	@scripts/setup.sh full
	@$(TESTS) -m slow

lint:  ## Lint, format, types, layers, plain English
	@scripts/setup.sh full
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/plain_english.py README.md CHANGELOG.md docs src/daf

format:  ## Format the code
	@scripts/setup.sh full
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

BENCHMARKS := engine evaluate logs replay until_decided calibration sequential dashboard serve sweeps training scaling_training learning scaling

bench:  ## Benchmarks on this machine, two hours or so; one: make bench BENCHMARKS=engine
	@scripts/setup.sh full
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

docs:  ## Build the documentation into site/
	@scripts/setup.sh full
	@$(BIN)/mkdocs build --strict --quiet

dist:  ## Build sdist, wheel and SBOM, install the wheel into an empty environment, run daf quickstart there
	@scripts/dist.sh

clean:  ## Remove environments and caches; runs are left alone
	@rm -rf .venv .venv-full .tools site dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
