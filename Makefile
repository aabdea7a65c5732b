# ganbalance: `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON      ?= python3
VENV        ?= .venv
EXPERIMENT  ?= jobs/experiments/quick.yaml
STORE       ?= $(or $(GANBALANCE_STORE),.store)
IMAGE       ?= ganbalance
TAG         ?= local
# nodes with a GPU want the image for one
DEVICE      ?= $(if $(filter gpu,$(OVERLAY)),cuda,cpu)
NAMESPACE   ?= ganbalance
OVERLAY     ?= local
KUBECTL     ?= kubectl
IMAGE_LOAD  ?= kind load docker-image --name ganbalance

override STORE := $(patsubst ~/%,$(HOME)/%,$(STORE))
BIN := $(VENV)/bin
READY := $(VENV)/ready
CHANGES = $(foreach change,$(SET),--set '$(change)')
ASKED = "$(EXPERIMENT)" $(if $(GAN),--gan "$(GAN)") $(if $(SEEDS),--seeds "$(SEEDS)") $(CHANGES)
REQUEST = $(ASKED) --store "$(STORE)"

# every target that has a help text
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*## .*/\1/p' $(MAKEFILE_LIST))

# what messages say to type
run plan submit render status watch cancel fetch-report doctor logs resume clean-run: export GANBALANCE_CALLED := make

help: ## this list
	@sed -nE 's/^##@ ?//p; s/^([a-z-]+):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 17

##@
##@ Run: EXPERIMENT=path.yaml STORE=dir SEEDS=0,1 (or 0..9) GAN="dcgan wgan-gp" WORKERS=2
##@      SET="gans.dcgan.steps=200 seeds=[0,1]" (no spaces within a value)
run: $(READY) ## run an experiment and write its report; the same command again resumes
	@$(BIN)/ganbalance run $(REQUEST) $(if $(WORKERS),--workers $(WORKERS))

plan: $(READY) ## the stages of an experiment, their keys, and what is done already (NAMESPACE=: on the cluster)
	@$(BIN)/ganbalance plan $(REQUEST) $(if $(filter-out file,$(origin NAMESPACE)),--namespace "$(NAMESPACE)")

data: $(READY) ## get FashionMNIST (Debian's package without root, else torchvision's download)
	@$(BIN)/ganbalance data get

pack: $(READY) ## pack what a machine with torch but no network lacks, which offline/run reads there (MORE="package ...")
	@VENV="$(VENV)" offline/pack $(MORE)

clean: ## which command deletes what
	@echo 'clean-run RUN=... deletes a run on the cluster, clean-local the store, the reports and the caches here' >&2; exit 78

clean-local: ## delete the store here, the reports in out/ and every cache; asks, or takes YES=1
	@[[ "$(STORE)" != *://* ]] || { echo 'clean-local deletes a folder, and $(STORE) is none:' "'ganbalance store gc'" \
		"deletes there what no run needs, 'ganbalance store cp' keeps a run elsewhere before the bucket goes" >&2; exit 78; }
	@[[ -n "$(strip $(STORE))" ]] || { echo 'STORE= names no store; not deleted' >&2; exit 78; }
	@test ! -e "$(STORE)" || test -e "$(STORE)/store.json" || { echo '$(STORE) is no store; not deleted' >&2; exit 78; }
	@[[ -z "$$(find "$(STORE)/runs" -path '*/heartbeats/*' -mmin -2 2>/dev/null)" ]] || { echo 'a run in $(STORE)' \
		'is at work, or was killed less than two minutes ago; stop it first; not deleted' >&2; exit 78; }
	@[[ "$(YES)" == 1 ]] || { read -rp 'delete $(STORE), out/ and every cache? [y/N] ' answer && [[ $$answer == [yY]* ]]; } || \
		{ echo 'nothing was deleted; YES=1 answers yes' >&2; exit 78; }
	rm -rf "$(STORE)" out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

##@
##@ Containers: DEVICE=cuda IMAGE=name TAG=tag
##@      images: BASE=image TORCH_INDEX=url BAKE="quick paper" BUILD_FLAGS="--network host"
##@      compose-run: EXPERIMENT GAN SEEDS SET as run takes them, and the variables of .env.example
COMPOSE_GPU = $(if $(filter cuda,$(DEVICE)),COMPOSE_FILE=compose.yaml:compose.gpu.yaml)

images: ## build the container images: the programs (DEVICE=cpu or cuda), and reports without torch
	images/build $(IMAGE):$(TAG) $(DEVICE) $(BUILD_FLAGS)

compose-run: ## run an experiment in containers, with MinIO for a store; the same command again resumes
	@$(COMPOSE_GPU) $(if $(SET),PLAN_FLAGS="$(CHANGES)") images/compose-run

compose-down: ## stop and remove the containers; the volumes stay
	@$(COMPOSE_GPU) docker compose --profile '*' down
	@echo 'the artifacts are kept; delete them with: docker compose down --volumes'

##@
##@ Kubernetes: NAMESPACE=name CONTEXT=name
##@      load, push, deploy: IMAGE TAG DEVICE as images takes them; push, deploy: REGISTRY=host/team
##@      deploy: OVERLAY=local, gpu or a folder, COMPONENTS="quota network-policy" (else as before),
##@              REPLACE_VOLUME=1 (give up what is in MinIO for another volume)
##@      submit: EXPERIMENT GAN SEEDS SET as run takes them; submit, resume: PARALLEL=pods PENDING=seconds AWAY=seconds DRIVER=local
override KUBECTL += $(if $(CONTEXT),--context $(CONTEXT))
registry_image = $(if $(REGISTRY),$(patsubst %/,%,$(REGISTRY))/)$(IMAGE):$(TAG)-$(1)
ganbalance = $(BIN)/ganbalance $(1) --namespace "$(NAMESPACE)" $(if $(CONTEXT),--context "$(CONTEXT)") $(if $(strip $(RUN)),--run "$(RUN)")
PODS = $(if $(PARALLEL),--parallel $(PARALLEL))
DRIVEN = $(PODS) $(if $(PENDING),--pending $(PENDING)) $(if $(AWAY),--away $(AWAY)) $(if $(DRIVER),--driver $(DRIVER))

# a command may begin with variables; the first word that sets none is the program
program_of = $(firstword $(foreach word,$(1),$(if $(findstring =,$(word)),,$(word))))
needs = @for program in $(1); do command -v $$program >/dev/null || { echo "$$program is not on the PATH; install it" \
	'(kubernetes.io/docs/tasks/tools has kind and kubectl)' >&2; exit 78; }; done

cluster: ## a Kubernetes on this machine, by kind, with the images of `make images` and MinIO
	$(call needs,kind $(call program_of,$(KUBECTL)))
	@kind get clusters 2>/dev/null | grep -x ganbalance >/dev/null || kind create cluster --name ganbalance --wait 120s
	@kind export kubeconfig --name ganbalance
	@$(MAKE) --no-print-directory load deploy

cluster-delete: ## delete that cluster, and with it every artifact in its MinIO
	$(call needs,kind)
	@kind delete cluster --name ganbalance

load: ## copy the images into the cluster's nodes (IMAGE_LOAD=command, kind's by default)
	$(call needs,$(call program_of,$(IMAGE_LOAD)))
	$(IMAGE_LOAD) $(IMAGE):$(TAG)-$(DEVICE) $(IMAGE):$(TAG)-report

push: ## push the images to a registry that the cluster pulls from (REGISTRY=host/team)
	@test -n '$(REGISTRY)' || { echo 'REGISTRY is not set; make push REGISTRY=registry.example/team' >&2; exit 78; }
	@for target in $(DEVICE) report; do \
		docker tag $(IMAGE):$(TAG)-$$target $(call registry_image,$$target); \
		docker push $(call registry_image,$$target); \
	done

# an overlay's own images stand, unless one of these was given; components are those of the last time, unless given
deploy: ## put what runs need into the cluster: templates, permissions, and with OVERLAY=local MinIO and its credentials
	$(call needs,$(call program_of,$(KUBECTL)))
	@NAMESPACE='$(NAMESPACE)' OVERLAY='$(OVERLAY)' REPLACE_VOLUME='$(REPLACE_VOLUME)' \
	$(if $(filter-out undefined,$(origin COMPONENTS)),COMPONENTS='$(COMPONENTS)') \
	$(if $(filter-out file undefined,$(foreach name,IMAGE TAG DEVICE REGISTRY,$(origin $(name)))), \
		PROGRAM_IMAGE='$(call registry_image,$(DEVICE))' REPORT_IMAGE='$(call registry_image,report)') k8s/deploy $(KUBECTL)

submit: ## run an experiment on the cluster; the same command again resumes (GAN= SEEDS= PARALLEL= DRIVER=local)
render: ## the manifests that submit would create
status: ## what every stage of a run on the cluster is doing, and why not (RUN=, default: the last; STAGE= STATE=failed)
watch: ## what fails or waits, and a line per group of stages, live until the run is over (STAGE= STATE=)
cancel: ## stop a run on the cluster; what is committed stays
fetch-report: ## write the report of a run on the cluster to out/ (RUN=)
doctor: ## check the cluster: manifests, quota, GPUs and store, each failure with its fix
logs: ## what a stage printed, and goes on to print while its pod runs (STAGE=train-gan/dcgan, default: the driver)
resume: ## resume a run that was cancelled or failed (RUN=, default: the last submitted)
submit: flags = $(ASKED) $(DRIVEN)
render: flags = $(ASKED) $(PODS)
status watch logs: flags = $(if $(STAGE),--stage "$(STAGE)")
status watch: flags += $(if $(STATE),--state "$(STATE)")
logs: flags += --follow
resume: flags = $(DRIVEN)
submit render status watch cancel fetch-report doctor logs resume: $(READY)
	@$(call ganbalance,$@) $(flags)

clean-run: $(READY) ## delete the Jobs of a run on the cluster, and what the store holds for it alone (RUN=)
	@$(call ganbalance,clean)

##@
##@ Develop: the environment takes TORCH_INDEX=url PYTHON=python3.12
venv: $(READY) ## make the Python environment from the hashed lock

# The default index is hashed. Another one (TORCH_INDEX, for smaller CPU builds) serves torch and torchvision by
# version; everything else stays hashed.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed; name one with PYTHON=python3.12' >&2; exit 78; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo 'Python cannot make environments: apt-get install python3-venv' >&2; exit 78; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo 'installing the environment into $(VENV), once:' \
		'$(if $(TORCH_INDEX),,about 6 GB with the CUDA build of PyTorch: )some minutes' >&2
	@[[ -n '$(TORCH_INDEX)' ]] || command -v nvidia-smi >/dev/null || \
		echo 'no GPU is here: the CPU build is far smaller; to have it, stop this and give TORCH_INDEX=url, the index' \
		'that the install selector on pytorch.org names for CPU' >&2
	@lock=requirements.lock; if [ -n '$(TORCH_INDEX)' ]; then \
		lock=$(VENV)/without-torch.lock; \
		awk '/^[a-z]/ { skip = /^(torch|torchvision|triton)==|^(nvidia|cuda)-/ } !skip' requirements.lock >$$lock; \
		$(BIN)/pip install --quiet --no-deps --index-url '$(TORCH_INDEX)' \
			$$(grep -oE '^(torch|torchvision)==[^ ]+' requirements.lock); \
	fi; $(BIN)/pip install --quiet --no-deps --require-hashes -r $$lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# a process per core with one thread, since more would wait for each other; each takes up to 2 GB, so four are enough
test: $(READY) ## every test that needs no containers
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist worksteal

test-containers: $(READY) ## the images and Compose, tested for real; needs Docker and `make images`
	$(BIN)/pytest tests/e2e --numprocesses 2 --dist loadfile

test-cluster: $(READY) ## tests on the cluster of KUBECONFIG, in namespaces that they make and delete
	$(BIN)/pytest tests/cluster --numprocesses 3 --dist loadfile --no-loadscope-reorder

check: $(READY) ## lint, format, types, import directions, lock up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint images/Dockerfile
	@mkdir -p $(VENV)/locks/images && cp requirements.lock $(VENV)/locks/ && cp images/*.lock $(VENV)/locks/images/
	@$(call compile_locks,$(VENV)/locks/)
	@for lock in requirements.lock images/train.lock images/report.lock; do diff $$lock $(VENV)/locks/$$lock; done

# everything, for working on the project; what the programs need; what a report and the command line need
compile = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" --quiet --output-file
compile_locks = $(compile) $(1)requirements.lock --all-extras && \
	$(compile) $(1)images/train.lock --extra train --extra dicom --extra parquet --no-annotate --constraint $(1)requirements.lock && \
	$(compile) $(1)images/report.lock --no-annotate --constraint $(1)requirements.lock

lock: $(READY) ## write the locks anew from pyproject.toml
	@$(call compile_locks)

golden: $(READY) ## record what the stages write (tests/golden.json), after raising a version
	$(BIN)/python -m tests.golden

publish: run ## run an experiment or a sweep and keep its report in reports/ (without the raw predictions)
	@reports/publish "$$(basename "$(EXPERIMENT)" .yaml)" "$$($(BIN)/ganbalance plan $(REQUEST) | sed -n 's/^run //p')"

readme: $(READY) ## put result tables of reports into the README, and a line of each into reports/README.md
	@$(BIN)/ganbalance table reports --into reports/README.md
	@$(BIN)/ganbalance table reports/quick/summary.json --into README.md

simulate: $(READY) ## simulate intervals and verdicts with known answers; the tables of docs/statistics.md (over an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.simulation $(if $(RUNS),--runs $(RUNS))

# not part of any other target: it takes hours (CONTRIBUTING.md)
mutants: $(READY) ## change the code, list what no test notices (FILES=... SAMPLE=per-file MINUTES=n WORKERS=n SURVIVORS=1)
	OMP_NUM_THREADS=1 nice $(BIN)/python tests/mutants.py $(FILES) $(if $(SAMPLE),--sample $(SAMPLE)) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(WORKERS),--workers $(WORKERS)) $(if $(SURVIVORS),--survivors)
