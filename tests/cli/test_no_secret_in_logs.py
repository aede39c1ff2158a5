"""No process of a venue logs a secret, however much it logs and whatever clients send."""

import asyncio
import json
from pathlib import Path
from typing import Any

from openvenue.cli.local.data_dir import DataDir, read_keys
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.cli.command_line import Up, openvenue
from tests.support import http
from tests.support.issuer import Issuer, SigningKey
from tests.support.waiting import wait_for

ORDER = {
    "symbol": "AAPL",
    "side": "buy",
    "type": "limit",
    "time_in_force": "gtc",
    "qty": "1",
    "limit_price": "580",
}


async def talk(url: str, *commands: dict[str, Any]) -> None:
    """Say each command on a connection of its own, and hear the answer."""
    for command in commands:
        async with connect(url) as connection:
            await connection.send(json.dumps(command))
            try:
                async with asyncio.timeout(10):
                    await connection.recv()
            except (TimeoutError, ConnectionClosed):
                pass


def send_everything(up: Up, tokens: list[str]) -> None:
    """Use right and wrong credentials in all ways that there are."""
    right = up.headers()
    wrong = {**right, "APCA-API-SECRET-KEY": f"{right['APCA-API-SECRET-KEY']}x"}
    bearers = [{"Authorization": f"Bearer {token}"} for token in tokens]
    for headers in (right, wrong, *bearers, {**right, **bearers[0]}):
        for method, path in [
            ("GET", "/v2/account"),
            ("POST", "/v2/orders"),
            ("POST", "/v2/orders:batch"),
            ("DELETE", "/v2/orders"),
            ("GET", "/nowhere"),
        ]:
            body = {"orders": [ORDER]} if path.endswith("batch") else ORDER
            http.request(method, up.url + path, headers=headers, json=body, timeout=20)
    key = {
        "key_id": right["APCA-API-KEY-ID"],
        "secret_key": right["APCA-API-SECRET-KEY"],
    }
    commands: list[dict[str, Any]] = [
        {"action": "authenticate", "data": key},
        {"action": "authenticate", "data": {**key, "secret_key": wrong["APCA-API-SECRET-KEY"]}},
        *({"action": "authenticate", "data": {"oauth_token": token}} for token in tokens),
        {"action": tokens[0], "data": key},
    ]
    asyncio.run(talk(f"{up.url.replace('http', 'ws')}/stream", *commands))


def test_the_logs_of_a_whole_run_have_no_secret(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    kept = DataDir(data_dir)
    with Issuer().serving() as issuer:
        variables = {**issuer.environment(), "OPENVENUE_LOG_LEVEL": "DEBUG"}
        up = Up(data_dir, variables=variables).wait_until_up()
        try:
            tokens = [
                issuer.token(1).token,
                issuer.token(1, key=SigningKey("first")).token,
                issuer.token(1, aud="https://other.example").token,
                issuer.token(999_999).token,
                issuer.token(1, header={"kid": "unknown"}).token,
            ]
            send_everything(up, tokens)
            made = openvenue("keys", "create", "1", "--json", data_dir=data_dir).data
            openvenue("status", data_dir=data_dir)
            openvenue("accounts", "list", data_dir=data_dir)
            wait_for(lambda: "token refused" in logs(data_dir))
            secrets = {
                *(part for token in tokens for part in token.split(".")[1:]),
                *(key.secret for key in kept.demo_keys()),
                *(key.secret for key in read_keys(kept.market_keys_file)),
                kept.admin_token_file.read_text().strip(),
                made["secret"],
            }
        finally:
            assert up.stop() == 0
    said = logs(data_dir) + up.output
    assert len(secrets) > 12
    assert min(len(secret) for secret in secrets) >= 16
    assert [secret for secret in secrets if secret in said] == []


def logs(data_dir: Path) -> str:
    """Return all that the venue's processes have logged."""
    files = {file.name: file.read_text(errors="replace") for file in (data_dir / "logs").iterdir()}
    for process in ("api", "engine", "projector", "stream"):
        assert files[f"{process}.log"], f"{process} has logged nothing, which proves nothing"
    return "".join(files.values())
