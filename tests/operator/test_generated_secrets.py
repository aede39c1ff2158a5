"""Token and passwords of a venue: made once, kept for good, printed nowhere."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.operator.installed_operator import OTHERS, SECOND_OPERATOR
from tests.support.api_server import ApiServer

pytestmark = pytest.mark.cluster

ADMIN, DATABASE = "venue-admin", "venue-database"


@pytest.fixture
def make_secret(
    api_server: ApiServer, namespace: str
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command with the rights from the venue's chart."""
    grant = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "secrets", "namespace": namespace},
        "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
            {
                "apiGroups": [""],
                "resources": ["secrets"],
                "resourceNames": [ADMIN, DATABASE],
                "verbs": ["get"],
            },
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "secrets", "namespace": namespace},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": "secrets",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "others", "namespace": "operators"}],
    }
    api_server.apply(grant, binding)

    def run(*wanted: str, user: str = OTHERS) -> subprocess.CompletedProcess[str]:
        config = json.loads(api_server.kubeconfig(user).read_text())
        config["contexts"][0]["context"]["namespace"] = namespace
        kubeconfig = api_server.directory / f"{namespace}.kubeconfig"
        kubeconfig.write_text(json.dumps(config))
        command = [sys.executable, "-m", "openvenue_operator.generated_secrets"]
        command += wanted or [f"--admin={ADMIN}", f"--database={DATABASE}", "--database-host=there"]
        environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def secret(api_server: ApiServer, namespace: str) -> Callable[[str], dict[str, str]]:
    """Return a function that reads a Secret."""

    def read(name: str) -> dict[str, str]:
        found: Any = json.loads(
            api_server.kubectl("get", "secret", name, "-n", namespace, "-o", "json")
        )
        return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}

    return read


def test_passwords_are_made_with_the_connection_string(
    make_secret: Callable[..., subprocess.CompletedProcess[str]],
    secret: Callable[[str], dict[str, str]],
) -> None:
    done = make_secret()
    assert done.returncode == 0, done.stderr
    made = secret(DATABASE)
    assert len(made["password"]) >= 32
    assert len(made["postgres-password"]) >= 32
    assert made["password"] != made["postgres-password"]
    url = make_url(made["url"])
    assert (url.username, url.password) == ("openvenue", made["password"])
    assert (url.host, url.port, url.database) == ("there", 5432, "openvenue")
    for password in (made["password"], made["postgres-password"]):
        assert password not in done.stdout + done.stderr


def test_a_token_of_administration_is_made(
    make_secret: Callable[..., subprocess.CompletedProcess[str]],
    secret: Callable[[str], dict[str, str]],
) -> None:
    done = make_secret(f"--admin={ADMIN}")
    assert done.returncode == 0, done.stderr
    made = secret(ADMIN)
    assert made.keys() == {"admin"}
    assert len(made["admin"]) >= 32
    assert made["admin"].isascii()
    assert not set(made["admin"]) & set(" \r\n")
    assert made["admin"] not in done.stdout + done.stderr


def test_nothing_is_made_that_was_not_asked_for(
    api_server: ApiServer,
    namespace: str,
    make_secret: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    make_secret(f"--admin={ADMIN}")
    names = api_server.kubectl("get", "secrets", "-n", namespace, "-o", "name").split()
    assert names == [f"secret/{ADMIN}"]
    for wanted in (["--database-host=there"], [f"--database={DATABASE}"]):
        done = make_secret(*wanted)
        assert done.returncode == 2
        assert "--database" in done.stderr


def test_those_that_are_there_are_kept(
    make_secret: Callable[..., subprocess.CompletedProcess[str]],
    secret: Callable[[str], dict[str, str]],
) -> None:
    make_secret()
    before = secret(ADMIN), secret(DATABASE)
    done = make_secret()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("kept") == 2
    assert (secret(ADMIN), secret(DATABASE)) == before
    assert before[1]["password"] not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "literal", "missing"),
    [
        (DATABASE, "password=chosen", "without postgres-password and url"),
        (ADMIN, "token=chosen", "without admin"),
    ],
)
def test_one_that_lacks_a_key_is_named_and_left_alone(
    name: str,
    literal: str,
    missing: str,
    api_server: ApiServer,
    namespace: str,
    make_secret: Callable[..., subprocess.CompletedProcess[str]],
    secret: Callable[[str], dict[str, str]],
) -> None:
    api_server.kubectl(
        "create", "secret", "generic", name, "-n", namespace, f"--from-literal={literal}"
    )
    done = make_secret()
    assert done.returncode == 1
    assert f"Secret {name}: it is there {missing}" in done.stderr
    assert "chosen" not in done.stdout + done.stderr
    assert secret(name) == dict([literal.split("=")])


def test_without_the_right_to_it_fails_in_words(
    make_secret: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = make_secret(user=SECOND_OPERATOR)
    assert done.returncode == 1
    assert "cannot create resource" in done.stderr
    assert "Traceback" not in done.stderr
