"""This version's code works on the schema of a later version.

In a rollout, a later version's migration runs beside this version's processes, and after a rollback
they start on its schema. It only expands (docs/extend.md, "Changing the schema"), so everything
must continue: each table has more columns, also before those that this code knows, and the tests
execute each query, insert and COPY of this code on it.
"""

import itertools
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from openvenue.db import migrate
from openvenue.db.schema import RequiredSchema
from openvenue.db.tables import metadata
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.security.keys import NewKey
from openvenue.settings import Settings
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.ext.asyncio import create_async_engine

from tests.cli.command_line import Result, openvenue
from tests.projector.flow import projected_tables, wait_until_projected
from tests.support.venue import INSTRUMENTS, ROOT, START_TIMEOUT_S, Venue, run_apart
from tests.support.waiting import wait_for

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "later"
down_revision = {head!r}

def upgrade():
    partitioned = kind("relkind = 'p'")
    for table in sa.inspect(op.get_bind()).get_table_names():
        if table != "alembic_version" and table not in kind("relispartition"):
            expand(table, table in partitioned)
    op.create_table("later_things", sa.Column("later_id", sa.BigInteger(), primary_key=True))

def kind(condition):
    return set(op.get_bind().scalars(sa.text(f"SELECT relname FROM pg_class WHERE {{condition}}")))
"""

# Each table in its own transactions, as a migration beside trading must do it.
ADD_COLUMNS = """
def expand(table, partitioned):
    op.add_column(table, sa.Column("later_note", sa.Text()))
    mark = sa.Column("later_mark", sa.BigInteger(), server_default="7", nullable=False)
    op.add_column(table, mark)
    with op.get_context().autocommit_block():
        index = f"{table}_later_idx"
        beside_trading = {} if partitioned else {"postgresql_concurrently": True}
        op.create_index(index, table, ["later_mark"], **beside_trading)
"""

# PostgreSQL adds columns behind the existing ones, so tables with one in front are made anew.
MAKE_TABLES_ANEW = """
def expand(table, partitioned):
    listed = sa.inspect(op.get_bind()).get_columns(table)
    columns = ", ".join(column["name"] for column in listed)
    triggers = op.get_bind().scalars(sa.text(
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger "
        f"WHERE tgrelid = '{table}'::regclass AND NOT tgisinternal"
    )).all()
    op.execute(
        "CREATE TABLE later (later_note text, later_mark bigint NOT NULL DEFAULT 7, "
        f"LIKE {table} INCLUDING ALL)" + (" PARTITION BY " + op.get_bind().scalar(sa.text(
            f"SELECT pg_get_partkeydef('{table}'::regclass)"
        )) if partitioned else "")
    )
    op.execute(f"INSERT INTO later ({columns}) SELECT {columns} FROM {table}")
    op.execute(f"DROP TABLE {table}")
    op.execute(f"ALTER TABLE later RENAME TO {table}")
    for trigger in triggers:
        op.execute(trigger)
"""

_numbers = itertools.count(1)


@pytest.fixture
def run_later_migration(tmp_path: Path) -> Callable[[Venue, str], None]:
    """Return a function that migrates a venue's database to a later version's schema."""

    def run(venue: Venue, expand: str) -> None:
        scripts = tmp_path / "alembic"
        shutil.copytree(ROOT / "alembic", scripts)
        revision = REVISION.format(head=RequiredSchema(venue.settings).revision) + expand
        (scripts / "versions/later.py").write_text(revision)
        url = SecretStr(venue.database_url)
        migrate.upgrade(Settings(database_url=url, migrations_dir=scripts))

    return run


def test_a_later_version_expands_the_schema_beside_this_one_which_also_starts_on_it(
    new_venue: Callable[..., Venue], run_later_migration: Callable[[Venue, str], None]
) -> None:
    venue = new_venue().start()
    keys = [open_account(venue) for _ in range(2)]
    trade(venue, *keys)
    with ThreadPoolExecutor(1) as thread:
        migrating = thread.submit(run_later_migration, venue, ADD_COLUMNS)
        while not migrating.done():
            trade(venue, *keys)
        migrating.result()
    use(venue)

    for process in (venue.api, venue.projector):
        assert process is not None
        assert process.stop() == 0
    migrated = run_command(venue, "migrate", "--json").data
    assert migrated["schema"] == "later"
    assert "newer version" in migrated["outcome"]
    venue.start_projector()
    venue.start_api()
    use(venue)
    rebuild(venue)


def test_this_version_names_columns_so_that_their_order_does_not_matter(
    new_venue: Callable[..., Venue], run_later_migration: Callable[[Venue, str], None]
) -> None:
    venue = new_venue()
    run_later_migration(venue, MAKE_TABLES_ANEW)
    venue.start()
    use(venue)
    rebuild(venue)


def use(venue: Venue) -> None:
    """Read and write all tables: instruments, accounts, keys, trading and its history."""
    terms = pb.DefineInstrument()
    terms.CopyFrom(INSTRUMENTS[0])
    terms.name = f"Apple Inc., {next(_numbers)}"
    venue.apply(pb.AdminRequest(define_instrument=terms))
    seller, buyer = open_account(venue), open_account(venue)
    create = ("keys", "create", str(buyer.account_id), "--label", "second", "--json")
    made = run_command(venue, *create).data
    second = NewKey(made["key_id"], made["secret"], buyer.account_id, "second", made["scopes"])
    trade(venue, seller, second)

    run_command(venue, "keys", "revoke", second.key_id)
    listed = run_command(venue, "keys", "list", "--account", str(buyer.account_id), "--json").data
    assert [(key["label"], key["revoked_at"] is None) for key in listed] == [
        ("test", True),
        ("second", False),
    ]
    wait_until_refused(venue, second)
    with venue.client(buyer) as client:
        assert client.get("/v2/account").status_code == 200
        for changed in (True, False):
            answer = client.patch("/v2/account/configurations", json={"no_shorting": changed})
            assert answer.json()["no_shorting"] is changed
            assert client.get("/v2/account/configurations").json() == answer.json()
        body = {"name": "mine", "symbols": ["AAPL"]}
        made = client.post("/v2/watchlists", json=body).json()
        path = f"/v2/watchlists/{made['id']}"
        assert client.put(path, json={"name": "yours"}).json()["assets"] == made["assets"]
        assert [one["name"] for one in client.get("/v2/watchlists").json()] == ["yours"]
        assert client.delete(path).status_code == 204
        shown = client.get("/v2/account/activities").json()
        assert {one["activity_type"] for one in shown} == {"FILL", "CSD"}
    assert run_command(venue, "status", "--json").data["projected_sequence"] > 0
    projected = run_apart(rows(venue))
    names = {row["instrument_id"]: row["name"] for row in projected["instruments"]}
    assert names[terms.instrument_id] == terms.name
    bought = {row["account_id"]: row["qty"] for row in projected["positions"]}
    assert (bought[seller.account_id], bought[buyer.account_id]) == (-12, 12)


def trade(venue: Venue, seller: NewKey, buyer: NewKey) -> None:
    """Fill an order in part, replace it, fill it, and cancel another; read the results.

    Every step is projected before the next, so the next changes existing rows.
    """
    with venue.client(seller) as selling, venue.client(buyer) as buying:
        cash = float(buying.get("/v2/account").json()["cash"])
        first = enter(selling, side="sell", qty="10")
        enter(buying, side="buy", qty="4")
        assert history(venue, selling, 1) == [("partially_filled", "4")]
        replaced = selling.patch(f"/v2/orders/{first}", json={"qty": "12"})
        assert replaced.status_code == 200, replaced.text
        assert history(venue, selling, 2)[1] == ("replaced", "4")
        enter(buying, side="buy", qty="8")
        last = enter(selling, side="sell", qty="1")
        assert history(venue, selling, 1) == [("new", "0")]
        assert selling.delete(f"/v2/orders/{last}").status_code == 204
        expected = [("canceled", "0"), ("filled", "12"), ("replaced", "4")]
        assert history(venue, selling, 3) == expected
        assert history(venue, buying, 2) == [("filled", "8"), ("filled", "4")]
        # The history is searched for orders that the engine does not know.
        unknown = {"client_order_id": "nobody's"}
        assert buying.get("/v2/orders:by_client_order_id", params=unknown).status_code == 404
        assert float(buying.get("/v2/account").json()["cash"]) == cash - 120


def enter(client: httpx.Client, **terms: str) -> str:
    """Enter a limit order and return its id."""
    order = {"symbol": "AAPL", "type": "limit", "time_in_force": "gtc", "limit_price": "10"}
    response = client.post("/v2/orders", json={**order, **terms})
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


def history(venue: Venue, client: httpx.Client, limit: int) -> list[tuple[str, str]]:
    """Return status and filled quantity of the newest orders, newest first, once projected.

    Only a projection that is behind may delay the reading.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    wanted: dict[str, Any] = {"status": "all", "limit": limit}
    while (listed := client.get("/v2/orders", params=wanted)).status_code == 503:
        assert "your latest change is" in listed.text
        assert time.monotonic() < deadline, f"no projection; see {venue.directory}/*.log"
    assert listed.status_code == 200, listed.text
    return [(order["status"], order["filled_qty"]) for order in listed.json()]


def rebuild(venue: Venue) -> None:
    """Rebuild the projection, which must give the same rows."""
    durable = run_command(venue, "status", "--json").data["durable_sequence"]
    run_apart(wait_until_projected(venue.database_url, durable))
    before = run_apart(rows(venue))
    assert all(before.values())
    run_command(venue, "projector", "rebuild")
    assert run_apart(rows(venue)) == before


async def rows(venue: Venue) -> dict[str, list[dict[str, Any]]]:
    """Return the columns that this version knows of every projected row."""
    engine = create_async_engine(venue.database_url)
    found = {}
    async with engine.connect() as connection:
        for name in projected_tables():
            table = metadata.tables[name]
            query = select(table).order_by(*table.primary_key)
            found[name] = [dict(row) for row in (await connection.execute(query)).mappings()]
    await engine.dispose()
    return found


def open_account(venue: Venue) -> NewKey:
    return venue.open_account(next(_numbers), may_sell_short=True)


def run_command(venue: Venue, *arguments: str) -> Result:
    """Run a command of this version against the venue; it must succeed."""
    variables = {
        "OPENVENUE_DATABASE_URL": venue.database_url,
        "OPENVENUE_ENGINE_TARGET": f"127.0.0.1:{venue.engine_port}",
        **venue.admin.environment,
    }
    done = openvenue(*arguments, data_dir=venue.directory, variables=variables)
    assert done.exit_code == 0, done.errors
    return done


def wait_until_refused(venue: Venue, key: NewKey) -> None:
    with venue.client(key) as client:
        wait_for(lambda: client.get("/v2/account").status_code == 401)
