"""The check of the engine's layers finds violations."""

import subprocess
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parents[2] / "scripts" / "check-engine-layers"


@pytest.mark.parametrize(
    ("path", "include"),
    [
        ("core/probe.h", '"journal/writer.h"'),
        ("core/probe.h", "<chrono>"),
        ("core/probe.h", "<thread>"),
        ("core/probe.h", "<fstream>"),
        ("core/probe.h", "<fmt/format.h>"),
        ("journal/probe.h", '"runtime/engine.h"'),
        ("journal/probe.h", '"../runtime/engine.h"'),
        ("journal/probe.h", '"serve.h"'),
        ("runtime/probe.cc", "<grpcpp/grpcpp.h>"),
        ("runtime/probe.cc", '"openvenue/engine/v1/engine.pb.h"'),
        ("rpc/probe.cc", '"tools/bench_rpc.h"'),
    ],
)
def test_a_forbidden_include_is_found(tmp_path: Path, path: str, include: str) -> None:
    source = tmp_path / path
    source.parent.mkdir()
    source.write_text(f"#include {include}\n")
    found = subprocess.run([CHECK, str(tmp_path)], capture_output=True, text=True)
    assert found.returncode == 1
    assert f"{path}:1: " in found.stderr
