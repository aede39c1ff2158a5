"""A venue that Helm installed, and what the tests ask of it."""

import json
from dataclasses import dataclass
from typing import Any

import httpx
from cluster import OPERATOR_CHART, VENUE_CHART, Namespace
from order_flow import Key

SYMBOL = "AAPL"
PAIR = "BTC/USD"
REPLAYED = "AMZN"

# So that several venues find room on a node of two processors.
SMALL = tuple(
    f"{component}.resources.requests.cpu=10m"
    for component in ("engine", "api", "projector", "jobs", "database.bundled")
)


@dataclass(frozen=True)
class InstalledVenue:
    """One release of the chart, and the namespace that it is in."""

    namespace: Namespace
    release: str
    tag: str

    @property
    def api(self) -> str:
        """The API's Deployment."""
        return f"deployment/{self.name}-api"

    @property
    def name(self) -> str:
        """What the names of the release's objects begin with."""
        return f"{self.release}-openvenue"

    @property
    def url(self) -> str:
        """Through the ingress."""
        return self.namespace.cluster.ingress_url

    def install_operator(self, helm: int, *values: str) -> None:
        """Install or upgrade the operator in the same namespace.

        The kind Venue stays when an operator is uninstalled: the next one takes it over.
        """
        chart = (str(OPERATOR_CHART), "--take-ownership")
        self._deploy(helm, "openvenue-operator", chart, f"image.tag={self.tag}", *values)

    def install(self, helm: int, *values: str) -> None:
        """Install or upgrade the venue and wait until it is ready."""
        settings = (
            "ingress.enabled=true",
            f"image.engine.tag={self.tag}",
            f"image.api.tag={self.tag}",
        )
        self._deploy(helm, self.release, (str(VENUE_CHART),), *settings, *SMALL, *values)

    def _deploy(self, helm: int, release: str, chart: tuple[str, ...], *values: str) -> None:
        registry = self.namespace.cluster.registry
        settings = [f"image.registry={registry}", *values]
        options = [part for value in settings for part in ("--set", value)]
        # Helm 4 has renamed it.
        atomic = "--atomic" if helm == 3 else "--rollback-on-failure"
        self.namespace.helm(
            helm,
            "upgrade",
            "--install",
            release,
            *chart,
            "--wait",
            atomic,
            "--timeout=4m",
            *options,
        )

    def command(self, *arguments: str) -> Any:
        """Run the venue's command line in a pod of the API and return its JSON."""
        said = self.namespace.kubectl(
            "exec", self.api, "-c", "api", "--", "openvenue", *arguments, "--json"
        )
        return json.loads(said)

    def define_instruments(self) -> None:
        """Define shares and a pair to trade."""
        self.command("instruments", "define", SYMBOL)
        self.command("instruments", "define", REPLAYED)
        self.command("instruments", "define", PAIR, "--class", "crypto", "--lot", "0.0001")

    def open_account(self, account_id: int) -> Key:
        """Open an account that may trade without bounds, and make it a key."""
        self.command(
            "accounts", "create", f"trader {account_id}", "--id", str(account_id),
            "--cash", "1000000000", "--may-sell-short",
        )  # fmt: skip
        key = self.command("keys", "create", str(account_id))
        return Key(account_id, key["key_id"], key["secret"])

    def database_url(self) -> str:
        """The database's URL, as it is reached from the host. Raises LookupError without one."""
        url = self.namespace.secret(f"{self.name}-database", "url")
        address = self.ready_pods("database")[0]["status"]["podIP"]
        return url.replace(f"{self.name}-database", address)

    def engine_target(self) -> str:
        """Where the engine's gRPC is reached from the host."""
        (pod,) = self.namespace.pods("engine")
        return f"{pod['status']['podIP']}:7070"

    def change_bounds(self, **api: Any) -> None:
        """Change what the Venue's spec says of the API."""
        patch = json.dumps({"spec": {"api": api}})
        self.namespace.kubectl("patch", "venue", self.name, "--type=merge", "-p", patch)

    def is_tuned(self) -> bool:
        """Whether the Venue says, of its spec as it is now, that its target runs."""
        venue = self.namespace.get("venue", self.name)
        generation = venue["metadata"]["generation"]
        return any(
            one["type"] == "Tuned"
            and one["status"] == "True"
            and one["observedGeneration"] == generation
            for one in venue.get("status", {}).get("conditions", [])
        )

    def ready_pods(self, component: str) -> list[dict[str, Any]]:
        """Pods of a component that are ready and are to stay."""
        return [
            pod
            for pod in self.namespace.pods(component)
            if "deletionTimestamp" not in pod["metadata"] and _is_ready(pod)
        ]

    def ready(self) -> bool:
        """Whether the API takes orders, as seen through the ingress."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
