"""The documented `openvenue up --market-day` trades the day of the named file."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

from openvenue.market.day_trader import TAKERS

from tests.cli.command_line import Up
from tests.market.test_day import MESSAGES
from tests.support import http
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
COMMAND = re.compile(r"^openvenue up (.*--market-day .*)$", re.MULTILINE)


def test_a_documented_day_is_traded_in_the_instrument_of_its_name(tmp_path: Path) -> None:
    (command,) = COMMAND.findall((ROOT / "docs/replay.md").read_text())
    options = shlex.split(command)
    place = options.index("--market-day") + 1
    symbol, _, _ = options[place].partition("_")
    file = tmp_path / options[place]
    file.write_text(MESSAGES)
    options[place] = str(file)
    up = Up(tmp_path / "data", *options).wait_until_up()
    try:
        keys = json.loads((tmp_path / "data/market.json").read_text())["keys"]
        (key,) = (key for key in keys if key["account"] == TAKERS)
        headers = {"APCA-API-KEY-ID": key["key_id"], "APCA-API-SECRET-KEY": key["secret"]}

        def traded() -> set[tuple[str, str]]:
            answer = http.get(f"{up.url}/v2/account/activities/FILL", headers=headers)
            fills: list[dict[str, Any]] = answer.json()
            return {(fill["symbol"], fill["side"]) for fill in fills}

        wait_for(lambda: traded() == {(symbol, "buy"), (symbol, "sell")})
    finally:
        assert up.stop() == 0
    assert "Traceback" not in (tmp_path / "data/logs/market.log").read_text()
