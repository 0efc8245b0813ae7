# Everything a fresh machine needs is set up by the first target that is asked for.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
SPARK := build/spark
PYTHON ?= python3
CARGO_JOBS ?= 2
NATIVE := psi/_native.abi3.so
# One more than there are processors: tests wait for servers, browsers and processes of their own.
WORKERS := --numprocesses $(shell n=$$(($$(nproc) + 1)); echo $$((n < 5 ? n : 5))) --dist loadfile --no-loadscope-reorder
NATIVE_SOURCES := $(shell find psi/native/src -name '*.rs') psi/native/Cargo.toml Cargo.toml Cargo.lock pyproject.toml

.PHONY: demo test test-slow test-exhaustive test-backends test-spark test-rust fuzz bench bundle docs lint format reference screenshots lock clean setup

demo: setup ## the main job, end to end, on made-up people
	$(BIN)/mingce demo

test: setup test-rust ## the ordinary suite, file by file
	$(BIN)/python -m pytest $(WORKERS)

test-exhaustive: setup ## every step of the commands that write fails in every way: twenty minutes or more
	$(BIN)/python -m pytest -m exhaustive --numprocesses auto --dist load

test-slow: setup test-spark ## what takes minutes
	$(BIN)/python -m pytest -m "slow and not exhaustive" --ignore=tests/spark $(WORKERS)
	cd psi/native && cargo test --quiet --release --jobs $(CARGO_JOBS) --test differential -- --ignored ten_million

# The ordinary suite runs on the fastest backend; here the others do everything that touches the kernel
# (the one-shot exchange does not: its arithmetic is another library's).
test-backends: setup ## the kernel's and the matching's tests on each of the other backends
	@fastest=$$($(BIN)/python -c 'import psi.oprf; print(psi.oprf.backend_name())'); \
	for backend in ifma512 avx2 portable; do \
		if [ $$backend = $$fastest ]; then echo "backend $$backend: the ordinary suite runs on it"; continue; fi; \
		if ! MINGCE_BACKEND=$$backend $(BIN)/python -c 'import psi.oprf; psi.oprf.backend_name()' 2>/dev/null; then \
			echo "NOT RUN: this processor cannot run the backend $$backend"; continue; fi; \
		echo "backend $$backend"; \
		MINGCE_BACKEND=$$backend $(BIN)/python -m pytest --ignore-glob='*/test_exchange*' tests/psi tests/interop \
			tests/matcher/test_publisher.py tests/api/test_matching_real_province.py || exit 1; \
	done

test-spark: setup $(SPARK)/.ready ## what runs on Spark, on a cluster of processes of this machine
	$(SPARK)/bin/python -m pytest -m 'not exhaustive' tests/spark

test-rust: $(VENV)/.ready
	cd psi/native && cargo test --quiet --release --jobs $(CARGO_JOBS)

SECONDS ?= 900
FUZZ := build/fuzz

fuzz: setup ## fuzz every decoder of foreign bytes for SECONDS each; what happened goes to build/fuzz
	$(BIN)/python -m venv $(FUZZ)/venv
	$(FUZZ)/venv/bin/pip install --quiet --disable-pip-version-check 'atheris>=3,<4'
	PYTHONPATH=$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])') \
		$(FUZZ)/venv/bin/python tests/fuzz/run_fuzz.py --seconds $(SECONDS) --out $(FUZZ) $(TARGETS)

bench: setup ## measure; JSON goes to build/bench.json
	mkdir -p build
	$(BIN)/mingce bench --out build/bench.json

bundle: setup ## an archive for hosts without a network, with a bill of materials; goes to build/bundle
	mkdir -p build/bundle
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m scripts.bundle build/bundle

docs: setup ## the documents as a site, in build/docs; a link that leads nowhere fails
	$(BIN)/sphinx-build --fail-on-warning --fresh-env --write-all --quiet --doctree-dir build/doctrees docs build/docs

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd psi/native && cargo fmt --check && cargo clippy --quiet --all-targets --all-features --jobs $(CARGO_JOBS) -- -D warnings

reference: setup ## write anew the documents that are made from the program and from the tests
	$(BIN)/python -m scripts.references docs/reference
	$(BIN)/python tests/case_index.py

screenshots: setup ## pictures of the console for the documents, from a demo that `make demo` made
	$(BIN)/python -m scripts.demo.screenshots demo docs/images

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd psi/native && cargo fmt

setup: $(NATIVE)

$(NATIVE): $(VENV)/.ready $(NATIVE_SOURCES)
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.89 or newer (rustup), then run make again"; exit 1; }
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --quiet --jobs $(CARGO_JOBS) >/dev/null
	@touch $@

# The extra `spark` (470 MB to fetch, 600 MB on disk) lies over the environment of all else: it brings pandas, which
# sqlite-utils loads wherever it finds it, and that makes every start of every command take up to a second longer.
$(SPARK)/.ready: $(VENV)/.ready requirements-spark.lock
	@command -v java >/dev/null || { echo "java is missing, which Spark runs on: install openjdk-17-jre-headless"; exit 1; }
	$(PYTHON) -m venv $(SPARK)
	echo "import site; site.addsitedir('$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')')" \
		>$$($(SPARK)/bin/python -c 'import site; print(site.getsitepackages()[0])')/base.pth
	$(SPARK)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.lock
	@touch $@

$(VENV)/.ready: requirements.lock
	@scripts/setup-machine
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

lock: ## renew requirements.lock and requirements-spark.lock: hashes, no addresses
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["spark"], sep="\n")' \
		| $(BIN)/uv pip compile - --constraint requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements-spark.lock

clean:
	rm -rf $(VENV) build demo target $(NATIVE)
