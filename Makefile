# Two commands for a newcomer: make demo, make test. CONTRIBUTING.md tells of the others.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COMPILED := $(VENV)/.compiled

# As `pip install`, several times as fast: the Python that it follows gets the packages.
INSTALL := .ci/install.py

# Also where the environment says otherwise: each of the tests' processes would compile every library anew.
export PYTHONDONTWRITEBYTECODE :=

# Two installations of this folder at once would take each other's files away.
LOCKED := $(if $(shell command -v flock),flock pyproject.toml)

STUDY ?= study-all
PAGE ?= docs/leaderboard.md
PAPERS ?= papers
RECORD ?= bench.json
# Tables of `make bench`; all where none are named.
TABLES ?=
SITE ?= site
# Rows, seeds and minutes of the study that are not the usual ones.
ROWS ?=
SEEDS ?=
MINUTES ?=

# One more than the cores of the machine that this is meant for: tests wait for disks and for processes of their own.
WORKERS ?= 3

# Other Pythons, on the path or of pyenv, the newest first, how many of them at most, and the rooms that can be tested
# without torch, whose builds for them are of gigabytes.
PYTHONS ?= python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13.*/bin/python) \
	python3.12 $(wildcard $(HOME)/.pyenv/versions/3.12.*/bin/python)
MOST_PYTHONS ?= 9
WITHOUT_TORCH := numpy scipy nibabel SimpleITK pydicom tifffile zarr numcodecs psutil pydantic PyYAML python-gdcm \
	imagecodecs pooch requests hypothesis pytest pytest-xdist
TESTS_WITHOUT_TORCH := tests/foundation tests/volume tests/images/test_windows.py

# The build of torch is each user's choice, so the lock leaves it out with what only its CUDA builds bring.
UNLOCKED := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc \
	nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse \
	nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx

# Damaged volumes and records to read, and the seed that they come of.
CASES ?= 10000
SEED ?= 0

# Tools of a release; they are in an environment of their own, which nothing else needs.
RELEASE := $(VENV)-release
RELEASE_TOOLS := build cyclonedx-bom uv

# Asked by pip-audit.
KNOWN_WEAKNESSES := https://pypi.org/pypi/pip/json

MODEL ?= lung-demo
MODEL_MINUTES ?= 75
MODEL_ABOUT := "Physics-Flow for chest CT: the posterior mean and samples of lung, trained on simulated specimens and scanners."
MODEL_DEMONSTRATION := "lung-demo is a demonstration: it was trained for minutes on simulated lungs; look at what it draws, do not measure it"

.PHONY: demo test test-usual test-thorough test-fast test-pythons wheel-test fuzz lint audit hooks lock leaderboard papers bench model pack-model docs diagrams pictures tutorial wheel sbom clean

$(STAMP): pyproject.toml setup.py constraints.txt $(wildcard src/ctloupe/*/compiled/*.[ch])
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(LOCKED) $(BIN)/python $(INSTALL) -c constraints.txt -e '.[dev]'
	touch $(STAMP)

# What the tests import, compiled by one process before several would compile it at the same time.
$(COMPILED): $(STAMP)
	$(BIN)/python -m pytest --collect-only -qq > /dev/null || true
	touch $@

demo: $(STAMP)
	$(BIN)/ctloupe demo --out demo --overwrite

# The audit is no prerequisite: make would begin the rest of this only when the tests beside it are done.
lint: $(STAMP)
	@$(MAKE) --no-print-directory audit
	$(BIN)/ruff check src tests benchmarks docs/site integrations .ci
	$(BIN)/ruff format --check src tests benchmarks docs/site integrations .ci
	$(BIN)/mypy

# Known weaknesses of what is pinned, where pip-audit is installed and the index, which knows of them, can be reached.
audit:
	@if ! command -v pip-audit >/dev/null; then echo "audit: skipped, pip-audit is not installed"; \
	elif ! $(PYTHON) -c "import urllib.request as u; u.urlopen('$(KNOWN_WEAKNESSES)', timeout=5)" 2>/dev/null; then \
		echo "audit: skipped, $(KNOWN_WEAKNESSES) cannot be reached"; \
	else pip-audit --requirement constraints.txt --no-deps --disable-pip; fi

# Beside each other: the types take one core, and what is compiled before the tests begin takes the other.
test: $(STAMP)
	$(MAKE) --no-print-directory -j 2 lint test-usual

test-usual: $(COMPILED)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not thorough"

# What takes minutes and guards what changes rarely: every benchmark of the docs at small sizes, clusters,
# training on several devices, the tutorial as a notebook.
test-thorough: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m thorough

# What takes longer than a few seconds is left out.
test-fast: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow"

# Builds the wheel, installs it where nothing else of this folder is seen, and runs its commands.
wheel-test: $(STAMP)
	$(BIN)/python -m pytest tests/repository/test_wheel.py

# Reads so many damaged volumes beside an independent reader, and as many damaged records, each in a process of its own,
# and prints what came of it.
fuzz: $(STAMP)
	cd tests && $(abspath $(BIN))/python -m fuzz.run --cases $(CASES) --seed $(SEED)
	cd tests && $(abspath $(BIN))/python -m fuzz.records --cases $(CASES) --seed $(SEED)

test-pythons:
	@done=; for python in $(PYTHONS); do \
		version=$$($$python -c "import sys; print('%d.%d' % sys.version_info[:2])" 2>/dev/null) || continue; \
		case "$$done " in *" $$version "*) continue;; esac; \
		test $$(echo "$$done" | wc -w) -lt $(MOST_PYTHONS) || continue; \
		done="$$done $$version"; \
		own=$(VENV)-$$version/bin/python; \
		test -x $$own || $$python -m venv $(VENV)-$$version || exit 1; \
		$$own $(INSTALL) -c constraints.txt $(WITHOUT_TORCH) || exit 1; \
		$(LOCKED) $$own $(INSTALL) --no-deps -e . || exit 1; \
		echo "Python $$version, what needs no torch:"; \
		$$own -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" $(TESTS_WITHOUT_TORCH) || exit 1; \
	done; \
	echo "tested without torch on:$${done:- no other Python, since none is here}"

hooks: $(STAMP)
	$(BIN)/pre-commit install

# The hashes are those of the package index; constraints.txt says which versions.
lock:
	test -x $(VENV)-lock/bin/uv || $(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)-lock/bin/uv pip compile --quiet --no-config --no-header --annotation-style line --generate-hashes \
		--python-version 3.11.5 --python-platform x86_64-manylinux_2_28 --extra dev --constraint constraints.txt \
		$(UNLOCKED:%=--no-emit-package %) pyproject.toml > requirements.lock.new
	cat .ci/lock-header.txt requirements.lock.new > requirements.lock
	rm requirements.lock.new

# Trains what the study lacks (three quarters of an hour on two cores), runs the suite, and writes it into the docs.
leaderboard: $(STAMP)
	$(BIN)/ctloupe study run all --scale tiny --out $(STUDY) --resume $(ROWS:%=--only %) $(SEEDS:%=--seeds %) $(MINUTES:%=--minutes %)
	$(BIN)/python benchmarks/leaderboard.py --study $(STUDY) --page $(PAGE)

# Runs every study of the papers on phantoms, where it stopped before, and writes docs/results.md: two hours on two cores.
papers: $(STAMP)
	$(BIN)/python benchmarks/papers.py --out $(PAPERS) --page docs/results.md $(SEEDS:%=--seeds %)

# Prints every table of docs/performance.md for this machine, and keeps them in a record that others are compared with.
# It takes half an hour; nothing else should run meanwhile.
bench: $(STAMP)
	$(BIN)/python benchmarks/bench.py --out $(RECORD) $(TABLES:%=--only %)

# Makes the demonstration model that comes with the package: phantoms, a bank, 75 minutes of training on one core, what a
# held-out phantom says of it, and the packing.
model: $(STAMP)
	for seed in 1 2 101 102 103 104 9001; do \
		$(BIN)/ctloupe phantom --kind lung --size 64 768 768 --seed $$seed --out $(MODEL)/phantoms/$$seed --overwrite || exit 1; \
	done
	$(BIN)/ctloupe prepare $(patsubst %,--clinical $(MODEL)/phantoms/%/clinical.nii.gz,1 2) \
		$(patsubst %,--micro $(MODEL)/phantoms/%/micro.nii.gz,101 102 103 104) \
		--clinical-window=-1000,400 --micro-window 2500,15000 --per-case 1000 --out $(MODEL)/bank --overwrite
	OMP_NUM_THREADS=1 $(BIN)/ctloupe train --bank $(MODEL)/bank --method physics-flow --preset tiny \
		--minutes $(MODEL_MINUTES) --out $(MODEL)/run
	$(MAKE) --no-print-directory pack-model

# What follows the training, for one that was interrupted and resumed.
pack-model: $(STAMP)
	$(BIN)/ctloupe enhance $(MODEL)/phantoms/9001/clinical.nii.gz -o $(MODEL)/held-out.ome.zarr \
		--model $(MODEL)/run/model --overwrite
	$(BIN)/ctloupe evaluate --input $(MODEL)/phantoms/9001/clinical.nii.gz --output $(MODEL)/held-out.ome.zarr \
		--truth $(MODEL)/phantoms/9001/truth.nii.gz --labels $(MODEL)/phantoms/9001/labels.nii.gz --mask lungs \
		--out $(MODEL)/evaluation --overwrite
	$(BIN)/ctloupe models pack $(MODEL)/run -o src/ctloupe/models/installed/lung-demo --half --spacing 0.5,1.0 \
		--metrics $(MODEL)/evaluation/metrics.json --about $(MODEL_ABOUT) --demonstration $(MODEL_DEMONSTRATION) --overwrite

$(RELEASE)/.installed:
	test -x $(RELEASE)/bin/python || $(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python $(INSTALL) $(RELEASE_TOOLS)
	touch $@

# The source distribution, the wheel for this kind of machine that is built from it, and one for all, which has no compiled
# convolutions.
wheel: $(RELEASE)/.installed
	$(RELEASE)/bin/python -m build --outdir dist .
	CTLOUPE_PURE=1 $(RELEASE)/bin/python -m build --wheel --outdir dist .

# What an installation brings, in the versions and with the hashes of constraints.txt, in the form of CycloneDX; what
# only the CUDA builds of torch bring is left out. cyclonedx-py holds it against the schema before it is written.
sbom: $(RELEASE)/.installed
	mkdir -p dist
	$(RELEASE)/bin/uv pip compile --quiet --no-config --no-header --no-annotate --generate-hashes \
		--python-version 3.11 --python-platform x86_64-manylinux_2_28 --constraint constraints.txt \
		$(filter-out --no-emit-package=torch,$(UNLOCKED:%=--no-emit-package=%)) pyproject.toml \
		> $(RELEASE)/runtime.txt
	$(RELEASE)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --validate \
		--output-file dist/ctloupe.cdx.json $(RELEASE)/runtime.txt

# The pages as a site that loads nothing from elsewhere; a warning is an error.
docs: $(STAMP)
	$(BIN)/python docs/site/build.py --out $(SITE)

# Draws the diagrams of the pages that have no picture yet; needs Chromium, and npm for the program that draws them.
diagrams: $(STAMP)
	$(BIN)/python docs/site/diagrams.py

# Makes the pictures of docs/pictures.md by the commands above them, from what `make demo` left.
pictures: $(STAMP)
	$(BIN)/python docs/site/pictures.py --demo demo

# Runs the tutorial and keeps what its cells show.
tutorial: $(STAMP)
	$(BIN)/python docs/site/tutorial.py

clean:
	rm -rf $(VENV) $(VENV)-* demo site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
