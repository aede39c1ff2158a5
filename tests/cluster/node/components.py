"""The node's programs: their command lines and configuration, their start, stop and health.

Every program is named here once. Process ids are the host's, recorded in the state directory, so
that a test can stop a program and start it again.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.node import credentials
from tests.cluster.node.layout import (
    BIN,
    DNS_SERVICE_IP,
    LOGS,
    NAME,
    NODE_IP,
    POD_NET,
    REGISTRY,
    SERVICE_NET,
    STATE,
    NodeError,
)
from tests.cluster.node.namespaces import entering

_PIDS = STATE / "pids"
_CONFIG = STATE / "config"
_CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
_STOP_TIMEOUT_S = 20


@dataclass(frozen=True)
class Component:
    """A program of the node."""

    name: str
    command: Callable[[], list[str]]
    healthy: Callable[[], list[str]] | None = None
    """A command inside the node that succeeds once the program serves."""


def start(component: Component) -> None:
    """Start it inside the node; do not wait for it."""
    _PIDS.mkdir(exist_ok=True)
    with (LOGS / f"{component.name}.log").open("ab") as log:
        entered = subprocess.Popen(
            entering(*component.command()),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        )
    # nsenter stays outside, as the parent of the program that it starts inside.
    children = Path(f"/proc/{entered.pid}/task/{entered.pid}/children")
    deadline = time.monotonic() + 10
    while entered.poll() is None and not (found := children.read_text().split()):
        if time.monotonic() > deadline:
            raise NodeError(f"{component.name} does not start")
        time.sleep(0.01)
    if entered.poll() is not None:
        raise NodeError(f"{component.name} ended at once: see {LOGS / component.name}.log")
    (_PIDS / component.name).write_text(found[0])


def pid(component: Component) -> int:
    """Return its process id on the host."""
    return int((_PIDS / component.name).read_text())


def stop(component: Component, number: signal.Signals = signal.SIGTERM) -> None:
    """Send it a signal and wait until it has ended."""
    process = Path(f"/proc/{pid(component)}")
    os.kill(pid(component), number)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while process.exists() and "State:\tZ" not in (process / "status").read_text():
        if time.monotonic() > deadline:
            raise NodeError(f"{component.name} does not stop")
        time.sleep(0.05)


def wait_until_healthy(component: Component, timeout_s: float = 60) -> None:
    """Wait until it serves. Raises NodeError if it ends or does not serve in time."""
    if component.healthy is None:
        return
    deadline = time.monotonic() + timeout_s
    while subprocess.run(entering(*component.healthy()), capture_output=True).returncode != 0:
        process = Path(f"/proc/{pid(component)}")
        ended = not process.exists() or "State:\tZ" in (process / "status").read_text()
        if ended or time.monotonic() > deadline:
            what = "ended" if ended else "does not serve"
            raise NodeError(f"{component.name} {what}: see {LOGS / component.name}.log")
        time.sleep(0.1)


def _configured(name: str, text: str) -> str:
    """Write a configuration file and return its path."""
    _CONFIG.mkdir(exist_ok=True)
    path = _CONFIG / name
    path.write_text(text)
    return str(path)


def _get(url: str, *options: str) -> list[str]:
    return ["curl", "--silent", "--fail", "--max-time", "2", "--output", "/dev/null", *options, url]


def _kubernetes(program: str, *arguments: str) -> list[str]:
    return [str(BIN / "kubernetes"), program, *arguments]


def _etcd() -> list[str]:
    # Nothing of a test node outlives its machine.
    return [
        str(BIN / "etcd"),
        "--unsafe-no-fsync",
        f"--data-dir={STATE / 'etcd'}",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--log-level=warn",
    ]


def _registry() -> list[str]:
    disk = STATE / "registry"
    disk.mkdir(exist_ok=True)
    return [str(BIN / "crane"), "registry", "serve", f"--address={REGISTRY}", f"--disk={disk}"]


def _api_server() -> list[str]:
    return _kubernetes(
        "kube-apiserver",
        f"--advertise-address={NODE_IP}",
        f"--bind-address={NODE_IP}",
        "--secure-port=6443",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--service-cluster-ip-range={SERVICE_NET}",
        f"--client-ca-file={credentials.CA}",
        f"--tls-cert-file={credentials.certificate('apiserver')}",
        f"--tls-private-key-file={credentials.key('apiserver')}",
        f"--kubelet-client-certificate={credentials.certificate('apiserver-kubelet')}",
        f"--kubelet-client-key={credentials.key('apiserver-kubelet')}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={credentials.SERVICE_ACCOUNT_PUBLIC_KEY}",
        f"--service-account-signing-key-file={credentials.SERVICE_ACCOUNT_KEY}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
    )


def _controller_manager() -> list[str]:
    return _kubernetes(
        "kube-controller-manager",
        f"--kubeconfig={credentials.kubeconfig('controller-manager')}",
        f"--service-account-private-key-file={credentials.SERVICE_ACCOUNT_KEY}",
        f"--root-ca-file={credentials.CA}",
        "--use-service-account-credentials",
        "--leader-elect=false",
    )


def _scheduler() -> list[str]:
    return _kubernetes(
        "kube-scheduler",
        f"--kubeconfig={credentials.kubeconfig('scheduler')}",
        "--leader-elect=false",
    )


def _containerd() -> list[str]:
    # The charts' own references name Docker Hub; the node's registry serves them.
    hosts = STATE / "config/registries"
    for server in (REGISTRY, "docker.io"):
        (hosts / server).mkdir(parents=True, exist_ok=True)
        (hosts / server / "hosts.toml").write_text(
            f'[host."http://{REGISTRY}"]\ncapabilities = ["pull", "resolve"]\n'
        )
    networks = STATE / "config/networks"
    networks.mkdir(parents=True, exist_ok=True)
    (networks / "10-bridge.conflist").write_text(f"""\
{{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {{"type": "bridge", "bridge": "pods0", "isGateway": true, "hairpinMode": true,
    "ipam": {{"type": "host-local", "dataDir": "{STATE / "addresses"}",
              "ranges": [[{{"subnet": "{POD_NET}"}}]], "routes": [{{"dst": "0.0.0.0/0"}}]}}}},
  {{"type": "portmap", "capabilities": {{"portMappings": true}}}}]}}
""")
    return [
        str(BIN / "containerd"),
        "--config",
        _configured(
            "containerd.toml",
            f"""\
version = 3
root = "{STATE / "containerd"}"
state = "/run/containerd"
[grpc]
address = "{_CONTAINERD_SOCKET}"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
enable_unprivileged_ports = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{BIN}"]
conf_dir = "{networks}"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{REGISTRY}/pause:1"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "{hosts}"
""",
        ),
    ]


def _kubelet() -> list[str]:
    return _kubernetes(
        "kubelet",
        f"--kubeconfig={credentials.kubeconfig('kubelet')}",
        f"--hostname-override={NAME}",
        f"--node-ip={NODE_IP}",
        "--config",
        _configured(
            "kubelet.yaml",
            f"""\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /{NAME}
enforceNodeAllocatable: []
oomScoreAdj: 0
failSwapOn: false
containerRuntimeEndpoint: unix://{_CONTAINERD_SOCKET}
clusterDomain: cluster.local
clusterDNS: [{DNS_SERVICE_IP}]
resolvConf: ""
podLogsDir: {LOGS / "pods"}
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: {credentials.CA}}}
authorization: {{mode: Webhook}}
evictionHard: {{memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
""",
        ),
    )


def _proxy() -> list[str]:
    return _kubernetes(
        "kube-proxy",
        f"--kubeconfig={credentials.kubeconfig('kube-proxy')}",
        f"--hostname-override={NAME}",
        "--proxy-mode=nftables",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
    )


def _network_policies() -> list[str]:
    return [
        str(BIN / "kube-router"),
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        "--enable-cni=false",
        f"--kubeconfig={credentials.kubeconfig('kube-router')}",
        f"--hostname-override={NAME}",
        f"--service-cluster-ip-range={SERVICE_NET}",
        "--health-port=20244",
    ]


ETCD = Component("etcd", _etcd, lambda: _get("http://127.0.0.1:2379/health"))
REGISTRY_SERVER = Component("registry", _registry, lambda: _get(f"http://{REGISTRY}/v2/"))
API_SERVER = Component(
    "kube-apiserver",
    _api_server,
    lambda: _get(f"https://{NODE_IP}:6443/readyz", "--cacert", str(credentials.CA)),
)
CONTROLLER_MANAGER = Component("kube-controller-manager", _controller_manager)
SCHEDULER = Component("kube-scheduler", _scheduler)
CONTAINERD = Component(
    "containerd", _containerd, lambda: [str(BIN / "ctr"), "--timeout=2s", "version"]
)
KUBELET = Component("kubelet", _kubelet, lambda: _get("http://127.0.0.1:10248/healthz"))
PROXY = Component("kube-proxy", _proxy)
NETWORK_POLICIES = Component(
    "kube-router", _network_policies, lambda: _get("http://127.0.0.1:20244/healthz")
)
