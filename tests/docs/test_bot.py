"""The documented bot trades on `openvenue up --market`, and its books are the venue's."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.cli.command_line import OPENVENUE, Up
from tests.support import http
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
BOT = """
eval "$({command} keys env --account bob --data-dir {data})"
exec {python} docs/examples/bot.py AAPL 15
"""


def test_the_bot_ends_with_the_books_of_the_venue(tmp_path: Path) -> None:
    up = Up(tmp_path / "data", "--market").wait_until_up()
    try:
        order = {"symbol": "TSLA", "qty": "1", "side": "buy", "type": "market"}
        order["time_in_force"] = "ioc"
        headers = {**up.headers(), "Prefer": "wait"}

        def is_filled() -> bool:
            answer = http.post(f"{up.url}/v2/orders", json=order, headers=headers)
            return bool(answer.json()["status"] == "filled")

        wait_for(is_filled, every_s=1)
        script = BOT.format(
            command=" ".join(OPENVENUE), data=tmp_path / "data", python=sys.executable
        )
        done = subprocess.run(
            ["bash", "-ec", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        filled = re.search(r"(\d+) filled", done.stdout)
        assert filled is not None
        assert int(filled[1]) >= 1
    finally:
        assert up.stop() == 0
    log = (tmp_path / "data/logs/market.log").read_text()
    assert "Traceback" not in log
