"""The demo set-up can be repeated at any time, and completes what was interrupted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openvenue.admin.client import Admin, connect_admin
from openvenue.cli.local import demo
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.settings import Settings
from openvenue.units import parse_micros

from tests.support.venue import Venue


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Yield the settings of an empty engine of the test's own."""
    venue = Venue(tmp_path, "postgresql+asyncpg://nobody@127.0.0.1:1/none")
    venue.start_engine()
    try:
        yield venue.settings
    finally:
        venue.stop()


class _Interrupted(Admin):
    """Executes this many commands, as if it was then killed."""

    def __init__(self, admin: Admin, commands: int) -> None:
        self._admin = admin
        self._left = commands

    async def accounts(self) -> list[pb.Account]:
        return await self._admin.accounts()

    async def instruments(self) -> list[pb.InstrumentInfo]:
        return await self._admin.instruments()

    async def apply(self, request: pb.AdminRequest) -> pb.AdminResponse:
        if self._left == 0:
            raise InterruptedError
        self._left -= 1
        return await self._admin.apply(request)


async def test_an_instrument_that_was_halted_stays_halted(settings: Settings) -> None:
    async with connect_admin(settings) as admin:
        await demo.set_up(admin)
        halted = demo.INSTRUMENTS[0].definition()
        halted.state = pb.INSTRUMENT_STATE_INACTIVE
        await admin.apply(pb.AdminRequest(define_instrument=halted))
        await demo.set_up(admin)
        assert (await admin.instrument("AAPL")).terms.state == pb.INSTRUMENT_STATE_INACTIVE


async def test_wherever_it_was_interrupted_every_account_gets_everything_once(
    settings: Settings,
) -> None:
    async with connect_admin(settings) as admin:
        # A start names the account again and does one thing more, so it ends after every command.
        starts = 0
        while True:
            try:
                await demo.set_up(_Interrupted(admin, 2))
            except InterruptedError:
                starts += 1
            else:
                break
        accounts = await admin.accounts()
    assert starts > len(demo.ACCOUNTS)
    assert [account.name for account in accounts] == list(demo.ACCOUNTS.values())
    assert {account.cash_micros for account in accounts} == {parse_micros(demo.CASH)}
    for account in accounts:
        given = {
            position.instrument_id: (position.qty_lots, position.cost_micros)
            for position in account.positions
        }
        assert given == {
            terms.instrument_id: (wanted.qty_lots, wanted.cost_micros)
            for terms in demo.INSTRUMENTS
            for wanted in (demo.endowment(account.account_id, terms),)
        }


async def test_an_account_that_was_emptied_is_given_nothing_again(settings: Settings) -> None:
    async with connect_admin(settings) as admin:
        await demo.set_up(admin)
        emptied = pb.AdjustBalance(account_id=1, amount_micros=-parse_micros(demo.CASH))
        await admin.apply(pb.AdminRequest(adjust_balance=emptied))
        await demo.set_up(admin)
        assert (await admin.account(1)).cash_micros == 0
