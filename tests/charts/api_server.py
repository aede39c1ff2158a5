"""A Kubernetes API server on loopback, with etcd behind it and nobody who carries anything out.

Enough to hear what Kubernetes itself says of the charts' objects, and to see what Helm does to
them, within seconds: nothing runs.
"""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from chart import DEFINITIONS, PROGRAMS
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_TOKEN = "charts"
_START_TIMEOUT_S = 90.0


class ApiServer:
    """One that answers."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig

    def kubectl(
        self, *arguments: str | Path, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, whatever comes of it."""
        return self._run("kubernetes", ("kubectl", *arguments), given)

    def helm(self, helm: str, *arguments: str | Path) -> str:
        """Run Helm; fails the test where Helm does."""
        done = self._run(helm, arguments, None)
        assert done.returncode == 0, f"{helm} {' '.join(map(str, arguments))}: {done.stderr}"
        return done.stdout

    def get(self, namespace: str, kind: str, name: str = "") -> dict[str, Any]:
        """An object, or the list of all of a kind."""
        done = self.kubectl(
            "get", "--namespace", namespace, kind, *([name] if name else []), "-o=json"
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def create_namespace(self, name: str) -> str:
        """A namespace under the restricted pod-security profile."""
        label = {"pod-security.kubernetes.io/enforce": "restricted"}
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": label},
        }
        done = self.kubectl("create", "-f=-", given=json.dumps(namespace))
        assert done.returncode == 0, done.stderr
        return name

    def _run(
        self, program: str, arguments: tuple[str | Path, ...], given: str | None
    ) -> subprocess.CompletedProcess[str]:
        # Nothing of the user's own settings of Helm and kubectl.
        environment = {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.kubeconfig.parent)}
        return subprocess.run(
            [PROGRAMS / program, *arguments],
            input=given,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )


@contextmanager
def api_server(directory: Path) -> Iterator[ApiServer]:
    """Start one that knows the kinds which the charts render, and stop it in the end."""
    port, etcd_port, peer_port = _free_ports(3)
    kubeconfig = _prepare(directory, port)
    server = ApiServer(kubeconfig)
    key = directory / "service-accounts.key"
    with ExitStack() as stack:
        stack.enter_context(
            _running(
                directory / "etcd.log",
                "etcd",
                f"--data-dir={directory / 'etcd'}",
                "--unsafe-no-fsync",
                f"--listen-client-urls=http://127.0.0.1:{etcd_port}",
                f"--advertise-client-urls=http://127.0.0.1:{etcd_port}",
                f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}",
                f"--initial-cluster=default=http://127.0.0.1:{peer_port}",
            )
        )
        process = stack.enter_context(
            _running(
                directory / "kube-apiserver.log",
                "kubernetes",
                "kube-apiserver",
                f"--etcd-servers=http://127.0.0.1:{etcd_port}",
                "--bind-address=127.0.0.1",
                f"--secure-port={port}",
                f"--cert-dir={directory / 'certificates'}",
                f"--token-auth-file={directory / 'tokens.csv'}",
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                "--service-cluster-ip-range=198.19.0.0/24",
                "--endpoint-reconciler-type=none",
            )
        )
        _wait(server, process, directory / "kube-apiserver.log")
        _define(server)
        yield server


def _prepare(directory: Path, port: int) -> Path:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (directory / "service-accounts.key").write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    (directory / "tokens.csv").write_text(f"{_TOKEN},admin,admin,system:masters\n")
    cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "charts",
        "clusters": [{"name": "charts", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": _TOKEN}}],
        "contexts": [{"name": "charts", "context": {"cluster": "charts", "user": "admin"}}],
    }
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig))
    path.chmod(0o600)
    return path


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def _running(log: Path, program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen([PROGRAMS / program, *arguments], stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(server: ApiServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while server.kubectl("get", "--raw=/readyz").returncode != 0:
        assert process.poll() is None, f"the API server ended: {log.read_text()[-2000:]}"
        assert time.monotonic() < deadline, f"no API server: {log.read_text()[-2000:]}"
        time.sleep(0.2)


def _define(server: ApiServer) -> None:
    """Make the kinds known that come from elsewhere, whatever is in them."""
    definitions = [_definition(*each.split("/")) for each in DEFINITIONS]
    listed = {"apiVersion": "v1", "kind": "List", "items": definitions}
    done = server.kubectl("create", "-f=-", given=json.dumps(listed))
    assert done.returncode == 0, done.stderr
    names = [f"crd/{each['metadata']['name']}" for each in definitions]
    done = server.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    assert done.returncode == 0, done.stderr


def _definition(group: str, version: str, kind: str) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    # Of groups that Kubernetes protects it wants to know who approved of them.
    approval = {"api-approved.kubernetes.io": "unapproved, for tests"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": approval},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": anything},
                    "subresources": {"status": {}},
                }
            ],
        },
    }
