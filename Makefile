# make run               the demo
# make test              sets up .venv and passes the tests
# make test-pythons      the same tests on every other CPython 3.11+ that is installed, with one event loop
# make lint              ruff and mypy
# make test-containers   podman, docker and systemd for real; needs root for the set-up
# make bench             the figures, side by side with the peers that are installed

# The first interpreter that is new enough. Say `make PYTHON=...` for another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV ?= .venv
BIN = $(VENV)/bin
JOBS ?= 3

.PHONY: run test test-pythons lint test-containers bench dist clean

run: $(VENV)/ready
	$(BIN)/pausevisor run -c config/demo.toml

test: $(VENV)/ready
	$(BIN)/python -m pytest -n $(JOBS) -m 'not container' $(PYTEST)

test-pythons:
	sh .ci/other-pythons "$(VENV)" $(JOBS)

lint: $(VENV)/ready
	$(BIN)/ruff check supervisor tests
	$(BIN)/ruff format --check supervisor tests
	$(BIN)/mypy

test-containers: $(VENV)/ready
	sh tests/containers/setup
	$(BIN)/python -m pytest -m container $(PYTEST)

bench: $(VENV)/ready
	$(BIN)/python -m tests.bench $(BENCH)

dist: $(VENV)/ready
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) .venv-* dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/ready: pyproject.toml .ci/constraints.txt .ci/venv
	sh .ci/venv "$(PYTHON)" "$(VENV)"
	touch $@
