"""A command with an Idempotency-Key is executed once, whatever becomes of its answer."""

import asyncio
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tests.admin.conftest import client
from tests.support.venue import Venue, in_database, run_apart
from tests.support.waiting import wait_for


@pytest.fixture
def account(admin: httpx.Client) -> str:
    """Return the path of an account with 1,000."""
    opened = admin.post("/v1/admin/accounts", json={"name": "some", "cash": "1000"})
    return f"/v1/admin/accounts/{opened.json()['account_id']}"


@pytest.fixture
def key() -> str:
    return str(uuid4())


def send(
    admin: httpx.Client, path: str, key: str | None, body: dict[str, str] | None = None
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return admin.post(path, json=body or {"amount": "5"}, headers=headers)


def cash_of(admin: httpx.Client, account: str) -> str:
    return str(admin.get(account).json()["cash"])


def execute(venue: Venue, statement: str, **values: object) -> Any:
    async def run(connection: AsyncConnection) -> Any:
        result = await connection.execute(text(statement), values)
        return result.all() if result.returns_rows else result.rowcount

    return in_database(venue, run)


def make_older(venue: Venue, key: str, by: str) -> None:
    changed = "UPDATE idempotency_keys SET reserved_at = reserved_at - cast(:by AS interval) "
    # asyncpg takes intervals only as timedelta, unless they come as text.
    changed = changed.replace(":by", "cast(:by AS text)")
    assert execute(venue, changed + "WHERE idempotency_key = :key", key=key, by=by) == 1


def test_the_same_request_again_gets_the_first_answer_and_does_nothing(
    admin: httpx.Client, account: str, key: str
) -> None:
    first = send(admin, f"{account}/deposits", key)
    assert (first.status_code, first.json()["cash"]) == (200, "1005")
    send(admin, f"{account}/withdrawals", None, {"amount": "1"})
    again = send(admin, f"{account}/deposits", key)
    assert (again.status_code, again.content) == (200, first.content)
    # As the draft writes keys, and with the amount in another form.
    quoted = send(admin, f"{account}/deposits", f'"{key}"', {"amount": "5.00"})
    assert quoted.content == first.content
    assert cash_of(admin, account) == "1004"
    other = send(admin, f"{account}/deposits", str(uuid4()))
    assert other.json()["cash"] == "1009"


def test_a_key_belongs_to_one_command(admin: httpx.Client, account: str, key: str) -> None:
    another = admin.post("/v1/admin/accounts", json={"name": "another"}).json()["account_id"]
    assert send(admin, f"{account}/deposits", key).status_code == 200
    for path, body in (
        (f"{account}/deposits", {"amount": "6"}),
        (f"{account}/withdrawals", {"amount": "5"}),
        (f"/v1/admin/accounts/{another}/deposits", {"amount": "5"}),
        (f"{account}/positions", {"symbol": "AAPL", "qty": "5"}),
    ):
        answer = send(admin, path, key, body)
        assert (answer.status_code, answer.json()["code"]) == (422, 42210000), answer.text
        assert "another command" in answer.json()["detail"]
    assert cash_of(admin, account) == "1005"
    assert cash_of(admin, f"/v1/admin/accounts/{another}") == "0"


def test_what_the_engine_refused_stays_refused(admin: httpx.Client, account: str, key: str) -> None:
    body = {"amount": "1001"}
    refused = send(admin, f"{account}/withdrawals", key, body)
    assert refused.status_code == 422
    send(admin, f"{account}/deposits", None)
    again = send(admin, f"{account}/withdrawals", key, body)
    assert (again.status_code, again.content) == (422, refused.content)
    assert cash_of(admin, account) == "1005"


def test_what_never_reached_the_engine_leaves_the_key_free(
    admin: httpx.Client, account: str, key: str
) -> None:
    assert send(admin, f"{account}/deposits", key, {"amount": "-5"}).status_code == 422
    assert send(admin, f"{account}/positions", key, {"symbol": "X", "qty": "1"}).status_code == 404
    assert send(admin, f"{account}/deposits", key).json()["cash"] == "1005"


def test_a_position_is_given_once_and_may_end_at_nothing(
    admin: httpx.Client, account: str, key: str
) -> None:
    body = {"symbol": "AAPL", "qty": "3", "cost": "300"}
    given = send(admin, f"{account}/positions", key, body)
    assert (given.status_code, given.json()["qty"]) == (200, "3")
    assert send(admin, f"{account}/positions", key, body).content == given.content
    taken = send(
        admin, f"{account}/positions", None, {"symbol": "AAPL", "qty": "-3", "cost": "-300"}
    )
    assert (taken.status_code, taken.json()["qty"]) == (200, "0")


def test_of_many_at_the_same_time_one_is_executed(
    admin: httpx.Client, account: str, key: str
) -> None:
    with ThreadPoolExecutor(8) as threads:
        sent = [threads.submit(send, admin, f"{account}/deposits", key) for _ in range(16)]
        answers = [each.result() for each in sent]
    assert {each.status_code for each in answers} <= {200, 409}, [each.text for each in answers]
    assert {each.json()["cash"] for each in answers if each.status_code == 200} == {"1005"}
    for each in answers:
        if each.status_code == 409:
            assert each.json()["title"] == "Request under way"
            assert 1 <= int(each.headers["retry-after"]) <= 60
    assert cash_of(admin, account) == "1005"


def test_a_key_outlives_the_process(
    administered: Venue, admin: httpx.Client, account: str, key: str
) -> None:
    first = send(admin, f"{account}/deposits", key)
    administered.administration.stop(signal.SIGKILL)
    administered.start_administration()
    with client(administered) as admin_after:
        assert send(admin_after, f"{account}/deposits", key).content == first.content
        assert cash_of(admin_after, account) == "1005"


@contextmanager
def nobody_reserves(venue: Venue) -> Iterator[None]:
    """Let keys be read, but none be reserved."""
    locked, over = Event(), Event()

    async def lock() -> None:
        engine = create_async_engine(venue.database_url)
        async with engine.begin() as connection:
            await connection.execute(text("LOCK TABLE idempotency_keys IN SHARE MODE"))
            locked.set()
            await asyncio.to_thread(over.wait)
        await engine.dispose()

    with ThreadPoolExecutor(1) as threads:
        locking = threads.submit(run_apart, lock())
        try:
            assert locked.wait(30)
            yield
        finally:
            over.set()
            locking.result()


WAITING = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'idempotency_keys'::regclass"


def test_after_a_crash_between_command_and_note_the_outcome_is_told_as_unknown(
    administered: Venue, admin: httpx.Client, account: str, key: str
) -> None:
    reserved = "SELECT 1 FROM idempotency_keys WHERE idempotency_key = :key"
    with ThreadPoolExecutor(1) as threads:
        with nobody_reserves(administered):
            first = threads.submit(send, admin, f"{account}/deposits", key)
            wait_for(lambda: execute(administered, WAITING))
            administered.engine.pause()
        # The command is on its way, or will never be.
        wait_for(lambda: execute(administered, reserved, key=key))
        administered.administration.stop(signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            first.result()
    administered.engine.resume()
    administered.start_administration()
    with client(administered) as after:
        wait_for(lambda: after.get(account).status_code == 200)
        under_way = send(after, f"{account}/deposits", key)
        assert (under_way.status_code, under_way.json()["title"]) == (409, "Request under way"), (
            under_way.text
        )
        assert 1 <= int(under_way.headers["retry-after"]) <= 60
        make_older(administered, key, "1 minute")
        unknown = [send(after, f"{account}/deposits", key) for _ in range(2)]
        for answer in unknown:
            assert (answer.status_code, answer.json()["title"]) == (409, "Outcome unknown")
            assert "retry-after" not in answer.headers
        # The audit trail tells, from that entry on.
        number = account.rpartition("/")[2]
        trail = after.get("/v1/admin/audit", params={"account_id": number}).json()["commands"]
        since = unknown[0].json()["after_sequence"]
        found = [one["details"]["amount"] for one in trail if one["sequence"] > since]
        assert found in ([], ["5"])
        assert cash_of(after, account) == ("1005" if found else "1000")
        # Another command does not get through with this key either.
        assert send(after, f"{account}/deposits", key, {"amount": "6"}).status_code == 422


def test_an_engine_that_dies_under_a_command_leaves_its_outcome_unknown(
    administered: Venue, admin: httpx.Client, account: str, key: str
) -> None:
    administered.admin.options[1] = administered.admin.target  # It restarts on the same port.
    with ThreadPoolExecutor(1) as threads, nobody_reserves(administered):
        first = threads.submit(send, admin, f"{account}/deposits", key)
        wait_for(lambda: execute(administered, WAITING))
        administered.engine.stop(signal.SIGKILL)
    answer = first.result()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "again with the same idempotency key" in answer.json()["detail"]
    administered.start_engine()
    wait_for(lambda: admin.get(account).status_code == 200)
    assert send(admin, f"{account}/deposits", key).json()["title"] == "Request under way"
    make_older(administered, key, "1 minute")
    assert send(admin, f"{account}/deposits", key).json()["title"] == "Outcome unknown"
    # It never came there, which the audit trail tells; so it may be sent with another key.
    assert cash_of(admin, account) == "1000"
    assert send(admin, f"{account}/deposits", f"{key}-again").json()["cash"] == "1005"


def test_an_executed_command_without_its_answer_is_answered_later(
    administered: Venue, admin: httpx.Client, account: str, key: str
) -> None:
    send(admin, f"{account}/deposits", key)
    # As after an engine that was away once the command was done.
    forgotten = "UPDATE idempotency_keys SET document = NULL WHERE idempotency_key = :key"
    assert execute(administered, forgotten, key=key) == 1
    answers = [send(admin, f"{account}/deposits", key) for _ in range(2)]
    assert [each.json()["cash"] for each in answers] == ["1005", "1005"]
    assert cash_of(admin, account) == "1005"


def test_keys_are_forgotten_after_thirty_days_and_not_before(
    administered: Venue, admin: httpx.Client, account: str
) -> None:
    old = [f"{uuid4()}" for _ in range(120)]
    insert = (
        "INSERT INTO idempotency_keys "
        "(shard_id, idempotency_key, fingerprint, after_sequence, reserved_at) "
        "SELECT 0, unnest(cast(:keys AS text[])), '', 0, now() - interval '30 days 1 minute'"
    )
    assert execute(administered, insert, keys=old) == 120
    young = str(uuid4())
    send(admin, f"{account}/deposits", young)  # It drops a hundred.
    make_older(administered, young, "29 days 23 hours")
    count = "SELECT count(*) FROM idempotency_keys WHERE idempotency_key = ANY (:keys)"
    assert execute(administered, count, keys=[*old, young]) == [(21,)]
    send(admin, f"{account}/deposits", str(uuid4()))
    assert execute(administered, count, keys=[*old, young]) == [(1,)]
    assert send(admin, f"{account}/deposits", young).json()["cash"] == "1005"


@pytest.mark.parametrize("bad", ["", "a b", 'a"b', '""', "x" * 256, "caf\xe9"])
def test_what_cannot_be_a_key_is_refused(admin: httpx.Client, account: str, bad: str) -> None:
    headers = [(b"Idempotency-Key", bad.encode("latin-1"))]
    answer = admin.post(f"{account}/deposits", json={"amount": "5"}, headers=headers)
    assert answer.status_code == 422, answer.text
    assert cash_of(admin, account) == "1000"


def test_two_keys_are_refused(admin: httpx.Client, account: str) -> None:
    headers = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    answer = admin.post(f"{account}/deposits", json={"amount": "5"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, 40010000)
    assert cash_of(admin, account) == "1000"


def test_a_key_is_refused_where_it_would_not_help(admin: httpx.Client, key: str) -> None:
    before = admin.get("/v1/admin/accounts").json()
    headers = {"Idempotency-Key": key}
    for path in ("accounts", "keys", "snapshots", "keys/OVX/rotate"):
        answer = admin.post(f"/v1/admin/{path}", json={"name": "x"}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, 40010001)
        assert "Idempotency-Key" in answer.json()["detail"]
    assert admin.get("/v1/admin/accounts").json() == before
    # These can be sent again anyway.
    path = "/v1/admin/instruments/ONCE"
    assert admin.put(path, json={}, headers=headers).status_code == 200
    assert admin.get(path, headers=headers).status_code == 200
