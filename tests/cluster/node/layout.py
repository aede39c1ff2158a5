"""The node's files, addresses, and versions of its parts.

The programs' own versions are locked in `tests/cluster/parts`.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PARTS = ROOT / "tests/cluster/parts"
UV = ROOT / ".cache/uv/bin/uv"
BIN = ROOT / ".cache/cluster/bin"
KINDS = ROOT / ".cache/cluster/crds"
"""Definitions of kinds that the charts and an ingress controller use besides Kubernetes' own."""
IMAGES = ROOT / ".cache/cluster/images"
"""Layers of the images of one program."""
STATE = ROOT / ".cache/cluster/node"
"""Everything that the node writes; `down` removes it."""
LOGS = STATE / "logs"
VOLUMES = STATE / "volumes"
FAILURES = ROOT / ".cache/cluster/failures"
"""State kept after failures."""
KUBECONFIG = STATE / "kubeconfig"

NAME = "openvenue"
"""Name of the node, its network link and its control group."""

# 198.18.0.0/15 is for tests of networks (RFC 2544), so it has no machine's own addresses.
LINK_NET = "198.18.255.0/30"
HOST_IP = "198.18.255.1"
NODE_IP = "198.18.255.2"
POD_NET = "198.18.0.0/24"
SERVICE_NET = "198.19.0.0/24"
KUBERNETES_SERVICE_IP = "198.19.0.1"
DNS_SERVICE_IP = "198.19.0.10"
INGRESS_SERVICE_IP = "198.19.0.80"

API_SERVER = f"https://{NODE_IP}:6443"
REGISTRY = f"{NODE_IP}:5000"

TRAEFIK_VERSION = "3.7.15"
VOLUME_COUNT = 12


class NodeError(Exception):
    """The node cannot be started; the message says why and what to do."""
