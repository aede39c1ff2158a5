"""A whole venue of the images, in one network: it trades, stops and starts again."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.images.image import Container, Image, Pod
from tests.support.admin_access import NAME, TOKEN

PASSWORD = "it's a % secret/@"
DATABASE_URL = "postgresql://trader:it%27s%20a%20%25%20secret%2F%40@127.0.0.1:5432/venue"
ENVIRONMENT = {
    "OPENVENUE_DATABASE_URL": DATABASE_URL,
    "OPENVENUE_ENGINE_TARGET": "127.0.0.1:7070",
    # The containers share a network.
    "OPENVENUE_PROJECTOR_HTTP_PORT": "8002",
}
START_TIMEOUT_S = 60.0

FETCH = """
import json, sys, urllib.request, urllib.error

method, url, headers, body = sys.argv[1:]
request = urllib.request.Request(url, body.encode() or None, json.loads(headers), method=method)
try:
    answer = urllib.request.urlopen(request, timeout=5)
except urllib.error.HTTPError as error:
    answer = error
except OSError as error:
    print("0", error)
    raise SystemExit
print(answer.status, answer.read().decode())
"""


class Venue:
    """The pod's containers, and a user's requests to them."""

    def __init__(self, pod: Pod, api: Image, engine: Image, postgres: Image, data: Path) -> None:
        self.pod = pod
        self._images = (api, engine, postgres)
        self._data = data
        self.database = self.start_database()
        self.engine = self.start_engine()

    def start_database(self, *options: str) -> Container:
        secret = self._data / "secret"
        secret.mkdir(exist_ok=True)
        (secret / "password").write_text(PASSWORD)
        return self.pod.start(
            self._images[2],
            "-c",
            "max_connections=23",
            environment={
                "POSTGRES_USER": "trader",
                "POSTGRES_DB": "venue",
                "POSTGRES_PASSWORD_FILE": "/secret/password",
                "PGDATA": "/var/lib/postgresql/data/pgdata",
            },
            volumes={
                "/secret": secret,
                "/var/run/postgresql": self._data / "sockets",
                "/var/lib/postgresql/data": self._data / "database",
            },
        )

    def start_engine(self) -> Container:
        volumes = {"/var/lib/openvenue": self._data / "journal", **self._tokens()}
        tokens = {"OPENVENUE_ENGINE_ADMIN_TOKENS": "/tokens"}
        return self.pod.start(self._images[1], environment=tokens, volumes=volumes)

    def _tokens(self) -> dict[str, Path]:
        tokens = self._data / "tokens"
        tokens.mkdir(exist_ok=True)
        (tokens / NAME).write_text(TOKEN)
        return {"/tokens": tokens}

    def start(self, module: str) -> Container:
        """Start one of the Python processes."""
        return self.pod.start(self._images[0], "python", "-m", module, environment=ENVIRONMENT)

    def command(self, *arguments: str) -> Any:
        """Run `openvenue` and return its JSON."""
        token = {"OPENVENUE_ENGINE_ADMIN_TOKEN_FILE": f"/tokens/{NAME}"}
        said = self.pod.run(
            self._images[0],
            "openvenue",
            *arguments,
            "--json",
            environment={**ENVIRONMENT, **token},
            volumes=self._tokens(),
        )
        return json.loads(said)

    def query(self, statement: str) -> str:
        """Query the database."""
        return self.pod.run(self._images[2], "psql", DATABASE_URL, "-Atc", statement).strip()

    def fetch(
        self, url: str, key: dict[str, str] | None = None, body: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Send an HTTP request; status 0 if there is no answer."""
        headers = {}
        if key is not None:
            headers = {"APCA-API-KEY-ID": key["key_id"], "APCA-API-SECRET-KEY": key["secret"]}
        said = self.pod.run(
            self._images[0], "python", "-c", FETCH, "POST" if body else "GET", url,
            json.dumps(headers), json.dumps(body) if body else "",
        )  # fmt: skip
        status, _, text = said.partition(" ")
        return int(status), text

    def wait_until_ready(self, url: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        answer: tuple[int, str] = (0, "")
        while answer[0] != 200:
            assert time.monotonic() < deadline, f"{url}: {answer}"
            answer = self.fetch(url)


@pytest.fixture
def venue(pod: Pod, api: Image, engine: Image, postgres: Image, tmp_path: Path) -> Venue:
    return Venue(pod, api, engine, postgres, tmp_path)


def test_a_venue_of_the_images_trades_stops_and_comes_back(venue: Venue) -> None:
    # The database is still being created when the migration begins.
    assert venue.command("migrate")["outcome"] == "migrated"
    server = venue.start("openvenue.server")
    projector = venue.start("openvenue.projector")
    for url in ("http://127.0.0.1:8001/readyz", "http://127.0.0.1:8002/readyz"):
        venue.wait_until_ready(url)
    assert venue.fetch("http://127.0.0.1:7071/metrics")[0] == 200

    venue.command("instruments", "define", "AAPL")
    venue.command("accounts", "create", "trader", "--id", "1", "--cash", "100000")
    key = venue.command("keys", "create", "1")
    order = {
        "symbol": "AAPL",
        "qty": "1",
        "side": "buy",
        "type": "limit",
        "limit_price": "10",
        "time_in_force": "gtc",
    }
    status, answer = venue.fetch("http://127.0.0.1:8000/v2/orders", key, order)
    assert status == 200, answer

    for container in (server, projector, venue.engine):
        assert container.stop() == 0, container.errors
    venue.start_engine()
    restarted = venue.start("openvenue.server")
    venue.wait_until_ready("http://127.0.0.1:8001/readyz")
    status, orders = venue.fetch("http://127.0.0.1:8000/v2/orders?status=open", key)
    assert status == 200
    assert [one["id"] for one in json.loads(orders)] == [json.loads(answer)["id"]]
    for container in (server, restarted, projector):
        assert PASSWORD not in container.output + container.errors


def test_the_database_takes_its_options_and_stays_when_it_starts_again(venue: Venue) -> None:
    venue.command("migrate")
    assert venue.query("SHOW max_connections") == "23"
    assert venue.database.stop() == 0
    again = venue.start_database()
    assert venue.command("migrate")["outcome"] == "nothing to do"
    assert "ready to accept connections" in again.errors


def test_a_database_without_a_password_refuses_to_be_made(
    pod: Pod, postgres: Image, tmp_path: Path
) -> None:
    database = pod.start(postgres, volumes={"/var/lib/postgresql/data": tmp_path / "data"})
    assert database.wait() == 1
    assert "POSTGRES_PASSWORD" in database.errors
