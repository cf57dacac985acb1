# `make demo` and `make test` do their own set-up; nothing else has to be run before.
VENV ?= .venv
PYTHON ?= python3
FAISS ?= cpu
BIN := $(VENV)/bin
SOURCES := encoders indexer search_api benchmarks tests

# uv looks for local wheels under its own name of the variable.
UV := $(shell command -v uv 2>/dev/null)
export UV_FIND_LINKS := $(PIP_FIND_LINKS)

.PHONY: help setup browser demo test lint types faults crash hot-swap two-indexers disk-faults mutations bench-ann bench-encode bench-ingest bench-memory bench-questions bench-retrieval bench-speech bench-video clean
help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Make .venv with everything that the demo and the tests need.

$(VENV)/.installed: pyproject.toml constraints.txt
ifdef UV
	uv venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	uv pip install --quiet --compile-bytecode --python $(BIN)/python -e '.[$(FAISS),clip,dev]' -c constraints.txt
else
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[$(FAISS),clip,dev]' -c constraints.txt
endif
	touch $@

demo: setup ## Fetch models and real media, ingest them, print answers, serve (DEMO_SERVE=0 ends instead).
	$(BIN)/kindred demo

browser: ## Get the Chromium that tests the page: from Debian where that needs no asking, else say how.
	@if test -n "$$KINDRED_CHROMIUM$$(command -v chromium || command -v google-chrome)"; then :; \
	elif test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
		echo "Installing Debian's Chromium for the tests of the page"; \
		apt-get -qq -o Acquire::Retries=3 update && DEBIAN_FRONTEND=noninteractive \
			apt-get -qq -o Acquire::Retries=3 install -y --no-install-recommends chromium >/dev/null \
			|| echo "Chromium could not be installed: the tests of the page will be skipped"; \
	else \
		echo "No Chromium: the tests of the page will be skipped. \`sudo apt-get install chromium\` brings it,"; \
		echo "or name one in KINDRED_CHROMIUM"; \
	fi

test: setup browser ## Run the tests with the starter's real weights.
	$(BIN)/python -m pytest

lint: setup ## Check style and format.
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: setup ## Check types.
	$(BIN)/mypy

faults: setup ## Kill ingest and reindex ten times each and check what is left.
	$(BIN)/python -m benchmarks.faults --kills 10

crash: setup ## Kill a reindex 200 times and ten times before each of its steps, beside writers (an hour).
	$(BIN)/python -m benchmarks.crash --kills 200 --each-step 10

hot-swap: setup ## Swap snapshots 100 times under load; HOT_SWAP='--items 1000' where the machine is busy.
	$(BIN)/python -m benchmarks.hot_swap --swaps 100 --workers 4 $(HOT_SWAP)

two-indexers: setup ## Start two reindexes at once 50 times, and take the lock from one 20 times.
	$(BIN)/python -m benchmarks.two_indexers --rounds 50 --fenced 20

disk-faults: setup ## Fail each write of each command, fill disks, limit files, and check what is left (an hour).
	$(BIN)/python -m benchmarks.disk_faults

mutations: setup ## Damage 3000 files of snapshots and 500 manifests, with and without fitting digests.
	$(BIN)/python -m benchmarks.mutations

bench-ann: setup ## Indexes against the libraries of the extra `ann-peers`; BENCH_ANN=--quick for 3 minutes.
	$(BIN)/python -m benchmarks.ann $(BENCH_ANN)

bench-encode: setup ## Encoders against the bare networks they stand on.
	$(BIN)/python -m benchmarks.encode

bench-ingest: setup ## What an ingest takes beyond bare decoding and encoding, by stage.
	$(BIN)/python -m benchmarks.ingest_cost

bench-questions: setup ## Questions in words against the bare model, alone and from many askers.
	$(BIN)/python -m benchmarks.questions

bench-memory: setup ## Peak memory of a 30-minute and a 3-hour recording.
	$(BIN)/python -m benchmarks.ingest

bench-retrieval: setup ## Measure recall of the starter collection on labelled media.
	$(BIN)/python -m benchmarks.retrieval

bench-speech: setup ## Measure words -> recording and words -> moment on spoken media.
	$(BIN)/python -m benchmarks.speech

bench-video: setup ## Measure cuts and text -> moment on generated videos.
	$(BIN)/python -m benchmarks.video

clean: ## Remove the environment and caches, never data.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info
