# Everything does its own set-up: on a fresh Debian or Ubuntu machine with python3 (3.11 or newer),
# `make demo` and `make test` are enough.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# The real programs that tests start as processes; without them those tests skip and say so.
PACKAGES := prometheus prometheus-alertmanager prometheus-node-exporter mosquitto \
  systemd systemd-journal-remote libnss-systemd dbus polkitd procps iproute2 util-linux chromium

.DEFAULT_GOAL := help
.PHONY: help setup demo test soak lint bench lock clean packages

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## Create .venv with the locked dependencies and aiopsd itself

demo: $(READY) ## Watch a toy shop break and heal (about a minute)
	@$(BIN)/aiopsd demo

test: $(READY) packages lint ## Lint, then run every test that this machine can run
	$(BIN)/pytest -q --numprocesses 4 --dist loadgroup $(ARGS)

soak: $(READY) packages ## Every demo fault, outages of a minute, an hour of remote_write deaths, five million lines (two hours)
	AIOPSD_SOAK=1 AIOPSD_AWAY_SECS=60 $(BIN)/pytest -q -v tests/property tests/e2e $(ARGS)

lint: $(READY) ## Style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict aiopsd

bench: $(READY) ## Measure accuracy and speed on this machine
	$(BIN)/pytest -q -s tests/bench $(ARGS)

lock: $(READY) ## Write requirements.txt anew from pyproject.toml (newest versions that fit)
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --group dev --universal \
	  --generate-hashes --upgrade --custom-compile-command 'make lock' -o requirements.txt

clean: ## Remove everything that these targets made
	rm -rf .venv dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find aiopsd tests -name __pycache__ -prune -exec rm -rf {} +

packages:
	@.ci/setup $(PACKAGES) || echo "Going on without them: the tests that need them will skip and say so." >&2

# The lock is a plain requirements file: versions and hashes, no addresses. So it installs with the pip
# that comes with Python, from whichever index or mirror the machine is set up for.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "aiopsd needs Python 3.11 or newer: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/setup python3-venv
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the locked dependencies into .venv (half a minute) ..."
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install -qq --no-deps --editable .
	@$(BIN)/python -m pip check -q
	@touch $@
