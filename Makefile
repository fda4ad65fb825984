# Every chore of the house; `make` alone lists them.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON      ?= python3
BIN         := .venv/bin
BENCHES     := $(notdir $(basename $(shell grep -ls __main__ bench/*.py)))
BENCH       ?= $(BENCHES)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help demo test coverage torture scale lint bench lock clean clean-data .venv
.DEFAULT_GOAL := help

help: ## list these chores
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: .venv ## import Complete Journey, train and evaluate the tags, write var/report.html
	@$(BIN)/zhongcao import complete-journey
	@$(BIN)/zhongcao retrain --taxonomy examples/complete_journey/audience.toml --as-of 2018-01-01 \
	    --accept missing-platform --why "the shop was closed on Christmas Day"

test: .venv ## run the whole suite
	@$(BIN)/python -m pytest --durations=10 --numprocesses=2 --dist=loadfile

coverage: .venv ## the same with coverage, branch by branch
	@$(BIN)/python -m pytest --cov --numprocesses=2 --dist=loadfile

torture: .venv ## tests that take minutes: swaps, kills, corrupt bundles, full disks, made-up requests
	@TORTURE=1 $(BIN)/python -m pytest tests/torture -p no:cacheprovider -s --durations=5

lint: .venv ## ruff (rules and format) and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: .venv ## measure; JSON goes to bench/results (one of them: make bench BENCH=features)
	@mkdir -p bench/results
	@failed=0; for name in $(BENCH); do \
	    echo "== bench.$$name"; \
	    $(BIN)/python -m "bench.$$name" --json "bench/results/$$name.json" || failed=1; \
	done; exit $$failed

# What a machine must have before anything is installed. Runs on any Python 3, so that an old one can be told.
define CHECK
import ctypes, sys
missing, apt = [], []
if sys.version_info < (3, 11):
    missing.append("Python 3.11 or newer (this is %d.%d)" % sys.version_info[:2])
    apt.append("python3")
try:
    import ensurepip, venv
except ImportError:
    missing.append("venv and pip for this Python")
    apt.append("python3-venv")
if sys.platform == "linux":
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        missing.append("libgomp.so.1, which LightGBM needs")
        apt.append("libgomp1")
if missing:
    sys.exit(
        "zhongcao needs " + "; ".join(missing) + "\n  try: apt-get install " + " ".join(apt)
        + "\n  another interpreter: make PYTHON=/path/to/python3.11 ..."
    )
endef
export CHECK

# One line that counts up in place of pip's hundreds; plain lines where nobody watches.
define COUNT
/^(Collecting|Processing|Requirement already)/ { n++; if (tty) printf "\r  %d of %d packages", n, total; else if (n % 50 == 0) print "  " n " of " total " packages" }
/^Installing collected/ { if (tty) print ""; print "  unpacking them (about a minute)" }
{ fflush() }
endef
export COUNT

.venv: .venv/.installed ## make the virtual environment from requirements.lock (hashes checked)

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c "$$CHECK"
	@echo "installing into .venv from requirements.lock (once; about 1.5 GB)"
	@$(PYTHON) -m venv .venv
	@total=$$(grep -c '^[a-z0-9].*==' requirements.lock); tty=0; if [ -t 1 ]; then tty=1; fi; \
	$(BIN)/python -m pip install --only-binary :all: --require-hashes -r requirements.lock \
	    | awk -v total="$$total" -v tty="$$tty" "$$COUNT"
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

scale: .venv/.scale ## add Dask, PySpark and redis-py from requirements-scale.lock, for more than one machine

# PySpark comes as source without a build of its own; the setuptools of the first lock packs it.
.venv/.scale: requirements-scale.lock .venv/.installed
	@echo "adding Dask, PySpark and redis-py to .venv from requirements-scale.lock (once; about 0.5 GB)"
	@$(BIN)/python -m pip install --quiet --only-binary :all: --no-binary pyspark --no-build-isolation \
	    --require-hashes -r requirements-scale.lock
	@touch $@

# Kept in a throw-away environment: the resolver is no dependency of the product. The second lock has only what the
# first has not, at versions that fit it; only the first is installed where one machine is enough.
lock: ## resolve both locks anew, keeping what still fits (all anew: make lock UPGRADE=--upgrade)
	@work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	$(PYTHON) -m venv "$$work"; \
	"$$work/bin/pip" install --quiet 'pip-tools==7.6.2'; \
	resolve() { "$$work/bin/pip-compile" --quiet $(UPGRADE) --generate-hashes --strip-extras --allow-unsafe \
	    --no-header pyproject.toml "$$@"; }; \
	resolve --extra=demo --extra=test --build-deps-for=editable --output-file=requirements.lock; \
	{ echo '# All dependencies with the extras demo and test and the build backend, for Python 3.11 on Linux x86_64.'; \
	  echo '# Made by `make lock` from pyproject.toml; change that file, not this one.'; \
	  sed '/^--/d; /^$$/d' requirements.lock; } > "$$work/lock"; \
	cp "$$work/lock" requirements.lock; \
	resolve --extra=dask --extra=redis --extra=spark --constraint=requirements.lock --output-file=requirements-scale.lock; \
	{ echo '# What the extras dask, redis and spark need beside requirements.lock, for Python 3.11 on Linux x86_64.'; \
	  echo '# Made by `make lock` from pyproject.toml; change that file, not this one.'; \
	  awk '/^--|^$$/ { next } /^[a-z0-9]/ { kept = !($$1 in locked) } NR == FNR { locked[$$1]; next } kept' \
	    requirements.lock requirements-scale.lock; } > "$$work/lock"; \
	cp "$$work/lock" requirements-scale.lock; \
	grep -c '^[a-z0-9].*==' requirements.lock requirements-scale.lock

clean: ## remove .venv, caches and build folders; var/ and mlruns/ stay
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	find features training serving tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

clean-data: ## remove the event log, models, stores, keys and runs: asks first
	@echo "This deletes var/ (event log, pseudonym key, bundles, stores) and all runs in mlruns/. No undo."
	@read -r -p "Type yes to go on: " answer; [ "$$answer" = yes ] || { echo "kept everything"; exit 1; }
	rm -rf var mlruns/artifacts mlruns/mlflow.db*
