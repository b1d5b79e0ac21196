# make run    from a fresh clone to a verified network and its report      make test   all tests
# make test-fast   those that neither compile C++ nor load Keras, in less than a minute: for the edit loop
# make check  lint and types     make bench  ours against hls4ml's own path     make hunt   random networks
# make matrix   the three cards, both backends, both io types, all test images    make calibrate   refit the estimator
# make coverage   lines and branches of ir, exact and backend that tests run    make mutants   which faults tests miss
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p && break; done)
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test test-fast coverage mutants check bench hunt matrix calibrate clean

help:
	@sed -n '1,5s/^# //p' Makefile

run: .venv/ready
	$(BIN)/fpgaml run models/mnist_mlp.toml

test: .venv/dev
	$(BIN)/python -m pytest -n auto --dist loadscope

# What compiles C++, runs the steps or loads Keras.
SLOW := audit backend/test_csim.py backend/test_explore.py backend/test_hls4ml.py cli/test_app.py cli/test_every_command.py cli/test_learning.py \
  backend/test_rtl.py backend/test_symbolic.py corpus datasets/test_download.py estimate/laboratory flow frontend ir/test_ap_fixed.py project runs test_documents.py test_hunt.py training

test-fast: .venv/dev
	$(BIN)/python -m pytest -n auto --dist loadfile $(addprefix --ignore=tests/,$(SLOW))

coverage: .venv/dev
	$(BIN)/python -m pytest -n auto --dist loadscope --cov tests/ir tests/exact tests/backend

mutants: .venv/dev
	$(BIN)/python -m tests.mutate

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/ready
	$(BIN)/python -m benchmarks

hunt: .venv/dev
	$(BIN)/python -m tests.hunt

matrix: .venv/dev
	$(BIN)/python -m tests.matrix

calibrate: .venv/ready
	$(BIN)/python -m fpgaml.estimate.laboratory.calibrate

.venv/ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "fpgaml needs Python 3.11, 3.12 or 3.13: install one (Debian, Ubuntu: apt install python3.11 python3.11-venv)"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "fpgaml needs Python 3.11, 3.12 or 3.13, and $$($(PYTHON) --version) was found: install one (Debian, Ubuntu: apt install python3.11 python3.11-venv) or say make PYTHON=..."; exit 2; }
	@command -v g++ >/dev/null || { echo "fpgaml needs g++ for C simulation: install it (Debian, Ubuntu: apt install g++)"; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "fpgaml needs Python's venv module: install it (Debian, Ubuntu: apt install python3-venv)"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/dev: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,rtl]'
	@touch $@

clean:
	rm -rf .venv build *.egg-info
