# make demo   sets everything up and groups made-up faces by person
# make picture   draws docs/pipeline.png
# make screenshot   draws docs/review.png, the review page of made-up people (needs Chromium)
# make test   sets everything up; lint, types, tests, and the wheel in an environment of its own
# make faults   kills commands at a hundred points each, fills disks, takes rights away (half an hour or more)
# make fuzz   feeds every reader with damaged files, FUZZ_SECONDS each
PYTHON ?= python3
FUZZ_SECONDS ?= 60
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: setup demo test faults fuzz lint wheel-check picture screenshot clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/facelink demo

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Threads that wait without spinning, since two processes share the cores.
test: lint wheel-check
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --dist loadfile

faults: setup
	FACELINK_FAULT_SEEDS=100 OMP_WAIT_POLICY=PASSIVE \
		$(BIN)/python -m pytest -n 2 --dist loadfile tests/faults

fuzz: setup
	$(BIN)/python -m pip install --quiet atheris==3.0.0
	for reader in $$($(BIN)/python -m tests.fuzz.readers); do \
		$(BIN)/python -m tests.fuzz.run $$reader $(FUZZ_SECONDS) || exit 1; \
	done

wheel-check: setup
	$(BIN)/python tests/wheel_check.py

picture: setup
	$(BIN)/python docs/draw_pipeline.py

screenshot: setup
	FACELINK_SCREENSHOT=docs/review.png $(BIN)/python -m pytest tests/unit/review/test_screenshot.py

clean:
	rm -rf $(VENV) build dist demo-output
