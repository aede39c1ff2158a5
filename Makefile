# First use sets up what is missing; every later use starts at once.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export UV_PYTHON_DOWNLOADS := never

VENV := .venv/bin
PROTO := engine/proto/openvenue/engine/v1/engine.proto
PROTO_PY := api/openvenue/engine/v1/engine_pb2.py

.PHONY: proto
proto: $(PROTO_PY)
$(PROTO_PY): $(PROTO)
	PATH=$(CURDIR)/$(VENV):$$PATH $(VENV)/python -m grpc_tools.protoc -Iengine/proto --python_out=api \
	  --grpc_python_out=api --mypy_out=api --mypy_grpc_out=api $(PROTO)
