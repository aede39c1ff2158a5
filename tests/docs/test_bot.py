"""The documented bot trades on `openvenue up --market`, and its books are the venue's."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cli.command_line import OPENVENUE, Up
from tests.support import http
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
BOT = """
eval "$({command} keys env --account bob --data-dir {data})"
exec {python} docs/examples/bot.py AAPL 15
"""


def orders_of(up: Up, account: str) -> list[Any]:
    answer = http.get(f"{up.url}/v2/orders?status=all", headers=up.headers(account))
    # The history may not be as far as the account yet.
    return list(answer.json()) if answer.status_code == 200 else []


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
        bot = subprocess.Popen(
            ["bash", "-ec", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # An order of its account in another symbol is filled after the bot has read its account.
        wait_for(lambda: orders_of(up, "bob"))
        headers = {**up.headers("bob"), "Prefer": "wait"}
        wait_for(is_filled, every_s=1)
        said, errors = bot.communicate(timeout=120)
        assert bot.returncode == 0, f"{said}\n{errors}"
        filled = re.search(r"(\d+) filled", said)
        assert filled is not None
        assert int(filled[1]) >= 1
    finally:
        assert up.stop() == 0
    log = (tmp_path / "data/logs/market.log").read_text()
    assert "Traceback" not in log
