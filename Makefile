# Everything a newcomer needs: `make run`, `make test`, `make check`, `make ui`.
PYTHON ?= python3
HOME_DIR ?= data/hospital
BIN := .venv/bin

# Nothing phones home, from any component.
export DAGSTER_DISABLE_TELEMETRY := yes
export GX_ANALYTICS_ENABLED := False

.DEFAULT_GOAL := help
.PHONY: help setup run test test-services check ui demo schemas contracts lock benchmark faults

help: ## Show what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/ready ## Virtual environment with the locked dependencies

.venv/ready: requirements.lock pyproject.toml
	@echo "Setting up .venv (about a minute, once) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check --disable-pip-version-check
	@touch $@

run: .venv/ready ## Run the nightly job for the example home
	@$(BIN)/segmentation run --home $(HOME_DIR)

test: .venv/ready ## Run all tests
	@$(BIN)/python -m pytest -q --numprocesses 2 --dist worksteal

test-services: .venv/ready ## Run the tests that start a server (PostgreSQL must be installed)
	@$(BIN)/python -m pytest -q -m services segmentation_pipeline_tests/services

check: .venv/ready ## Lint, formatting, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

ui: .venv/ready ## Dagster's UI for the example home, on http://127.0.0.1:3000
	@$(BIN)/segmentation ui --home $(HOME_DIR)

demo: .venv/ready ## Make the example home anew from its seed
	@$(BIN)/segmentation demo --home $(HOME_DIR) --customers 300 --days 7 --seed 7

schemas: .venv/ready ## Write the JSON Schemas of both kinds of file
	@$(BIN)/segmentation schema --folder segmentation_pipeline/specification/schemas

contracts: .venv/ready ## Keep the contracts as released: once, when a release is made
	@$(BIN)/segmentation schema --contracts segmentation_pipeline_tests/released_contracts.json

lock: .venv/ready ## Resolve the dependencies anew into requirements.lock (needs uv)
	@uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet -o requirements.lock

benchmark: .venv/ready ## The slow runs at scale (see benchmarks/README.md)
	@$(BIN)/python -m benchmarks.scale

faults: .venv/ready ## Try everything that can go wrong; makes docs/reliability.md
	@$(BIN)/python -m benchmarks.faults --write
