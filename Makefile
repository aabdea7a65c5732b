# ganbalance: `make help` lists the targets.
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
IMAGE       ?= ganbalance
TAG         ?= local
DEVICE      ?= cpu
BUILD_FLAGS ?=

BIN := $(VENV)/bin
READY := $(VENV)/ready
ASKED = "$(EXPERIMENT)" $(if $(GAN),--gan "$(GAN)") $(if $(SEEDS),--seeds "$(SEEDS)") $(foreach change,$(SET),--set '$(change)')
REQUEST = $(ASKED) --store "$(STORE)"

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17
	@echo
	@echo 'run and plan take EXPERIMENT=path.yaml STORE=dir SEEDS=0,1 (or 0..9) GAN="dcgan wgan-gp"'
	@echo 'SET="gans.dcgan.steps=200 seeds=[0,1]" (no spaces within a value) WORKERS=2; the environment takes TORCH_INDEX=url PYTHON=python3.12'
	@echo 'images takes DEVICE=cuda IMAGE=name TAG=tag BASE=image TORCH_INDEX=url BAKE="quick paper" BUILD_FLAGS="--network host"'
	@echo 'compose-run takes EXPERIMENT GAN SEEDS SET as run does, DEVICE=cuda, and the variables of .env.example'
	@echo 'submit takes EXPERIMENT GAN SEEDS SET, and as resume does PARALLEL=pods PENDING=seconds DRIVER=local; all that talk to a'
	@echo 'cluster take NAMESPACE=name CONTEXT=name'
	@echo 'deploy takes OVERLAY=local, gpu or a folder, COMPONENTS="quota network-policy",'
	@echo 'and, as load and push do, IMAGE TAG DEVICE; push and deploy take REGISTRY=host/team'

.PHONY: run
run: $(READY) ## run an experiment and write its report; the same command again resumes
	@$(BIN)/ganbalance run $(REQUEST) $(if $(WORKERS),--workers $(WORKERS))

.PHONY: plan
plan: $(READY) ## the stages of an experiment, their keys, and what is done already (NAMESPACE=: on the cluster)
	@$(BIN)/ganbalance plan $(REQUEST) $(if $(filter-out file,$(origin NAMESPACE)),--namespace "$(NAMESPACE)")

.PHONY: data
data: $(READY) ## get FashionMNIST (Debian's package without root, else torchvision's download)
	@$(BIN)/ganbalance data

# a process per core, each with one thread, since more would wait for each other; each takes up to 2 GB and has servers
# of its own, so four are enough
TESTERS = --numprocesses logical --maxprocesses 4 --dist worksteal

.PHONY: test
test: $(READY) ## every test that needs no containers
	OMP_NUM_THREADS=1 $(BIN)/pytest $(TESTERS)

# not part of any other target: it takes hours (CONTRIBUTING.md)
.PHONY: mutants
mutants: $(READY) ## change the code, list what no test notices (FILES=... SAMPLE=per-file MINUTES=n WORKERS=n SURVIVORS=1)
	OMP_NUM_THREADS=1 nice $(BIN)/python tests/mutants.py $(FILES) $(if $(SAMPLE),--sample $(SAMPLE)) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(WORKERS),--workers $(WORKERS)) $(if $(SURVIVORS),--survivors)

.PHONY: check
check: $(READY) ## lint, format, types, import directions, lock up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint images/Dockerfile
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

.PHONY: simulate
simulate: $(READY) ## simulate intervals and verdicts with known answers; the tables of docs/statistics.md (over an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.simulation $(if $(RUNS),--runs $(RUNS))

PUBLISHED = report.html report.md results.csv confusion.csv summary.json experiment.yaml figures

.PHONY: publish
publish: run ## run an experiment and keep its report in reports/ (without the raw predictions)
	@run=$$($(BIN)/ganbalance plan $(REQUEST) | sed -n 's/^run //p'); \
	test -n "$$run" || { echo 'publish takes one experiment: pick a value of the sweep with SET=' >&2; exit 78; }; \
	to=reports/$$(basename "$(EXPERIMENT)" .yaml); rm -rf "$$to"; mkdir -p "$$to"; \
	for name in $(PUBLISHED); do cp -r "out/$$run/$$name" "$$to/"; done; echo "kept in $$to"

.PHONY: readme
readme: $(READY) ## put the result tables of reports/quick and reports/trousers into the README
	@$(BIN)/ganbalance table reports/quick/summary.json --into README.md
	@$(BIN)/ganbalance table reports/trousers/summary.json --into README.md

# A variable given to make reaches Docker through the environment, so a build argument that is only named takes its
# value from there, and one that nobody set keeps the default of the Dockerfile.
build = docker buildx build --load --file images/Dockerfile --target $(1) --tag $(IMAGE):$(TAG)-$(1) \
	$(foreach arg,BASE TORCH_INDEX TORCH_VERSION TORCHVISION_VERSION BAKE,--build-arg $(arg)) \
	--build-arg VERSION=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' shared/ganbalance/__init__.py) \
	--build-arg REVISION=$$(git describe --always --abbrev=12 --dirty=+) \
	--build-arg CREATED=$$(git log -1 --format=%cI) $(BUILD_FLAGS) .

.PHONY: images
images: ## build the container images: the programs (DEVICE=cpu or cuda), and reports without torch
	$(call build,$(DEVICE))
	$(call build,report)
	@docker image ls --filter reference='$(IMAGE):$(TAG)-*' --format '{{.Repository}}:{{.Tag}}  {{.Size}}'

compose = docker compose $(if $(filter cuda,$(DEVICE)),--file compose.yaml --file compose.gpu.yaml)
CHAIN = bucket plan imbalance train-gan synthesize train-classifier report fetch-report

docker_or_why = \
	needs() { echo "compose-run needs $$1" >&2; exit 78; }; \
	command -v docker >/dev/null || needs 'Docker: install it, or run without containers: make run'; \
	docker compose version >/dev/null 2>&1 || \
		needs "Docker's Compose plugin: install the package docker-compose-plugin or docker-compose-v2"; \
	docker version >/dev/null 2>&1 || \
		needs 'a Docker daemon that answers: start it (systemctl start docker), and be in the group docker'

# `up` ends when the chain does, but not with its exit code: that is the first in the chain that is not 0. So containers
# of an earlier run go first. What is not set here may be set in .env, which Compose alone can read.
.PHONY: compose-run
compose-run: ## run an experiment in containers, with MinIO for a store; the same command again resumes
	@$(docker_or_why)
	@said=$$($(compose) rm --force $(CHAIN) 2>&1) || { echo "$$said" >&2; exit 78; }
	@settings=$$($(compose) config --environment); \
	setting() { sed -n "s/^$$1=//p" <<<"$$settings"; }; \
	out=$$(setting OUT); out=$${out:-out}; mkdir -p "$${out/#'~/'/$$HOME/}"; \
	user=$$(setting OUT_USER); export OUT_USER="$${user:-$$(id -u):$$(id -g)}" \
		$(if $(SET),PLAN_FLAGS="$(foreach change,$(SET),--set '$(change)')"); \
	up=0; $(compose) up --no-color $(CHAIN) || up=$$?; \
	for service in $(CHAIN); do \
		code=$$($(compose) ps --all --format '{{.ExitCode}}' $$service); \
		if [ "$${code:-0}" != 0 ]; then \
			echo "$$service ended with exit code $$code; the same command resumes" >&2; exit $$code; \
		fi; \
	done; \
	test $$up = 0 || exit $$up; \
	echo "the report is in $$out; MinIO stays up, its console is http://$$($(compose) port minio 9001)"

.PHONY: compose-down
compose-down: ## stop and remove the containers; the volumes stay
	@$(compose) --profile '*' down
	@echo 'the artifacts are kept; delete them with: docker compose down --volumes'

# ---- Kubernetes ------------------------------------------------------------------------------------------------------

NAMESPACE  ?= ganbalance
OVERLAY    ?= local
COMPONENTS ?=
KUBECTL    ?= kubectl
IMAGE_LOAD ?= kind load docker-image --name ganbalance
REGISTRY   ?=

# nodes with a GPU want the image for one, unless another is named
ifeq ($(OVERLAY) $(origin DEVICE),gpu file)
DEVICE := cuda
endif

# another context than the current one, for kubectl and for ganbalance
CONTEXT    ?=
ifdef CONTEXT
override KUBECTL += --context $(CONTEXT)
endif

kubectl = $(KUBECTL) --namespace $(NAMESPACE)
registry_image = $(if $(REGISTRY),$(patsubst %/,%,$(REGISTRY))/)$(IMAGE):$(TAG)-$(1)

.PHONY: cluster
cluster: ## a Kubernetes on this machine, by kind, with the images of `make images` and MinIO
	@kind get clusters 2>/dev/null | grep -x ganbalance >/dev/null || kind create cluster --name ganbalance --wait 120s
	@kind export kubeconfig --name ganbalance
	@$(MAKE) --no-print-directory load deploy

.PHONY: cluster-delete
cluster-delete: ## delete that cluster, and with it every artifact in its MinIO
	@kind delete cluster --name ganbalance

.PHONY: load
load: ## copy the images into the cluster's nodes (IMAGE_LOAD=command, kind's by default)
	$(IMAGE_LOAD) $(IMAGE):$(TAG)-$(DEVICE) $(IMAGE):$(TAG)-report

.PHONY: push
push: ## push the images to a registry that the cluster pulls from (REGISTRY=host/team)
	@test -n '$(REGISTRY)' || { echo 'REGISTRY is not set; make push REGISTRY=registry.example/team' >&2; exit 78; }
	@for target in $(DEVICE) report; do \
		docker tag $(IMAGE):$(TAG)-$$target $(call registry_image,$$target); \
		docker push $(call registry_image,$$target); \
	done

# An overlay's own images stand, unless one of these was given: its placeholders are gone by then, so it is patches that
# put others in.
given = $(filter-out file,$(foreach name,IMAGE TAG DEVICE REGISTRY,$(origin $(name))))
deployment = .kustomize/$(NAMESPACE)
overlay = $(if $(wildcard k8s/overlays/$(OVERLAY)),k8s/overlays/$(OVERLAY),$(OVERLAY))
image_patch = printf '%s\n' "- target: {kind: $(1), name: $(2)}" '  patch: |-' \
	"    {apiVersion: $(3), kind: $(1), metadata: {name: any}, $(4)template: {spec: {containers: [{name: program, image: $(5)}]}}$(6)}"
kustomization = \
	test -e '$(overlay)' || { echo 'no overlay $(OVERLAY): a name from k8s/overlays or a folder' >&2; exit 78; }; \
	mkdir -p $(deployment); \
	{ \
		printf '%s\n' 'apiVersion: kustomize.config.k8s.io/v1beta1' 'kind: Kustomization' 'namespace: $(NAMESPACE)' \
			"resources: [$$(realpath --relative-to=$(deployment) '$(overlay)')]" \
			'components: [$(foreach name,$(COMPONENTS),../../k8s/components/$(name),)]' 'patches:'; \
		$(if $(given), \
			$(call image_patch,PodTemplate,imbalance|train-gan|synthesize|train-classifier,v1,,$(call registry_image,$(DEVICE))); \
			$(call image_patch,PodTemplate,report|driver,v1,,$(call registry_image,report)); \
			$(call image_patch,Job,minio-bucket,batch/v1,spec: {,$(call registry_image,report),}); \
		) \
	} >$(deployment)/kustomization.yaml

# Credentials are made by the shell itself and go to kubectl's input: in no argument, no file and no output.
make_secret = \
	random() { head -c 48 /dev/urandom | base64 | tr -dc A-Za-z0-9 | cut -c "1-$$1"; }; \
	printf 'AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n' "$$(random 20)" "$$(random 40)" \
		| $(kubectl) create secret generic ganbalance-s3 --from-env-file=/dev/stdin
wait_for_minio = \
	stuck() { \
		set +e; \
		$(kubectl) get pods,pvc --selector 'app.kubernetes.io/name in (minio, ganbalance)'; \
		$(kubectl) logs job/minio-bucket --tail 5; \
		$(kubectl) get events --field-selector type=Warning --sort-by .lastTimestamp | tail -n 5; \
		echo 'MinIO or its bucket is not there, see above (images: make load or make push); the same command resumes'; \
		exit 1; \
	}; \
	$(kubectl) rollout status deployment/minio --timeout 180s || stuck >&2; \
	for _ in {1..90}; do \
		ended=$$($(kubectl) get job minio-bucket --output 'jsonpath={.status.conditions[?(@.status=="True")].type}'); \
		waits=$$($(kubectl) get pods --selector job-name=minio-bucket --output 'jsonpath={..waiting.reason}'); \
		case "$$ended $$waits" in *Complete*) break;; *Failed*|*ImagePullBackOff*) stuck >&2;; esac; \
		sleep 2; \
	done; \
	[[ $$ended == *Complete* ]] || stuck >&2

.PHONY: deploy
deploy: ## put what runs need into the cluster: templates, permissions, and with OVERLAY=local MinIO and its credentials
	@$(kustomization)
	@rendered=$$($(KUBECTL) kustomize $(deployment)); \
	has() { grep -x "$$1" <<<"$$rendered" >/dev/null; }; \
	if has 'kind: Namespace'; then $(KUBECTL) apply -k $(deployment) --selector app.kubernetes.io/component=namespace; fi; \
	secret=$$($(kubectl) get secret ganbalance-s3 --ignore-not-found --output name); \
	if has '  name: minio-bucket'; then \
		if [[ -z $$secret ]]; then $(make_secret); secret=made; fi; \
		$(kubectl) delete job minio-bucket --ignore-not-found; \
	fi; \
	$(KUBECTL) apply -k $(deployment); \
	if has '  name: minio-bucket'; then $(wait_for_minio); fi; \
	if [[ -n $$secret ]]; then \
		echo 'namespace $(NAMESPACE) is ready; next: make submit GAN=dcgan$(if $(filter-out ganbalance,$(NAMESPACE)), NAMESPACE=$(NAMESPACE))'; \
	else \
		echo 'namespace $(NAMESPACE) has no Secret ganbalance-s3 yet; next: the credentials of the store, see k8s/README.md'; \
	fi

ganbalance = $(BIN)/ganbalance $(1) --namespace "$(NAMESPACE)" $(if $(CONTEXT),--context "$(CONTEXT)") $(if $(strip $(RUN)),--run "$(RUN)")

.PHONY: submit
submit: $(READY) ## run an experiment on the cluster; the same command again resumes (GAN= SEEDS= PARALLEL= DRIVER=local)
	@$(call ganbalance,submit) $(ASKED) $(if $(PARALLEL),--parallel $(PARALLEL)) $(if $(PENDING),--pending $(PENDING)) \
		$(if $(DRIVER),--driver $(DRIVER))

.PHONY: render
render: $(READY) ## the manifests that submit would create
	@$(call ganbalance,render) $(ASKED) $(if $(PARALLEL),--parallel $(PARALLEL))

.PHONY: status
status: $(READY) ## what every stage of a run on the cluster is doing, and why not (RUN=, default: the last submitted)
	@$(call ganbalance,status)

.PHONY: watch
watch: $(READY) ## the same, live, until the run is over
	@$(call ganbalance,watch)

.PHONY: logs
logs: $(READY) ## what a stage printed (STAGE=train-gan/dcgan, default: the driver)
	@$(call ganbalance,logs) $(if $(STAGE),--stage "$(STAGE)")

.PHONY: cancel
cancel: $(READY) ## stop a run on the cluster; what is committed stays
	@$(call ganbalance,cancel)

.PHONY: resume
resume: $(READY) ## resume a run that was cancelled or failed (RUN=)
	@$(call ganbalance,resume) $(if $(PARALLEL),--parallel $(PARALLEL)) $(if $(PENDING),--pending $(PENDING)) \
		$(if $(DRIVER),--driver $(DRIVER))

.PHONY: fetch-report
fetch-report: $(READY) ## write the report of a run on the cluster to out/ (RUN=)
	@$(call ganbalance,fetch-report)

.PHONY: doctor
doctor: $(READY) ## check the cluster: permissions, quota, GPUs and store, each failure with its fix
	@$(call ganbalance,doctor)

.PHONY: test-cluster
test-cluster: $(READY) ## tests on the cluster of KUBECONFIG, in namespaces that they make and delete
	$(BIN)/pytest tests/cluster --numprocesses 3 --dist loadfile

.PHONY: test-containers
test-containers: $(READY) ## the images and Compose, tested for real; needs Docker and `make images`
	$(BIN)/pytest tests/e2e --numprocesses 2 --dist loadfile

.PHONY: clean
clean: ## which command deletes what
	@echo 'clean-run RUN=... deletes a run on the cluster, clean-local the store, the reports and the caches here' >&2; exit 78

.PHONY: clean-run
clean-run: $(READY) ## delete the Jobs of a run on the cluster, and what the store holds for it alone (RUN=)
	@$(call ganbalance,clean)

.PHONY: clean-local
clean-local: ## delete the store here, the reports in out/ and every cache; asks, or takes YES=1
	@[[ "$(STORE)" != *://* ]] || { echo 'clean-local deletes a folder, and $(STORE) is none:' "'ganbalance store gc'" \
		"deletes there what no run needs, 'ganbalance store cp' keeps a run elsewhere before the bucket goes" >&2; exit 78; }
	@[[ -n "$(strip $(STORE))" ]] || { echo 'STORE= names no store; not deleted' >&2; exit 78; }
	@test ! -e "$(STORE)" || test -e "$(STORE)/store.json" || { echo '$(STORE) is no store; not deleted' >&2; exit 78; }
	@[[ "$(YES)" == 1 ]] || { read -rp 'delete $(STORE), out/ and every cache? [y/N] ' answer && [[ $$answer == [yY]* ]]; } || \
		{ echo 'nothing was deleted; YES=1 answers yes' >&2; exit 78; }
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
