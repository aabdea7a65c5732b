# ganbalance: `make help` tells what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON      ?= python3
VENV        ?= .venv
EXPERIMENT  ?= jobs/experiments/quick.yaml
STORE       ?= $(or $(GANBALANCE_STORE),.store)
GAN         ?=
SEEDS       ?=
SET         ?=
WORKERS     ?=
TORCH_INDEX ?=

BIN := $(VENV)/bin
READY := $(VENV)/ready
REQUEST = "$(EXPERIMENT)" --store "$(STORE)" $(if $(GAN),--gan "$(GAN)") $(if $(SEEDS),--seeds "$(SEEDS)") \
          $(foreach change,$(SET),--set '$(change)')

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14
	@echo
	@echo 'run and plan take EXPERIMENT=path.yaml STORE=dir SEEDS=0,1 (or 0..9) GAN="dcgan wgan-gp"'
	@echo 'SET="gans.dcgan.epochs=50 seeds=[0,1]" (no spaces within a value) WORKERS=2; the environment takes TORCH_INDEX=url PYTHON=python3.12'

.PHONY: run
run: $(READY) ## run an experiment and write its report; the same command again resumes
	@$(BIN)/ganbalance run $(REQUEST) $(if $(WORKERS),--workers $(WORKERS))

.PHONY: plan
plan: $(READY) ## the stages of an experiment, their keys, and what is done already
	@$(BIN)/ganbalance plan $(REQUEST)

.PHONY: data
data: $(READY) ## get FashionMNIST (Debian's package without root, else torchvision's download)
	@$(BIN)/ganbalance data

.PHONY: test
test: $(READY) ## every test
	$(BIN)/pytest

.PHONY: check
check: $(READY) ## lint, format, types, import directions, lock up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@mkdir -p $(VENV)/locks/images && cp requirements.lock $(VENV)/locks/ && cp images/*.lock $(VENV)/locks/images/
	@$(call compile_locks,$(VENV)/locks/)
	@for lock in $(LOCKS); do diff $$lock $(VENV)/locks/$$lock; done

# everything, for working on the project; what the programs need; what a report and the command line need
LOCKS = requirements.lock images/train.lock images/report.lock
compile = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" --quiet --output-file
compile_locks = $(compile) $(1)requirements.lock --extra train --extra dev && \
	$(compile) $(1)images/train.lock --extra train --no-annotate --constraint $(1)requirements.lock && \
	$(compile) $(1)images/report.lock --no-annotate --constraint $(1)requirements.lock

.PHONY: lock
lock: $(READY) ## write the locks anew from pyproject.toml
	@$(call compile_locks)

.PHONY: golden
golden: $(READY) ## record what the stages write (tests/golden.json), after raising a version
	$(BIN)/python -m tests.golden

PUBLISHED = report.html report.md results.csv confusion.csv summary.json experiment.yaml figures

.PHONY: publish
publish: run ## run an experiment and keep its report in reports/ (without the raw predictions)
	@run=$$($(BIN)/ganbalance plan $(REQUEST) | sed -n 's/^run //p'); \
	to=reports/$$(basename "$(EXPERIMENT)" .yaml); rm -rf "$$to"; mkdir -p "$$to"; \
	for name in $(PUBLISHED); do cp -r "out/$$run/$$name" "$$to/"; done; echo "kept in $$to"

.PHONY: readme
readme: $(READY) ## put the result table of reports/quick into the README
	@$(BIN)/ganbalance table reports/quick/summary.json --into README.md

.PHONY: clean
clean: ## delete the store, the reports in out/ and every cache; keeps the environment
	@test ! -e "$(STORE)" || test -e "$(STORE)/store.json" || { echo '$(STORE) is no store; not deleted' >&2; exit 78; }
	rm -rf "$(STORE)" out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: venv
venv: $(READY) ## make the Python environment from the hashed lock

# The default index is hashed. Another one (TORCH_INDEX, for smaller CPU builds) serves torch and torchvision by
# version; everything else stays hashed.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed; name one with PYTHON=python3.12' >&2; exit 78; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo 'Python cannot make environments: apt-get install python3-venv' >&2; exit 78; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo 'installing the environment into $(VENV): a few minutes, once' >&2
	@if [ -n '$(TORCH_INDEX)' ]; then \
		$(BIN)/pip install --quiet --no-deps --index-url '$(TORCH_INDEX)' \
			$$(grep -oE '^(torch|torchvision)==[^ ]+' requirements.lock); \
		awk '/^[a-z]/ { skip = /^(torch|torchvision|triton)==|^(nvidia|cuda)-/ } !skip' requirements.lock \
			> $(VENV)/without-torch.lock; \
		$(BIN)/pip install --quiet --no-deps --require-hashes -r $(VENV)/without-torch.lock; \
	else \
		$(BIN)/pip install --quiet --require-hashes -r requirements.lock; \
	fi
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
