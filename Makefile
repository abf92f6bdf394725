# Everything a fresh machine needs: `make demo`, `make test`, `make lint`, `make docs`.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   ?= demo

.PHONY: demo test lint docs schema clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# The project's point in under five minutes: the proof, a source file, and the experiment that
# shows what identity shortcuts are for, with its report.
demo: $(VENV)/.installed
	$(BIN)/resgen summarize digits/resnet56
	$(BIN)/resgen summarize digits/plain20 digits/plain56 digits/resnet20 digits/resnet56
	mkdir -p $(DEMO)
	$(BIN)/resgen build digits/resnet56 --force -o $(DEMO)/resnet56.py
	$(BIN)/resgen experiment degradation --scale digits-short --out $(DEMO)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

# The site, in site/; a warning or a broken link is an error.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# The files editors and readers have of the models.
schema: $(VENV)/.installed
	$(BIN)/python -m resgen.spec.pages --write
	$(BIN)/python -m resgen.train.recipe.schema --write
	$(BIN)/python -m resgen.experiment.schema --write

clean:
	rm -rf $(DEMO) dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
