"""`make run` sets up, brings the venue up, trades on it and stops cleanly."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_make_run_trades_a_generated_day_and_stops_when_told(tmp_path: Path) -> None:
    result = subprocess.run(
        ["make", "run", "ORDERS=200", "ONCE=1", "PORT=0", "ENGINE_PORT=0"],
        cwd=ROOT,
        env={**os.environ, "OPENVENUE_DATA_DIR": str(tmp_path / "var")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    assert "trades" in result.stdout
    assert (tmp_path / "var" / "engine").is_dir()
