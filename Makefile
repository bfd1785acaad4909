# Every command does its own set-up. `make run` and `make test` are the two in the README.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: browser run test lint bench wheels changelog clean

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

# Warnings are errors, and so is an example on a page that prints something else.
.PHONY: docs
docs: $(VENV)/docs.stamp
	$(BIN)/sphinx-build -q -W -E --keep-going -d build/docs/pages docs build/docs/html
	$(BIN)/sphinx-build -q -W -b doctest -D plot_gallery=0 -d build/docs/pages docs build/docs/doctest

bench: $(VENV)/bench.stamp
	for question in $(sort $(wildcard benchmarks/*.py)); do \
		$(BIN)/python $$question --output docs/benchmarks || exit 1; \
	done

# An sdist and the wheels of the Pythons that are here, in dist: checked, installed and run.
wheels: $(VENV)/release.stamp
	$(BIN)/python release/wheels.py

# CHANGELOG.md takes in the fragments of news/, under the version of src/mixtura/__init__.py.
changelog: $(VENV)/release.stamp
	$(BIN)/towncrier build --yes --version \
		"$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' src/mixtura/__init__.py)"

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

$(VENV)/docs.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --group docs
	rm -rf build/docs docs/api docs/auto_gallery
	touch $@

$(VENV)/bench.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --group bench
	touch $@

$(VENV)/release.stamp: $(BIN)/python
	$(BIN)/python -m pip install --quiet --group release
	touch $@

clean:
	rm -rf $(VENV) build dist old_faithful.mixtura
