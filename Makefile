# Two commands do everything on a fresh machine (README): `make demo` and `make test`.
# Nothing is installed outside .venv; python3 with venv and pip is all that is needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# .ci/run measures coverage with the same command: RUN=".venv/bin/coverage run"
RUN ?= $(BIN)/python
# as many tests at a time as there are cores
PYTEST_OPTIONS ?= -n logical --dist loadfile

.PHONY: demo test check bench chaos soak clean install develop

demo: install ## install, run the scheduler on examples/ with a webhook receiver; Ctrl-C ends it
	$(BIN)/python examples/demo.py

test: develop ## install everything a developer needs and pass the tests
	$(RUN) -m pytest $(PYTEST_OPTIONS)

check: develop ## the cheap checks: lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests examples/*.py
	$(BIN)/lint-imports

bench: develop ## measure the figures of DESIGN §5 beside `python3 -I -c pass`
	$(BIN)/python -m pytest -m bench -s

chaos: develop ## kill the service again and again, and count what is left
	$(BIN)/python -m pytest -m chaos tests/chaos

soak: develop ## half an hour of a busy service, watched for growth
	$(BIN)/python -m pytest -m soak -s

install: $(VENV)/.installed
develop: $(VENV)/.developed

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/python -m compileall -q runner supervisor
	touch $@

$(VENV)/.developed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable . --group dev
	$(BIN)/python -m compileall -q runner supervisor
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) .demo .noether dist build
