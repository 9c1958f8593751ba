# Every target is a verb of mlops or of a tool, named: what a person calls is what CI calls.
SHELL := /bin/bash
.DEFAULT_GOAL := help
UV_VERSION := 0.13.8
# The first on PATH that will do; a name may be there and not start, as pyenv's are.
SUITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3 python; do \
  if $$name -c '$(SUITS)' >/dev/null 2>&1; then echo $$name; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
# Containers often set this; without byte code every start would compile MLflow and scikit-learn again.
unexport PYTHONDONTWRITEBYTECODE
# With its hashes in infra/pulumi.sha256, from the formula of github.com/pulumi/homebrew-tap for this version.
PULUMI_VERSION := 3.259.0
PULUMI_HOME := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/mlops/pulumi-$(PULUMI_VERSION)
# Compiled at set-up, so that the first run is as fast as the second.
COMPILED := mlflow pandas sklearn scipy numpy pyarrow pandera onnx onnxruntime skl2onnx skops sqlalchemy alembic matplotlib \
  mlops typer rich pydantic yaml pathspec $(abspath $(wildcard packages/*/src))
# What these bring along is compiled when it is imported.
IMPORTS := import mlops.cli._train, mlops.lifecycle.train.training as _; from importlib import import_module as load; \
  from mlops.pipeline.run.executor import PRELOAD; [load(name) for name in PRELOAD]
# Processes of `make test`, for two cores: tests wait often. A test file stays on one of them.
JOBS ?= 3
# Stamped by content of the lock, so that a second call costs nothing.
READY := $(VENV)/.ready

.PHONY: help setup test test-slow lint lint-fast format hooks pulumi

help: ## Show this list
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Start
setup: $(READY) ## Create .venv with the locked dependencies

$(READY): uv.lock pyproject.toml $(wildcard packages/*/pyproject.toml)
	@$(or $(PYTHON),false) -c '$(SUITS)' 2>/dev/null || { \
	  echo "Python 3.11, 3.12 or 3.13 is needed, and $(if $(PYTHON),$(PYTHON) is none of them,PATH has none of them)."; \
	  echo "Install one, or say where it is: make $(firstword $(MAKECMDGOALS) setup) PYTHON=/path/to/python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@echo "Installing the locked dependencies into $(VENV) (once)"
	@$(BIN)/uv sync --locked --quiet --python $(BIN)/python
	@cd $(VENV)/lib/python3*/site-packages && ../../../bin/python -m compileall -q -j 0 $(COMPILED) >/dev/null 2>&1 || true
	@$(BIN)/python -c '$(IMPORTS)' >/dev/null 2>&1 || true
	@$(BIN)/python -m mlops.spec.jsonschema >/dev/null # what the first line of each YAML file points at
	@touch $@

# <home>
.PHONY: demo bench clean test-unit mutants docs reference dist
demo: setup ## Run the whole lifecycle on real data, on this machine
	@$(BIN)/mlops demo

bench: setup ## Measure serving, batch and monitoring against their peers, and how costs grow, in minutes
	@$(BIN)/python benchmarks/serving
	@$(BIN)/python benchmarks/batch
	@$(BIN)/python benchmarks/monitoring
	@$(BIN)/python benchmarks/growth

clean: ## Stop the demo's endpoints and remove what it made
	@test ! -x $(BIN)/mlops || $(BIN)/mlops demo --clean

test-unit: setup ## Run the tests that need no other process, on two cores
	@$(BIN)/pytest tests/unit packages/*/tests/unit -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

mutants: setup ## Find wrong edits that no test notices: MODULE=path, SINCE=main, or all modules that decide
	@PYTHONPATH=packages/maker $(BIN)/python -m tests.mutation $(MODULE) $(if $(SINCE),--since $(SINCE))
# </home>

##@ Test and lint
test: setup ## Run all tests but the slow ones
	@$(BIN)/pytest -m "not slow" -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-slow: setup ## Run the slow tests too
	@$(BIN)/pytest

lint: setup ## Format check, lint and strict type check
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/yamllint --strict .
# <github>
	@$(BIN)/actionlint
	@$(BIN)/zizmor --quiet --offline --persona=auditor .github
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*.yml
# </github>
# <azure-devops>
	@$(BIN)/check-jsonschema --schemafile pipelines/azure-devops/templates/variables.schema.json \
	  pipelines/azure-devops/templates/variables.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.azure-pipelines --data-transform azure-pipelines --regex-variant nonunicode \
	  azure-pipelines.yml $(filter-out %/variables.yml,$(wildcard pipelines/azure-devops/*.yml pipelines/azure-devops/*/*.yml))
# </azure-devops>
	@$(BIN)/hadolint --config container/hadolint.yaml container/Dockerfile
	@python=$$($(BIN)/python -c 'from mlops.infra.policy import checkov; print(checkov.environment())') \
	  && LOG_LEVEL=ERROR $$python -m checkov.main --config-file .github/checkov.yml

lint-fast: setup ## What lint finds within seconds; the hook before a commit
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/yamllint --strict .
	@$(BIN)/actionlint # <github/>

format: setup ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

hooks: setup ## Run format and lint-fast before every commit
	@$(BIN)/prek install

# <home>
##@ Documentation
docs: setup ## Make the site in site/, in strict mode; the board goes to site/board
	@$(BIN)/python -m sphinx --fresh-env --fail-on-warning --keep-going --quiet --doctree-dir .cache/docs docs site
	@echo "open site/index.html"

reference: setup ## Write docs/reference and docs/schemas from the code
	@$(BIN)/python -m mlops.spec.jsonschema
	@$(BIN)/python -m mlops.reference

##@ Publish
dist: setup ## Build the wheels, the image and the list of its packages in dist/, as a tag does
	@rm -rf dist && mkdir dist
	@$(BIN)/uv build --quiet --all-packages --wheel --out-dir dist
	@$(BIN)/python container/build.py sbom --output dist/mlops-serving.cdx.json
	@command -v docker >/dev/null || { echo "docker is needed to build the image"; exit 1; }
	@$(BIN)/python container/build.py engine
	@docker build --quiet --file container/Dockerfile --tag mlops-serving . >/dev/null
	@docker save --output dist/mlops-serving.tar mlops-serving
# </home>

##@ Azure
pulumi: $(PULUMI_HOME)/bin/pulumi ## Install the pinned Pulumi CLI into the cache, outside the repository
	@echo "Pulumi $(PULUMI_VERSION) is in $(PULUMI_HOME)/bin; put it on PATH to use it by hand"

PULUMI_FROM ?= https://github.com/pulumi/pulumi/releases/download/v$(PULUMI_VERSION)
PULUMI_SUMS ?= infra/pulumi.sha256
$(PULUMI_HOME)/bin/pulumi: $(PULUMI_SUMS)
	@command -v curl >/dev/null || { echo "curl is needed to fetch Pulumi from github.com"; exit 1; }
	@set -e; case $$(uname -m) in aarch64|arm64) cpu=arm64 ;; *) cpu=x64 ;; esac; \
	  file=pulumi-v$(PULUMI_VERSION)-$$(uname -s | tr A-Z a-z)-$$cpu.tar.gz; \
	  sum=$$(awk -v file="$$file" '$$2 == file {print $$1}' $(PULUMI_SUMS)); \
	  test -n "$$sum" || { echo "$(PULUMI_SUMS) has no hash of $$file; add the line of the release that you trust"; exit 1; }; \
	  made=$$(mktemp -d); trap 'rm -rf "$$made"' EXIT; \
	  curl --fail --silent --show-error --location --output "$$made/$$file" $(PULUMI_FROM)/$$file \
	    || { echo "$(PULUMI_FROM)/$$file cannot be fetched; put Pulumi $(PULUMI_VERSION) into $(PULUMI_HOME)/bin by hand"; exit 1; }; \
	  got=$$($(BIN)/python -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$$made/$$file"); \
	  test "$$got" = "$$sum" || { echo "$$file has the hash $$got, and $(PULUMI_SUMS) says $$sum; nothing was installed"; exit 1; }; \
	  tar -xzf "$$made/$$file" -C "$$made" && mkdir -p $(PULUMI_HOME) && rm -rf $(PULUMI_HOME)/bin && mv "$$made/pulumi" $(PULUMI_HOME)/bin
	@touch $@
