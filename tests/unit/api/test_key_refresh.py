"""Keys that requests wait for are read with a refresh of many, not after it."""

import asyncio
from collections.abc import Sequence

import pytest
from openvenue.db.listener import Listener
from openvenue.security import authenticator as auth
from openvenue.security.authenticator import Authenticator
from openvenue.security.key_reader import KeyRow
from openvenue.security.keys import hash_secret
from openvenue.security.principal import Principal
from openvenue.settings import Settings
from openvenue.vocabulary import SCOPES

ALL = frozenset(SCOPES)
KNOWN = Principal(1, "known", 0, ALL)


class SlowReader:
    """Reads keys on command, like a database under load."""

    def __init__(self) -> None:
        self.reads: list[list[str]] = []
        self.let = asyncio.Semaphore(0)

    async def read(self, key_ids: Sequence[str]) -> dict[str, KeyRow]:
        self.reads.append(list(key_ids))
        await self.let.acquire()
        return {key_id: KeyRow(1, hash_secret(b"secret"), ALL) for key_id in key_ids}


async def test_a_new_key_waits_for_one_read_of_a_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_KEYS_PER_READ_MAX", 10)
    authenticator = Authenticator(Settings(), Listener("postgresql://nobody@/nothing"))
    reader = SlowReader()
    monkeypatch.setattr(authenticator, "_reader", reader)
    for number in range(100):
        entry = auth._Entry(KNOWN, hash_secret(b"secret"), 0.0)
        authenticator._remember(b"known%d" % number, entry)
    running = asyncio.create_task(authenticator.run())
    while not reader.reads:  # noqa: ASYNC110
        await asyncio.sleep(0)
    headers = [(auth.KEY_ID_HEADER, b"new"), (auth.SECRET_HEADER, b"secret")]
    asked = asyncio.create_task(authenticator.principal_of(headers))
    await asyncio.sleep(0)
    reader.let.release()
    reader.let.release()
    async with asyncio.timeout(1):
        assert await asked == Principal(1, "new", 0, ALL)
    assert "new" in reader.reads[1]
    assert len(reader.reads) <= 3
    running.cancel()
