# All set-up happens in .venv; every target works on a fresh clone.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

NUMPY2 := .venv-numpy2
MMPOSE := .venv-mmpose

.PHONY: demo test test-fast test-numpy2 test-mmpose check bench bench-check setup clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	# torch first and pinned: with the CPU build there, nothing else pulls a CUDA build in.
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[mediapipe,onnx,rgb,ray,demo,dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/pcan-pose demo --out demo --overwrite

# Ray changes its process's logging, so its tests have one of their own.
test: $(STAMP)
	$(BIN)/pytest -m 'not ray'
	$(BIN)/pytest -m ray

test-fast: $(STAMP)
	$(BIN)/pytest -m 'not slow and not ray'

# MediaPipe forces numpy 1; everything else also runs with numpy 2, whose newest release this takes. Slow tests, which stop,
# kill and starve processes, compute nothing that the others do not.
test-numpy2: $(NUMPY2)/.installed
	$(NUMPY2)/bin/pytest -m 'not slow and not ray'

$(NUMPY2)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(NUMPY2)
	grep -v '^numpy==' constraints.txt > $(NUMPY2)/constraints.txt
	$(NUMPY2)/bin/pip install --quiet --constraint $(NUMPY2)/constraints.txt torch
	$(NUMPY2)/bin/pip install --quiet --constraint $(NUMPY2)/constraints.txt --editable '.[onnx,rgb,demo,dev]' 'numpy>=2'
	touch $(NUMPY2)/.installed

# MMPose is unmaintained: it has an environment of its own, and two of its requirements, which do not build, are left out.
test-mmpose: $(MMPOSE)/.installed
	$(MMPOSE)/bin/pytest -m mmpose

$(MMPOSE)/.installed: pyproject.toml constraints.txt constraints-mmpose.txt
	$(PYTHON) -m venv $(MMPOSE)
	# What constraints-mmpose.txt pins otherwise is not what MediaPipe forces.
	grep -vE '^(numpy|ml_dtypes|opencv-contrib-python|protobuf)==' constraints.txt > $(MMPOSE)/constraints.txt
	cat constraints-mmpose.txt >> $(MMPOSE)/constraints.txt
	$(MMPOSE)/bin/pip install --quiet --constraint $(MMPOSE)/constraints.txt torch
	$(MMPOSE)/bin/pip install --quiet --constraint $(MMPOSE)/constraints.txt --editable '.[mmpose,onnx,demo,dev]' rtmlib
	$(MMPOSE)/bin/pip install --quiet --no-deps mmpose==1.3.2
	touch $(MMPOSE)/.installed

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Wants a machine with nothing else to do.
bench: $(STAMP)
	$(BIN)/python -m benchmarks.speed --write-docs

bench-check: $(STAMP)
	$(BIN)/python -m benchmarks.speed --check benchmarks/results/speed.json

clean:
	rm -rf $(VENV) $(NUMPY2) $(MMPOSE) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
