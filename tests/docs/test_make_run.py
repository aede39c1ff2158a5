"""`make run` sets up, starts the venue, trades on it and stops cleanly."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STOP_TIMEOUT_S = 60.0


def make_run(*settings: str) -> list[str]:
    return ["make", "run", *settings, "PORT=0", "ENGINE_PORT=0"]


def environment(data_dir: Path) -> dict[str, str]:
    return {**os.environ, "OPENVENUE_DATA_DIR": str(data_dir)}


def test_make_run_trades_a_generated_day_and_stops_when_told(tmp_path: Path) -> None:
    result = subprocess.run(
        make_run("ORDERS=200", "ONCE=1"),
        cwd=ROOT,
        env=environment(tmp_path / "var"),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    assert "trades" in result.stdout
    assert (tmp_path / "var" / "engine").is_dir()


@pytest.mark.parametrize(
    ("orders", "moment"), [("1000000", "replaying"), ("20", "The venue stays up")]
)
def test_ctrl_c_ends_make_run_without_an_error(tmp_path: Path, orders: str, moment: str) -> None:
    keyboard, terminal = pty.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", *make_run(f"ORDERS={orders}")],
        cwd=ROOT,
        env={**environment(tmp_path / "var"), "TERM": "xterm"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as running:
        os.close(terminal)
        shown = read_until(keyboard, moment)
        os.write(keyboard, b"\x03")
        shown += read_until(keyboard, None)
        assert running.wait(STOP_TIMEOUT_S) == 0, shown
    os.close(keyboard)
    assert "The venue is down" in shown
    assert "make: ***" not in shown
    assert "rror" not in shown
    assert not (tmp_path / "var" / "venue.json").exists()


def read_until(keyboard: int, text: str | None) -> str:
    """Return the terminal's output until `text` appears; None: until all processes have left it."""
    shown = ""
    while text is None or text not in shown:
        try:
            shown += os.read(keyboard, 65_536).decode(errors="replace")
        except OSError:
            assert text is None, shown
            break
    return shown
