"""The check of the engine's layers finds violations."""

import subprocess
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parents[2] / "scripts" / "check-engine-layers"


@pytest.mark.parametrize(
    ("path", "include"),
    [
        ("core/base/probe.h", '"journal/writer.h"'),
        ("core/base/probe.h", "<chrono>"),
        ("core/base/probe.h", "<thread>"),
        ("core/base/probe.h", "<fstream>"),
        ("core/base/probe.h", "<fmt/format.h>"),
        ("core/book/probe.h", '"core/state/ledger.h"'),
        ("core/state/probe_test.cc", '"core/exchange/exchange.h"'),
        ("core/exchange/probe.h", '"core/testing/seeds.h"'),
        ("core/base/probe.h", '"core/types.h"'),
        ("runtime/probe.h", '"core/testing/seeds.h"'),
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
    source.parent.mkdir(parents=True)
    source.write_text(f"#include {include}\n")
    found = subprocess.run([CHECK, str(tmp_path)], capture_output=True, text=True)
    assert found.returncode == 1
    assert f"{path}:1: " in found.stderr


def test_a_file_of_core_outside_its_rooms_is_found(tmp_path: Path) -> None:
    source = tmp_path / "core" / "probe.h"
    source.parent.mkdir()
    source.write_text("#include <vector>\n")
    found = subprocess.run([CHECK, str(tmp_path)], capture_output=True, text=True)
    assert found.returncode == 1
    assert "core/probe.h: it is in no room of core" in found.stderr
