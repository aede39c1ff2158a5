"""Certificates, keys and kubeconfigs of the node's parts, under a new authority for every node."""

from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cluster.node.layout import (
    API_SERVER,
    KUBECONFIG,
    KUBERNETES_SERVICE_IP,
    NAME,
    NODE_IP,
    STATE,
)

DIRECTORY = STATE / "credentials"
CA = DIRECTORY / "ca.crt"
SERVICE_ACCOUNT_KEY = DIRECTORY / "service-accounts.key"
SERVICE_ACCOUNT_PUBLIC_KEY = DIRECTORY / "service-accounts.pub"

_CLIENTS = {
    # File name: user and group, which Kubernetes reads from a certificate.
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "kubelet": (f"system:node:{NAME}", "system:nodes"),
    "kube-proxy": ("system:kube-proxy", None),
    # It reads pods, namespaces and policies, for which Kubernetes has no role.
    "kube-router": ("kube-router", "system:masters"),
    "apiserver-kubelet": ("kube-apiserver", "system:masters"),
}


def create() -> None:
    """Make all of them."""
    DIRECTORY.mkdir(mode=0o700)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(CA))
    serving = authority.issue_cert(
        NODE_IP, KUBERNETES_SERVICE_IP, "kubernetes.default.svc", "localhost"
    )
    _write(serving, "apiserver")
    for name, (user, group) in _CLIENTS.items():
        _write(
            authority.issue_cert(f"{name}.invalid", common_name=user, organization_name=group), name
        )
        kubeconfig(name).write_text(_kubeconfig(name))
    KUBECONFIG.write_text(_kubeconfig("admin"))
    _make_service_account_key()


def certificate(name: str) -> Path:
    """Return the certificate file of a part."""
    return DIRECTORY / f"{name}.crt"


def key(name: str) -> Path:
    """Return the private key file of a part."""
    return DIRECTORY / f"{name}.key"


def kubeconfig(name: str) -> Path:
    """Return the kubeconfig of a part."""
    return DIRECTORY / f"{name}.kubeconfig"


def _write(issued: trustme.LeafCert, name: str) -> None:
    issued.private_key_pem.write_to_path(str(key(name)))
    issued.cert_chain_pems[0].write_to_path(str(certificate(name)))


def _kubeconfig(name: str) -> str:
    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: {NAME}
  cluster: {{server: "{API_SERVER}", certificate-authority: "{CA}"}}
users:
- name: {name}
  user: {{client-certificate: "{certificate(name)}", client-key: "{key(name)}"}}
contexts:
- name: {NAME}
  context: {{cluster: {NAME}, user: {name}}}
current-context: {NAME}
"""


def _make_service_account_key() -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    SERVICE_ACCOUNT_KEY.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    SERVICE_ACCOUNT_PUBLIC_KEY.write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
