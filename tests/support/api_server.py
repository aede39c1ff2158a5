"""A real Kubernetes API server on etcd, on loopback: objects, admission and access rules, no nodes.

Pods are objects whose status a test writes. The audit log has every call with its user and result.
The programs are those of the cluster tests (tests/cluster/parts/build).
"""

import json
import os
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("OPENVENUE_CLUSTER_BIN") or ROOT / ".cache/cluster/bin")
START_TIMEOUT_S = 60.0
ADMIN = "admin"


_PATHS = {
    "configmap": "/api/v1/namespaces/{namespace}/configmaps",
    "pod": "/api/v1/namespaces/{namespace}/pods",
    "deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "lease": "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases",
    "venue": "/apis/openvenue.dev/v1alpha1/namespaces/{namespace}/venues",
}


class Call(NamedTuple):
    """A call of the API, from the audit log."""

    user: str
    verb: str
    resource: str
    """`plural.group/subresource`; empty if it is no resource."""
    namespace: str
    name: str
    status: int

    @property
    def writes(self) -> bool:
        return self.verb not in ("get", "list", "watch")


def missing_programs() -> str | None:
    """Return why an API server cannot be started here, or None."""
    missing = [name for name in ("etcd", "kubernetes") if not (BIN / name).exists()]
    return f"{BIN} lacks {', '.join(missing)}: run tests/cluster/parts/build" if missing else None


@dataclass
class ApiServer:
    """etcd and kube-apiserver; `users` may log in by name, beside the administrator."""

    directory: Path
    users: Sequence[str] = ()
    port: int = 0
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _audited_bytes: int = 0

    @contextmanager
    def running(self) -> Iterator["ApiServer"]:
        """Start both, and end them with the context."""
        self._write_credentials()
        self.port, etcd_port, peer_port = (free_port() for _ in range(3))
        self._etcd = f"http://127.0.0.1:{etcd_port}"
        self._peer = f"http://127.0.0.1:{peer_port}"
        try:
            self._start_etcd()
            self.start()
            yield self
        finally:
            self.stop()
            self._stop("etcd")

    def start(self) -> None:
        """Start the API server on its former port, and wait until it serves."""
        self._spawn("kube-apiserver", self._command())
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                answer = self.ask("GET", "/readyz")
                if answer.status_code == 200:
                    return
                said = answer.text
            except httpx.TransportError as error:
                said = repr(error)
            assert self._processes["kube-apiserver"].poll() is None, f"ended: {self._log()}"
            assert time.monotonic() < deadline, f"not ready ({said}): {self._log()}"
            time.sleep(0.1)

    def stop(self) -> None:
        """End the API server; its data stays."""
        self._stop("kube-apiserver")

    def pause(self) -> None:
        """Stop it from working until `resume`."""
        self._processes["kube-apiserver"].send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it continue."""
        self._processes["kube-apiserver"].send_signal(signal.SIGCONT)

    def kubeconfig(self, user: str = ADMIN, port: int | None = None) -> Path:
        """Return a kubeconfig file of a user; `port` replaces the server's own."""
        path = self.directory / f"{user.replace(':', '-')}-{port}.kubeconfig"
        # YAML is a superset of JSON.
        cluster = {
            "server": f"https://127.0.0.1:{port}" if port else self.url,
            "certificate-authority": str(self._ca),
        }
        context = {"cluster": "test", "user": "test"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": _token(user)}}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }
        # By renaming, because calls of other threads may be reading it.
        with tempfile.NamedTemporaryFile("w", dir=self.directory, delete=False) as file:
            json.dump(config, file)
        Path(file.name).rename(path)
        return path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, user: str = ADMIN, **how: Any) -> httpx.Response:
        """Make one call, repeating it while the server is not ready for it."""
        headers = {"Authorization": f"Bearer {_token(user)}", **how.pop("headers", {})}
        deadline = time.monotonic() + 30
        while True:
            answer = self._client.request(method, path, headers=headers, **how)
            # The storage of a newly defined kind begins with this status.
            if answer.status_code != 429 or time.monotonic() > deadline:
                return answer
            time.sleep(0.5)

    @cached_property
    def _client(self) -> httpx.Client:
        """Keeps its connections, because a handshake costs more than a request."""
        context = ssl.create_default_context(cafile=self._ca)
        return httpx.Client(base_url=self.url, verify=context, timeout=10)

    def get(self, kind: str, name: str, namespace: str) -> Any:
        """Return an object, None if there is none; kubectl would take a second of a processor."""
        answer = self.ask("GET", f"{_PATHS[kind].format(namespace=namespace)}/{name}")
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        return answer.json()

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as the administrator and return its output."""
        done = subprocess.run(
            [str(BIN / "kubernetes"), "kubectl", f"--kubeconfig={self.kubeconfig()}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects as `kubectl apply` does."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(listed))

    def new_calls(self, user: str) -> list[Call]:
        """Return the calls of a user that ended since the last time."""
        log = self.directory / "audit.log"
        with log.open("rb") as file:
            file.seek(self._audited_bytes)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._audited_bytes += len(whole)
        calls = (_call(json.loads(line)) for line in whole.splitlines())
        return [call for call in calls if call.user == user]

    def _command(self) -> list[str]:
        return [
            str(BIN / "kubernetes"),
            "kube-apiserver",
            f"--etcd-servers={self._etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            # No Endpoints for the Service `kubernetes`, because they must not be loopback
            # addresses.
            "--endpoint-reconciler-type=none",
            f"--cert-dir={self.directory}",
            f"--tls-cert-file={self.directory / 'server.crt'}",
            f"--tls-private-key-file={self.directory / 'server.key'}",
            f"--token-auth-file={self.directory / 'tokens.csv'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.directory / 'accounts.pub'}",
            f"--service-account-signing-key-file={self.directory / 'accounts.key'}",
            "--authorization-mode=RBAC",
            # No controller makes the ServiceAccounts that it would require.
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={self.directory / 'audit.yaml'}",
            f"--audit-log-path={self.directory / 'audit.log'}",
            "--service-cluster-ip-range=10.255.0.0/24",
            "--profiling=false",
        ]

    def _start_etcd(self) -> None:
        command = [str(BIN / "etcd"), f"--data-dir={self.directory / 'etcd'}"]
        command += [f"--listen-client-urls={self._etcd}", f"--advertise-client-urls={self._etcd}"]
        command += [f"--listen-peer-urls={self._peer}", "--unsafe-no-fsync", "--log-level=error"]
        self._spawn("etcd", command)

    def _spawn(self, name: str, command: list[str]) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _stop(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _log(self) -> str:
        return (self.directory / "kube-apiserver.log").read_text()[-2000:]

    def _write_credentials(self) -> None:
        authority = trustme.CA()
        self._ca = self.directory / "ca.crt"
        authority.cert_pem.write_to_path(str(self._ca))
        served = authority.issue_cert("127.0.0.1")
        served.private_key_pem.write_to_path(str(self.directory / "server.key"))
        served.cert_chain_pems[0].write_to_path(str(self.directory / "server.crt"))
        lines = [f'{_token(ADMIN)},{ADMIN},{ADMIN},"system:masters"']
        lines += [f'{_token(user)},{user},{user},"system:serviceaccounts"' for user in self.users]
        (self.directory / "tokens.csv").write_text("\n".join(lines) + "\n")
        policy = {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata"}],
        }
        (self.directory / "audit.yaml").write_text(json.dumps(policy))
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        (self.directory / "accounts.key").write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        (self.directory / "accounts.pub").write_bytes(
            private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )


def _call(entry: dict[str, Any]) -> Call:
    wanted = entry.get("objectRef") or {}
    resource = wanted.get("resource", "")
    if wanted.get("apiGroup"):
        resource += f".{wanted['apiGroup']}"
    if wanted.get("subresource"):
        resource += f"/{wanted['subresource']}"
    return Call(
        user=entry["user"].get("username", ""),
        verb=entry["verb"],
        resource=resource,
        namespace=wanted.get("namespace", ""),
        name=wanted.get("name", ""),
        status=(entry.get("responseStatus") or {}).get("code", 0),
    )


def _token(user: str) -> str:
    return f"token-of-{user}"
