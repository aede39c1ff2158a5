"""The database's passwords: made once, kept for ever, shown to nobody."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from api_server import ApiServer
from installed_operator import OTHERS, SECOND_OPERATOR
from sqlalchemy import make_url

pytestmark = pytest.mark.cluster

NAME = "venue-database"


@pytest.fixture
def make_secret(
    api_server: ApiServer, namespace: str
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command with the rights that the venue's chart gives it."""
    grant = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "database-secret", "namespace": namespace},
        "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
            {
                "apiGroups": [""],
                "resources": ["secrets"],
                "resourceNames": [NAME],
                "verbs": ["get"],
            },
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "database-secret", "namespace": namespace},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": "database-secret",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "others", "namespace": "operators"}],
    }
    api_server.apply(grant, binding)

    def run(user: str = OTHERS) -> subprocess.CompletedProcess[str]:
        config = json.loads(api_server.kubeconfig(user).read_text())
        config["contexts"][0]["context"]["namespace"] = namespace
        kubeconfig = api_server.directory / f"{namespace}.kubeconfig"
        kubeconfig.write_text(json.dumps(config))
        command = [sys.executable, "-m", "openvenue_operator.database_secret", "--name", NAME]
        command += ["--host", "venue-database", "--database", "openvenue", "--user", "openvenue"]
        environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def secret(api_server: ApiServer, namespace: str) -> Callable[[], dict[str, str]]:
    """Read the Secret."""

    def read() -> dict[str, str]:
        found: Any = json.loads(
            api_server.kubectl("get", "secret", NAME, "-n", namespace, "-o", "json")
        )
        return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}

    return read


def test_passwords_are_made_with_the_connection_string(
    make_secret: Callable[..., subprocess.CompletedProcess[str]],
    secret: Callable[[], dict[str, str]],
) -> None:
    done = make_secret()
    assert done.returncode == 0, done.stderr
    made = secret()
    assert len(made["password"]) >= 32
    assert len(made["postgres-password"]) >= 32
    assert made["password"] != made["postgres-password"]
    url = make_url(made["url"])
    assert (url.username, url.password) == ("openvenue", made["password"])
    assert (url.host, url.port, url.database) == ("venue-database", 5432, "openvenue")
    for password in (made["password"], made["postgres-password"]):
        assert password not in done.stdout + done.stderr


def test_one_that_is_there_is_kept(
    make_secret: Callable[..., subprocess.CompletedProcess[str]],
    secret: Callable[[], dict[str, str]],
) -> None:
    make_secret()
    before = secret()
    done = make_secret()
    assert done.returncode == 0, done.stderr
    assert "kept" in done.stdout
    assert secret() == before
    assert before["password"] not in done.stdout + done.stderr


def test_one_that_lacks_a_key_is_named_and_left_alone(
    api_server: ApiServer,
    namespace: str,
    make_secret: Callable[..., subprocess.CompletedProcess[str]],
    secret: Callable[[], dict[str, str]],
) -> None:
    literal = "--from-literal=password=chosen"
    api_server.kubectl("create", "secret", "generic", NAME, "-n", namespace, literal)
    done = make_secret()
    assert done.returncode == 1
    assert "is there without postgres-password and url" in done.stderr
    assert "chosen" not in done.stdout + done.stderr
    assert secret() == {"password": "chosen"}


def test_without_the_right_to_it_fails_in_words(
    make_secret: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = make_secret(SECOND_OPERATOR)
    assert done.returncode == 1
    assert "cannot create resource" in done.stderr
    assert "Traceback" not in done.stderr
