"""The commands for a cluster in the documents run as written.

They are the fenced blocks tagged `sh cluster` and `python cluster`. The blocks of one document run
in one shell, in order, from the project's root, with `helm` and `kubectl` on the PATH; variables
that a document defines with a default are set to the test cluster's values. Blocks that need
something that a test lacks are named here with the reason.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.cluster.cluster import CHARTS, NEXT_TAG, TAG, Cluster, run
from tests.cluster.node.layout import BIN, ROOT

README = ROOT / "README.md"
INSTALL = ROOT / "docs/install.md"
TUNING = ROOT / "docs/tuning.md"
OPERATE = ROOT / "docs/operate.md"
BLOCK = re.compile(r"^```(sh|python) cluster\n(.*?)^```", re.MULTILINE | re.DOTALL)
VALUES = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)

# Beginnings of blocks that run elsewhere, with the reason.
NOT_HERE = {
    "k3d cluster create": "makes a cluster, with Docker",
    "kind create cluster": "makes a cluster, with Docker",
    "helm install openvenue-operator charts/openvenue-operator --wait\n": "install.md does it",
    "docker build": "the images are those that the tests have built",
    "kubectl delete customresourcedefinition": "others on the cluster may have Venues",
    "kubectl apply --filename - <<END\napiVersion: snapshot": "needs a driver with snapshots",
    "kubectl create secret generic venue-database": "needs a second database",
    "kubectl patch persistentvolumeclaim": "needs a storage class that allows expansion",
}

CURL = (
    "curl -fsS --retry 30 --retry-all-errors"
    ' -H "APCA-API-KEY-ID: $APCA_API_KEY_ID" -H "APCA-API-SECRET-KEY: $APCA_API_SECRET_KEY"'
)
LATE_ORDER = f"""\
{CURL} "$URL/v2/orders" -d '{{"symbol": "AMZN", "qty": "1", "side": "buy", "type": "limit",
  "time_in_force": "gtc", "limit_price": "1", "client_order_id": "after the backup"}}'
"""
ORDERS = f"""\
echo "ORDERS $({CURL} "$URL/v2/orders?status=all")"
"""
PLAN = """\
echo "PLAN $(kubectl get venue openvenue --output 'jsonpath={.status.plan}')"
"""


def script(document: Path) -> str:
    """Return the document's commands for a cluster as one shell script that traces itself."""
    parts = ["set -euo pipefail\n"]
    for language, code in BLOCK.findall(document.read_text()):
        reason = next((why for start, why in NOT_HERE.items() if code.startswith(start)), None)
        if reason is not None:
            first = code.splitlines()[0]
            print(f"not run here ({reason}): {first}")
        elif language == "python":
            parts.append(f"python - <<'END_OF_PROGRAM'\n{code}END_OF_PROGRAM\n")
        else:
            parts.append(code)
    return "".join(parts)


def kind_is_taken(cluster: Cluster) -> bool:
    """True if the kind `Venue` belongs to an existing release."""
    kind = ("customresourcedefinition", "venues.openvenue.dev", "--ignore-not-found", "-o", "json")
    found = cluster.kubectl("get", *kind)
    if not found:
        return False
    annotations = json.loads(found)["metadata"].get("annotations", {})
    release, namespace = (
        annotations.get(f"meta.helm.sh/release-{part}", "") for part in ("name", "namespace")
    )
    selector = f"--selector=owner=helm,name={release}"
    records = cluster.kubectl("get", "secrets", f"--namespace={namespace}", selector, "-o", "name")
    return bool(records)


class Shell:
    """Runs a document's commands against a cluster, writing into one directory."""

    def __init__(self, cluster: Cluster, directory: Path, namespace: str) -> None:
        self._directory = directory
        self._kind_is_taken = kind_is_taken(cluster)
        programs = directory / "bin"
        programs.mkdir()
        (programs / "helm").symlink_to(BIN / "helm4")
        (programs / "kubectl").symlink_to(BIN / "kubectl")
        # The commands choose a namespace in it.
        kubeconfig = directory / "kubeconfig"
        shutil.copy(cluster.kubeconfig, kubeconfig)
        ingress = urlsplit(cluster.ingress_url)
        # Names for curl and Python to look up, for these commands alone.
        host = f"{namespace}.test"
        (directory / "hosts").write_text(f"{ingress.hostname} {host}\n127.0.0.1 localhost\n")
        self.environment = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(directory),
            "KUBECONFIG": str(kubeconfig),
            "REGISTRY": cluster.registry,
            "TAG": TAG,
            "NEW_TAG": NEXT_TAG,
            "NAMESPACE": namespace,
            "HOST": host,
            "URL": f"{ingress.scheme}://{host}" + (f":{ingress.port}" if ingress.port else ""),
            "BACKUP": str(directory / "backup"),
            "SITUATION": str(directory / "situation.json"),
        }

    def run(self, commands: str) -> str:
        """Run commands and return their output. A failure shows it from the beginning."""
        if self._kind_is_taken:
            # As the document advises for a cluster whose operator should keep the kind.
            commands = commands.replace("--take-ownership", "--set crd.enabled=false")
        # Background processes end with the commands, even if these fail.
        private_names = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        if os.geteuid() != 0:
            private_names += ["--user", "--map-root-user"]
        done = subprocess.run(
            [
                *private_names, "bash", "-c",
                'mount --bind "$0" /etc/hosts && exec bash -xc "$1"',
                self._directory / "hosts", commands,
            ],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=900,
        )  # fmt: skip
        print(done.stdout)
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout


@pytest.fixture
def shell(cluster: Cluster, tmp_path: Path) -> Iterator[Shell]:
    """Yield a shell whose namespace is deleted afterwards, whatever the commands have left."""
    namespace = f"documents-{secrets.token_hex(3)}"
    try:
        yield Shell(cluster, tmp_path, namespace)
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s")


def test_from_nothing_to_an_order_through_the_ingress_a_plan_and_away_again(
    shell: Shell, cluster: Cluster
) -> None:
    installs, *uninstalls = script(INSTALL).partition("helm uninstall")
    waits, *plans = script(TUNING).partition("export SITUATION")
    said = shell.run("".join([installs, waits, PLAN, *plans, PLAN, *uninstalls]))
    assert '"status":"accepted"' in said.replace(" ", "")
    assert "OrderStatus.ACCEPTED" in said
    planned = run(["openvenue", "plan", "--situation", shell.environment["SITUATION"]])
    assert planned in said
    # The plan for the other spec.
    assert "\ntarget: 3 pods x " in said
    # The situation is of a reconciliation between the two.
    written = [json.loads(plan) for plan in re.findall(r"^PLAN (.*)$", said, re.MULTILINE)]
    assert always_written(yaml.safe_load(planned)) in [always_written(plan) for plan in written]
    namespaces = cluster.kubectl("get", "namespaces", "-o", "name").split()
    assert f"namespace/{shell.environment['NAMESPACE']}" not in namespaces


def always_written(plan: dict[str, Any]) -> tuple[Any, ...]:
    """Return the plan's fields that the status shows at once; figures follow at intervals."""
    worst_case, _, _limit = plan["worstCase"].rpartition(" of ")
    step, _, _times = plan["nextStep"].partition(", since ")
    return step, plan["target"], worst_case


def test_a_venue_is_upgraded_rolled_back_backed_up_restored_and_closed(shell: Shell) -> None:
    installs = script(INSTALL).partition("helm uninstall")[0]
    operates, opens, closes = script(OPERATE).rpartition("\nopen_journal\n")
    backs_up, removes, restores = operates.partition("open_journal\nkubectl exec journal -- rm")
    assert removes
    said = shell.run(
        f"{installs}{backs_up}{LATE_ORDER}{removes}{restores}\n{ORDERS}{opens}{closes}"
    )
    listed = json.loads(re.findall(r"^ORDERS (.*)$", said, re.MULTILINE)[0])
    # The orders of curl and of Python, by the same key and from rows that were rebuilt.
    assert sorted(order["status"] for order in listed) == ["canceled", "new"]


def test_the_values_for_production_are_values_of_the_chart(tmp_path: Path) -> None:
    (values,) = VALUES.findall(INSTALL.read_text())
    file = tmp_path / "values.yaml"
    file.write_text(values)
    kinds = (
        "openvenue.dev/v1alpha1/Venue",
        "postgresql.cnpg.io/v1/Cluster",
        "monitoring.coreos.com/v1/PodMonitor",
    )
    known = [option for kind in kinds for option in ("--api-versions", kind)]
    rendered = run(
        [str(BIN / "helm4"), "template", "demo", str(CHARTS / "openvenue"), "-f", str(file), *known]
    )
    for kind in ("kind: Cluster", "kind: PodMonitor", "kind: Ingress"):
        assert kind in rendered


def test_no_other_document_has_commands_for_a_cluster() -> None:
    documents = [README, *(ROOT / "docs").rglob("*.md")]
    have = {path for path in documents if BLOCK.search(path.read_text())}
    assert have == {README, INSTALL, TUNING, OPERATE}
    assert script(README) == "set -euo pipefail\n"


def test_every_exception_is_still_documented() -> None:
    documents = (README, INSTALL, TUNING, OPERATE)
    blocks = [code for path in documents for _, code in BLOCK.findall(path.read_text())]
    for start in NOT_HERE:
        assert any(code.startswith(start) for code in blocks), start
