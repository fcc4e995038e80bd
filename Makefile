# `make` alone lists the targets. Nothing here is needed to run a stage: it is dvc.yaml that wires.

VENV ?= .venv
PY := $(VENV)/bin/python
# uv makes the environment where it is installed (and runs: a shim may not), pip otherwise; UV= is pip.
ifeq ($(origin UV), undefined)
UV := $(shell uv --version >/dev/null 2>&1 && echo uv)
endif
TENSORFLOW := $(shell sed -n 's/^tensorflow==\([^ ]*\).*/\1/p' requirements.txt)
INSTALLED := $(VENV)/.installed
GPU_INSTALLED := $(VENV)/.installed-gpu
is_on = $(filter-out 0 no false,$(1))

FAST_TESTS = $(PY) -m pytest -q -n auto --dist loadscope -m "not slow and not long"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup repro train-parallel lint check test test-long format test-kill benchmark-full benchmark-data benchmark-training check-isic preview-augmentation measure-gate measure-transfer tune-smoke download tables deps lock clean-resume

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) $(if $(call is_on,$(GPU)),$(GPU_INSTALLED))  ## Make .venv from requirements.lock; GPU=1 adds CUDA
	@echo "setup: $$($(PY) --version) in $(VENV)"

$(INSTALLED): requirements.lock
	@python="$$(sh tools/select_python.sh)" || exit 1; \
	if ! $(PY) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
		echo "setup: making $(VENV) with $$python"; \
		rm -rf $(VENV); \
		$(if $(UV),$(UV) venv --quiet --python "$$python" $(VENV),"$$python" -m venv $(VENV)) \
			|| { rm -rf $(VENV); exit 1; }; \
	fi
ifneq ($(UV),)
	$(UV) pip install --python $(PY) --require-hashes -r requirements.lock
else
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip
	$(PY) -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
endif
	@touch $@

# CUDA's wheels are not in the lock: they are 3 GB that most machines do not need.
$(GPU_INSTALLED): $(INSTALLED)
	$(if $(UV),$(UV) pip install --python $(PY),$(PY) -m pip install) 'tensorflow[and-cuda]==$(TENSORFLOW)'
	$(PY) -m tools.check_gpu
	@touch $@

repro: setup  ## Run the pipeline; RECIPE=sample|isic|real, DATA="folder …", FORCE=1, GPUS=0,2
	@$(PY) -m tools.repro $(if $(RECIPE),--recipe $(RECIPE)) $(if $(DATA),--data $(DATA)) \
		$(if $(call is_on,$(FORCE)),--force) $(if $(GPUS),--gpus $(GPUS))

train-parallel: setup  ## Train and predict what is stale, a member on each GPU or on a cluster; GPUS=0,2
	@$(PY) -m tools.train_parallel $(if $(GPUS),--gpus $(GPUS))

lint: $(INSTALLED)  ## Format and lint checks
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .

check: lint  ## Format and lint checks, fast tests; goal: under a minute
	$(FAST_TESTS)

# Slow tests two at once, however many cores: some take gigabytes, and most wait for a single core.
test: $(INSTALLED)  ## Every test that CI runs
	$(FAST_TESTS)
	$(PY) -m pytest -q -n 2 --dist loadscope -m "slow and not long" --durations 30

test-long: $(INSTALLED)  ## The tests that take longer than CI allows
	$(PY) -m pytest -q -m long

test-kill: $(INSTALLED)  ## 50 kills of stage train, resumed to identical weights; MEMBER=real KILLS=10 SEED=0
	$(PY) -m tools.measure_kills $(if $(MEMBER),--member $(MEMBER)) $(if $(KILLS),--kills $(KILLS)) \
		$(if $(SEED),--seed $(SEED))

format: $(INSTALLED)  ## Format the code and mend what ruff can mend
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

benchmark-full: $(INSTALLED)  ## Latency at the paper's input sizes, to reports/benchmark-full
	$(PY) -m tools.benchmark_full

benchmark-data: $(INSTALLED)  ## Decode, scaling and feed rate on originals of DATA=../shared/data; ONLY=part
	$(PY) -m tools.benchmark_data $(if $(ONLY),--only $(ONLY)) $(or $(DATA),../shared/data)

benchmark-training: $(INSTALLED)  ## Training steps against Keras' fit; MEMBERS="small b0", GPU=1 against timm
	$(PY) -m tools.benchmark_training $(if $(MEMBERS),--members $(MEMBERS)) $(if $(call is_on,$(GPU)),--gpu)

check-isic: $(INSTALLED)  ## 24 originals of DATA=../shared/data through the paper's sizes, one epoch
	$(PY) -m tools.check_isic $(or $(DATA),../shared/data)

preview-augmentation: $(INSTALLED)  ## Sheet of what each operation does; IMAGES="a.jpg b.jpg" OUT=sheet.png
	@$(PY) -m tools.preview_augmentation $(if $(IMAGES),--images $(IMAGES)) --out $(or $(OUT),reports/augmentation.png)

measure-gate: $(INSTALLED)  ## The input gate on DATA=../shared/data, against pictures that are no dermoscopy
	$(PY) -m tools.measure_gate $(or $(DATA),../shared/data)

measure-transfer: $(INSTALLED)  ## One member with ImageNet weights and from scratch, on DATA=../shared/data
	$(PY) -m tools.measure_transfer $(or $(DATA),../shared/data)

download: $(INSTALLED)  ## Images of the ISIC archive to data/raw/NAME; COLLECTIONS=212 SEARCH=… LIMIT=2000
	@$(PY) -m tools.download $(NAME) $(if $(COLLECTIONS),--collections $(COLLECTIONS)) \
		$(if $(SEARCH),--search '$(SEARCH)') $(if $(LIMIT),--limit $(LIMIT))

tune-smoke: $(INSTALLED)  ## A search of eight trials on synthetic images, killed once and resumed
	@$(PY) -m tools.tune_smoke

tables: $(INSTALLED)  ## Count, part and prove the real tables in DATA=../shared/data/csv, without images
	$(PY) -m tools.tables $(or $(DATA),../shared/data/csv)

deps: $(INSTALLED)  ## List in dvc.yaml the modules that each stage imports
	$(PY) -m tools.imports

lock:  ## Resolve requirements.txt into requirements.lock, with hashes (needs uv)
	@uv --version >/dev/null 2>&1 || { echo "error: make lock needs uv: https://docs.astral.sh/uv/" >&2; exit 1; }
	uv pip compile --universal --python-version 3.11 --generate-hashes requirements.txt -o requirements.lock

clean-resume:  ## Forget half-trained members, searches, and what earlier crops were made by: all is made afresh
	rm -rf .resume/train .resume/tune .resume/logs .resume/made_by
