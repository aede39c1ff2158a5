"""A venue that Helm installed, and the tests' queries of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.cluster.cluster import CHARTS, Namespace
from tests.cluster.order_flow import Key
from tests.support import http

SYMBOL = "AAPL"
PAIR = "BTC/USD"

# Rollouts take as long as pods take to stop. The ingress controller here learns of it within 3 s.
QUICK = (
    "api.shutdown.noticeSeconds=12",  # Until the ingress of a busy machine knows.
    "api.shutdown.drainSeconds=3",
    "api.engineReplyTimeoutSeconds=3",
)
# Readers wait longer for their writes than the venue's default second: test machines are slow.
_PROJECTION_WAIT = {"name": "OPENVENUE_PROJECTION_WAIT_MS", "value": "10000"}
_OPERATOR = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "openvenue-operator"}}}


@dataclass(frozen=True)
class InstalledVenue:
    """One release of the chart, and its namespace."""

    namespace: Namespace
    release: str
    tag: str
    charts: Path = CHARTS

    @property
    def api(self) -> str:
        """Name of the API's Deployment."""
        return f"deployment/{self.name}-api"

    @property
    def name(self) -> str:
        """Prefix of the names of the release's objects."""
        return f"{self.release}-openvenue"

    @property
    def administration(self) -> str:
        """Name of the Deployment for administration."""
        return f"{self.name}-admin"

    @property
    def url(self) -> str:
        """URL through the ingress."""
        return self.namespace.cluster.ingress_url

    def install_operator(self, helm: int, *values: str) -> None:
        """Install or upgrade the operator in the same namespace.

        The kind Venue outlives an uninstalled operator: the next one takes it over.
        """
        settings = {
            "image": {"registry": self.namespace.cluster.registry, "tag": self.tag},
            "networkPolicy": {"metricsFrom": [self._tests]},
        }
        chart = (str(self.charts / "openvenue-operator"), "--take-ownership")
        self._deploy(helm, "openvenue-operator", chart, settings, *values)

    def install(self, helm: int, *values: str, atomic: bool = False, timeout_s: int = 240) -> None:
        """Install or upgrade the venue and wait until it is ready.

        `atomic`: a failure is rolled back, and leaves nothing to inspect.
        """
        chart: tuple[str, ...] = (str(self.charts / "openvenue"), f"--timeout={timeout_s}s")
        if atomic:
            # Helm 4 has renamed the option.
            chart += ("--atomic" if helm == 3 else "--rollback-on-failure",)
        self._deploy(helm, self.release, chart, self._settings(), *values)

    @property
    def _tests(self) -> dict[str, Any]:
        """Return the tests as a network policy's peer."""
        return {"ipBlock": {"cidr": self.namespace.cluster.tests_cidr}}

    def _settings(self) -> dict[str, Any]:
        # Small requests, so that several venues fit on a node of two processors.
        small = {"resources": {"requests": {"cpu": "10m"}}}
        return {
            "ingress": {"enabled": True},
            "image": {
                "registry": self.namespace.cluster.registry,
                "engine": {"tag": self.tag},
                "api": {"tag": self.tag},
            },
            "engine": small,
            "api": {**small, "extraEnv": [_PROJECTION_WAIT]},
            "projector": small,
            "stream": small,
            "market": small,
            "admin": small,
            "jobs": small,
            "database": {"bundled": small},
            "networkPolicy": {
                "operatorFrom": [_OPERATOR, self._tests],
                "metricsFrom": [self._tests],
                "adminFrom": [self._tests],
                "databaseFrom": [self._tests],
            },
        }

    def _deploy(
        self,
        helm: int,
        release: str,
        chart: tuple[str, ...],
        settings: dict[str, Any],
        *values: str,
    ) -> None:
        options = [part for value in values for part in ("--set", value)]
        self.namespace.helm(
            helm, "upgrade", "--install", release, *chart, "--wait", "--values=-", *options,
            stdin=json.dumps(settings),
        )  # fmt: skip

    def command(self, *arguments: str) -> Any:
        """Run the venue's command line in the pod for administration and return its JSON."""
        said = self.namespace.kubectl(
            "exec", f"deployment/{self.administration}", "--", "openvenue", *arguments, "--json"
        )
        return json.loads(said)

    def define_instruments(self) -> None:
        """Define a share and a pair to trade."""
        self.command("instruments", "define", SYMBOL)
        self.command("instruments", "define", PAIR, "--class", "crypto", "--lot", "0.0001")

    def open_account(self, account_id: int) -> Key:
        """Open an account without limits, and create a key for it."""
        self.command(
            "accounts", "create", f"trader {account_id}", "--id", str(account_id),
            "--cash", "1000000000", "--may-sell-short",
        )  # fmt: skip
        key = self.command("keys", "create", str(account_id))
        return Key(account_id, key["key_id"], key["secret"])

    def database_url(self) -> str:
        """Return the database's URL from the host. Raises LookupError without one."""
        url = self.namespace.secret(f"{self.name}-database", "url")
        return url.replace(f"{self.name}-database", self.address_of("database"))

    def address_of(self, component: str) -> str:
        """Return the address of a ready pod of a component. Raises IndexError if none is ready."""
        return str(self.ready_pods(component)[0]["status"]["podIP"])

    def engine_target(self) -> str:
        """Return the address of the engine's gRPC from the host."""
        (pod,) = self.namespace.pods("engine")
        return f"{pod['status']['podIP']}:7070"

    def change_bounds(self, **api: Any) -> None:
        """Change the bounds of the API in the Venue's spec."""
        patch = json.dumps({"spec": {"api": api}})
        self.namespace.kubectl("patch", "venue", self.name, "--type=merge", "-p", patch)

    def is_tuned(self) -> bool:
        """True if the Venue reports, for its present spec, that its target runs."""
        venue = self.namespace.get("venue", self.name)
        generation = venue["metadata"]["generation"]
        return any(
            one["type"] == "Tuned"
            and one["status"] == "True"
            and one["observedGeneration"] == generation
            for one in venue.get("status", {}).get("conditions", [])
        )

    def runs(self) -> tuple[int, int]:
        """Return workers per pod and connections per worker, as the Venue reports them."""
        api = self.namespace.get("venue", self.name)["status"]["api"]
        size, overflow = map(int, api["pool"].split("+"))
        return int(api["workers"]), size + overflow

    def ready_pods(self, component: str) -> list[dict[str, Any]]:
        """Return pods of a component that are ready and not terminating."""
        return [
            pod
            for pod in self.namespace.pods(component)
            if "deletionTimestamp" not in pod["metadata"] and _is_ready(pod)
        ]

    def ready(self) -> bool:
        """True if the ingress leads to the API, and a pod of it takes orders."""
        try:
            operations = f"http://{self.address_of('api')}:8001/readyz"
            urls = (f"{self.url}/healthz", operations)
            return all(http.get(url, timeout=5).status_code == 200 for url in urls)
        except (httpx.TransportError, IndexError):
            return False


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
