# Needs Python 3.11 or newer with venv, make and git; the rest is installed into .venv on first use.
# make PYTHON=/path/to/python3 takes that Python; TORCH=cpu or TORCH=cuda that build of PyTorch (envs/install.py).

CORES ?= all
STUDY ?= config/config.yaml
# The folder that results/ lies in.
DIR ?= .
# Two files of tests at a time, in the order of tests/conftest.py.
WORKERS ?= -n 2 --dist loadfile --no-loadscope-reorder

export PYTHONPATH := $(CURDIR)/src
# Each job would compile its libraries anew: that takes as long as most jobs do.
unexport PYTHONDONTWRITEBYTECODE
PY := .venv/bin/python
NEW_ENOUGH := "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
  $$python -c $(NEW_ENOUGH) 2> /dev/null && echo $$python && break; done)

# .venv/run, .venv/export and .venv/dev say that the environment holds what the lock files name, .venv/run also which TORCH was asked
# for. An environment without them, whose Python is gone or that another TORCH is asked for is made anew.
ASKED := $(shell cat .venv/run 2> /dev/null)
TORCH ?= $(ASKED)
ifneq ($(filter-out cpu cuda,$(TORCH)),)
  $(error TORCH=$(TORCH): must be cpu or cuda)
endif
ifneq ($(shell $(PY) -c "print(1)" 2> /dev/null) $(TORCH),1 $(ASKED))
  ANEW := .venv/anew
endif

.DEFAULT_GOAL := help
.PHONY: help report partial-report study plan predict evaluate export app test test-full test-slurm bench lint lock prune clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile
	@echo "The first one installs: TORCH=cpu or TORCH=cuda chooses the build of PyTorch, PYTHON=… the Python (3.11 or newer)."

report: .venv/run ## Run the study and write results/report.html (STUDY=config/mine.yaml, DIR=runs/a, CORES=4)
	@gpus=$$($(PY) -m manihot.study.load "$(STUDY)") && mkdir -p "$(DIR)" && \
	  $(PY) -m snakemake --cores $(CORES) --configfile "$(STUDY)" --directory "$(DIR)" --resources gpu=$$gpus \
	  -- results/report.html
	@echo "The report: $$(cd "$(DIR)" && pwd)/results/report.html"

partial-report: .venv/run ## Write results/partial_report.html of what is there, and what is missing (STUDY=…, DIR=…)
	@$(PY) -m manihot.study.partial "$(STUDY)" "$(DIR)"

study: .venv/run ## Look at a photo folder and write a study file for it (PHOTOS=path, LABELS=path, TIME=30m, WEIGHTS=path)
	@test -n "$(PHOTOS)" || { echo "error: say which folder: make study PHOTOS=path [LABELS=path]" >&2; exit 1; }
	@$(PY) -m manihot.study.onboard "$(PHOTOS)" $(if $(LABELS),--labels "$(LABELS)") \
	  $(if $(TIME),--time "$(TIME)") $(if $(WEIGHTS),--weights "$(WEIGHTS)")

plan: .venv/run ## Say how long a study takes on this machine and what disk it fills (STUDY=…, DIR=…, CORES=4)
	@$(PY) -m manihot.study.foresee "$(STUDY)" "$(DIR)" "$(CORES)"

predict: .venv/run ## Answer the photos of a folder with a model of the study (PHOTOS=path, MODEL=name, OUT=path, DIR=…)
	@test -n "$(PHOTOS)" || { echo "error: say which folder: make predict PHOTOS=path [MODEL=name] [OUT=path]" >&2; exit 1; }
	@$(PY) -m manihot.study.predict "$(PHOTOS)" --dir "$(DIR)" --cores "$(CORES)" $(if $(MODEL),--model "$(MODEL)") \
	  $(if $(OUT),--out "$(OUT)") $(if $(SHARES),--shares "$(SHARES)") $(if $(COVERAGE),--coverage "$(COVERAGE)") \
	  $(if $(NONE_ABOVE),--none-above "$(NONE_ABOVE)") $(if $(GROUP_PATTERN),--group-pattern "$(GROUP_PATTERN)")

evaluate: .venv/run ## Hold a model against labelled photos of others (PHOTOS=path, LABELS=path, CLASSES=map.yaml, MODEL=…)
	@test -n "$(PHOTOS)" || { echo "error: say which folder: make evaluate PHOTOS=path [LABELS=path] [CLASSES=map.yaml]" >&2; exit 1; }
	@$(PY) -m manihot.study.evaluate "$(PHOTOS)" --dir "$(DIR)" --cores "$(CORES)" $(if $(MODEL),--model "$(MODEL)") \
	  $(if $(LABELS),--labels "$(LABELS)") $(if $(CLASSES),--classes "$(CLASSES)") $(if $(OUT),--out "$(OUT)") \
	  $(if $(SHARES),--shares "$(SHARES)") $(if $(COVERAGE),--coverage "$(COVERAGE)") \
	  $(if $(NONE_ABOVE),--none-above "$(NONE_ABOVE)") $(if $(GROUP_PATTERN),--group-pattern "$(GROUP_PATTERN)")

export: .venv/export ## Make a model of the study a folder that works without it, checked (MODEL=name, OUT=path, DIR=…)
	@$(PY) -m manihot.study.export $(MODEL) --dir "$(DIR)" --cores "$(CORES)" $(if $(OUT),--out "$(OUT)")

app: .venv/export ## Make a page that runs a model of the study in a browser, offline (MODEL=name, INT8=1, DIR=…); needs npm
	@$(PY) -m manihot.study.app $(MODEL) --dir "$(DIR)" --cores "$(CORES)" $(if $(INT8),--int8)

test: .venv/dev ## Run the tests
	@$(PY) -m pytest $(WORKERS)

test-full: .venv/dev ## Run the tests with the long ones
	@$(PY) -m pytest $(WORKERS) -m "full or not full"

test-slurm: .venv/dev ## Run a small study on a Slurm that the tests start (Debian: slurm-wlm munge)
	@$(PY) -m pytest tests/workflow/test_slurm.py -m full

bench: .venv/run ## Measure the study's own way against this one, in about two hours on two cores
	@$(PY) benchmarks/run.py

lint: .venv/dev ## Check style, format and types
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m snakefmt --check Snakefile workflow/rules workflow/applied workflow/export
	$(PY) -m mypy
	.venv/bin/hadolint Dockerfile

lock: .venv/dev ## Write the lock files of the packages anew, from envs/*.in
	@$(PY) envs/lock.py .venv/bin/uv

prune: .venv/run ## Remove finished work that no longer belongs to the study, and tell its size (DIR=…)
	@cd "$(DIR)" && "$(CURDIR)/$(PY)" -m manihot.study.prune

clean: ## Remove results/, finished work included (DIR=…; .venv stays)
	rm -rf "$(DIR)/results" "$(DIR)/.snakemake"

.PHONY: .venv/anew
.venv/run: envs/requirements.txt envs/requirements-torch.txt envs/uv.txt $(ANEW)
	@test -n "$(PYTHON)" && $(PYTHON) -c $(NEW_ENOUGH) 2> /dev/null || { \
	  echo "error: needs Python 3.11 or newer with venv (Debian: apt install python3-venv);" \
	  "name one with make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(if $(ANEW),rm -f $@ .venv/dev .venv/export)
	@test -f $@ || { echo "Making .venv with $(PYTHON)"; $(PYTHON) -m venv --clear .venv; }
	@rm -f $@
	@TORCH=$(TORCH) $(PY) envs/install.py run
	@echo "$(TORCH)" > $@

.venv/export: envs/requirements-export.txt .venv/run
	@rm -f $@
	@TORCH=$(TORCH) $(PY) envs/install.py export
	@touch $@

.venv/dev: envs/requirements-dev.txt envs/requirements-slurm.txt envs/requirements-export.txt .venv/run
	@rm -f $@
	@TORCH=$(TORCH) $(PY) envs/install.py dev
	@touch .venv/run .venv/export $@
