# Every command does its own set-up. `make run` and `make test` are the two in the README.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: browser run test lint bench clean

run: $(VENV)/run.stamp
	$(BIN)/mixtura fit examples/old_faithful.csv --seed 0 --force

test: $(VENV)/test.stamp browser
	$(BIN)/python -m pytest -n auto

# The tests of the pages need Chromium. As root on Debian it is installed; elsewhere those tests are skipped and say so.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core; \
	} >/dev/null 2>&1 || true

lint: $(VENV)/lint.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/bench.stamp
	for question in $(sort $(wildcard benchmarks/*.py)); do \
		$(BIN)/python $$question --output docs/benchmarks || exit 1; \
	done

$(BIN)/python:
	@$(PYTHON) -c "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "mixtura needs Python 3.11 or later with venv; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

# The package is built from what is here, so any change of it is installed anew.
SOURCES := $(wildcard src/mixtura/*.py src/mixtura/*/*.py src/mixtura/*/*.html src/mixtura/*/*/*.* native/*.* native/bindings/*) CMakeLists.txt pyproject.toml

$(VENV)/run.stamp: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet .
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --group test
	touch $@

$(VENV)/lint.stamp: $(VENV)/test.stamp
	$(BIN)/python -m pip install --quiet --group lint
	touch $@

$(VENV)/bench.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --group bench
	touch $@

clean:
	rm -rf $(VENV) build dist old_faithful.mixtura
