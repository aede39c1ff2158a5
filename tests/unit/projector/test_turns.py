"""Which projection goes first when all are behind."""

import asyncio
import time

import pytest
from openvenue.projector import run
from openvenue.projector.ledger.fold import LedgerBatch
from openvenue.projector.progress import Progress
from openvenue.projector.run import let_go_first


def behind(entries: int) -> Progress:
    progress = Progress("ledger")
    progress.projecting(1000, 1000 + entries)
    return progress


def batch(last_sequence: int) -> LedgerBatch:
    return LedgerBatch({}, first_sequence=1001, last_sequence=last_sequence)


async def test_others_wait_until_the_ledger_has_no_more_than_a_batch_to_go() -> None:
    ledger = behind(500)
    waiting = asyncio.ensure_future(let_go_first(ledger, 100))
    ledger.applied(batch(1399))
    assert not (await asyncio.wait((waiting,), timeout=0.05))[0]
    ledger.applied(batch(1400))
    async with asyncio.timeout(0.5):
        await waiting


@pytest.mark.parametrize("entries", [0, 100])
async def test_others_do_not_wait_for_a_ledger_that_keeps_up(entries: int) -> None:
    async with asyncio.timeout(0.5):
        await let_go_first(behind(entries), 100)


async def test_others_do_not_wait_for_a_ledger_that_ended() -> None:
    ledger = behind(500)
    ledger.stopped()
    async with asyncio.timeout(0.5):
        await let_go_first(ledger, 100)


async def test_others_get_their_turn_while_the_ledger_stays_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "_WAIT_MAX_S", 0.1)
    started = time.monotonic()
    await let_go_first(behind(500), 100)
    assert 0.1 <= time.monotonic() - started < 1
