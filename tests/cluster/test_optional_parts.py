"""Optional parts of a release: administration over HTTP, tokens of an issuer, a recorded day."""

import gzip
import json
from collections.abc import Iterator

import httpx
import pytest
from alpaca.trading.client import TradingClient

from tests.cluster.cluster import TAG, Cluster, Namespace, eventually
from tests.cluster.test_network_policies import reaches, start_stranger
from tests.cluster.venue import InstalledVenue
from tests.market.test_day import MESSAGES
from tests.support import http
from tests.support.issuer import AUDIENCE, Issuer
from tests.support.metrics import total

ISSUER_URL = "http://issuer:8080"
READERS_TOKEN = "only-reads-0123456789"
ADMIN_PORT, OPERATIONS_PORT = 8003, 8001


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer(discovery={"issuer": ISSUER_URL, "jwks_uri": f"{ISSUER_URL}/keys"})


@pytest.fixture(scope="module")
def venue(
    cluster: Cluster, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InstalledVenue]:
    with cluster.namespace("optional-parts") as namespace:
        serve_issuer(namespace, issuer)
        start_stranger(namespace)
        namespace.kubectl(
            "create", "secret", "generic", "readers", f"--from-literal=desk={READERS_TOKEN}"
        )
        day = tmp_path_factory.mktemp("day") / "day.csv.gz"
        day.write_bytes(gzip.compress(MESSAGES.encode()))
        namespace.kubectl("create", "configmap", "lobster", f"--from-file={day}")
        made = InstalledVenue(namespace, "demo", TAG)
        made.install_operator(4)
        # The issuer has no certificate.
        name, value = "OPENVENUE_OIDC_ALLOW_HTTP", "yes"
        made.install(
            4,
            "admin.http.enabled=true",
            "admin.http.readersSecret=readers",
            "market.enabled=true",
            "market.day.configMap=lobster",
            "market.day.file=day.csv.gz",
            "market.day.symbol=AAPL",
            f"oidc.issuer={ISSUER_URL}",
            f"oidc.audience={AUDIENCE}",
            "networkPolicy.issuer.ports={8080}",
            f"api.extraEnv[1].name={name},api.extraEnv[1].value={value}",
            f"stream.extraEnv[0].name={name},stream.extraEnv[0].value={value}",
        )
        yield made


def serve_issuer(namespace: Namespace, issuer: Issuer) -> None:
    """Serve an issuer's documents in the namespace."""
    data = {
        "discovery": json.dumps(issuer.discovery),
        "keys": json.dumps({"keys": issuer.published}),
    }
    documents = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "issuer"},
        "data": data,
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "issuer"},
        "spec": {
            "selector": {"app.kubernetes.io/component": "issuer"},
            "ports": [{"port": 8080}],
        },
    }
    for made in (documents, service):
        namespace.kubectl("apply", "-f", "-", stdin=json.dumps(made))
    paths = {"discovery": ".well-known/openid-configuration", "keys": "keys"}
    items = [{"key": key, "path": path} for key, path in paths.items()]
    image = f"{namespace.cluster.registry}/openvenue:{TAG}"
    command = ["python", "-m", "http.server", "8080", "--directory", "/files"]
    namespace.start_pod("issuer", image, command, {"name": "issuer", "items": items})


def administration(venue: InstalledVenue, token: str) -> httpx.Client:
    """Return a client of administration over HTTP with a token."""
    return http.Client(
        base_url=f"http://{venue.address_of('admin')}:{ADMIN_PORT}/v1/admin",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )


def test_an_administrator_opens_an_account_that_trades(venue: InstalledVenue) -> None:
    token = venue.namespace.secret(f"{venue.name}-admin", "admin")
    with administration(venue, token) as admin:
        assert admin.get("/status").status_code == 200
        account = admin.post("/accounts", json={"name": "desk", "cash": "1000000"}).json()
        number = account["account_id"]
        once = {"Idempotency-Key": "first-deposit"}
        for _ in range(2):
            moved = admin.post(f"/accounts/{number}/deposits", json={"amount": "5"}, headers=once)
            assert (moved.status_code, moved.json()["cash"]) == (200, "1000005")
        key = admin.post("/keys", json={"account_id": number}).json()
    client = TradingClient(key["key_id"], key["secret"], url_override=venue.url)
    assert client.get_account().cash == "1000005"  # type: ignore[union-attr]


def test_a_reader_only_reads_and_a_stranger_does_not_get_there(venue: InstalledVenue) -> None:
    with administration(venue, READERS_TOKEN) as reader:
        assert reader.get("/accounts").json()["accounts"]
        assert reader.post("/accounts", json={"name": "x"}).status_code == 403
    with administration(venue, "x" * 20) as unknown:
        assert unknown.get("/accounts").status_code == 401
    assert not reaches(venue, "stranger", ("admin", ADMIN_PORT))


def test_a_token_of_the_issuer_acts_for_its_account(venue: InstalledVenue, issuer: Issuer) -> None:
    key = venue.open_account(900)
    token = issuer.token(key.account_id, iss=ISSUER_URL).token
    client = TradingClient(oauth_token=token, url_override=venue.url)
    assert client.get_account().account_number == str(key.account_id)  # type: ignore[union-attr]
    forged = Issuer().token(key.account_id, iss=ISSUER_URL).token
    headers = {"Authorization": f"Bearer {forged}"}
    assert http.get(f"{venue.url}/v2/account", headers=headers, timeout=10).status_code == 401


def test_the_recorded_day_is_traded_in_a_loop(venue: InstalledVenue) -> None:
    def laps() -> float:
        url = f"http://{venue.address_of('market')}:{OPERATIONS_PORT}/metrics"
        return total(http.get(url, timeout=10).text, "openvenue_market_day_laps_total")

    eventually("a second lap begins", lambda: laps() >= 2, timeout_s=120)
