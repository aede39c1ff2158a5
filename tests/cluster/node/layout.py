"""Where the node's files are, which addresses it has, and which versions its parts are of.

The programs' own versions are locked in `tests/cluster/parts`.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PARTS = ROOT / "tests/cluster/parts"
UV = ROOT / ".cache/uv/bin/uv"
BIN = ROOT / ".cache/cluster/bin"
KINDS = ROOT / ".cache/cluster/crds"
"""Definitions of kinds that the charts and an ingress controller know beside Kubernetes' own."""
IMAGES = ROOT / ".cache/cluster/images"
"""Layers of the images that are made of one program."""
STATE = ROOT / ".cache/cluster/node"
"""All that the node writes; removed by `down`."""
LOGS = STATE / "logs"
VOLUMES = STATE / "volumes"
FAILURES = ROOT / ".cache/cluster/failures"
"""What is kept of what failed."""
KUBECONFIG = STATE / "kubeconfig"

NAME = "openvenue"
"""Of the node, its network link and its control group."""

# 198.18.0.0/15 is for tests of networks (RFC 2544), so nobody's own addresses are in it.
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
    """The node cannot be had; the message says why and what to do."""
