"""Every pod obeys the restricted pod-security profile, and is read-only, bounded, without a token.

The profile: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

import pytest

from tests.charts.chart import CASE_NAMES, CASES, Manifest, pod_templates, render

VOLUME_KINDS = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
    *("persistentVolumeClaim", "projected", "secret"),
}


@pytest.fixture(scope="module", params=CASES, ids=CASE_NAMES)
def pods(programs: None, request: pytest.FixtureRequest) -> list[Manifest]:
    """Return the pod templates of every object that makes pods."""
    chart, values = request.param
    return [pod for _, pod in pod_templates(render(chart=chart, values=values))]


def containers(pod: Manifest) -> list[Manifest]:
    spec = pod["spec"]
    found: list[Manifest] = spec["containers"] + spec.get("initContainers", [])
    assert found
    return found


def test_nothing_of_the_host_is_shared(pods: list[Manifest]) -> None:
    for pod in pods:
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod["spec"].keys()
        for container in containers(pod):
            assert not any("hostPort" in port for port in container.get("ports", []))
        for volume in pod["spec"]["volumes"]:
            assert volume.keys() - {"name"} <= VOLUME_KINDS, volume


def test_runs_as_a_user_without_privileges(pods: list[Manifest]) -> None:
    for pod in pods:
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        # If unset, the platform chooses the user, or the image, which has a number.
        assert context.get("runAsUser", 1) > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert own["readOnlyRootFilesystem"] is True
            assert not {"privileged", "procMount", "runAsUser", "runAsNonRoot"} & own.keys()


def test_writes_only_where_a_volume_is_mounted(pods: list[Manifest]) -> None:
    for pod in pods:
        mounted: set[str] = set()
        for container in containers(pod):
            mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
            assert mounts["tmp"]["mountPath"] == "/tmp"
            mounted |= mounts.keys()
        claims = {"journal", "data"}
        assert mounted - claims == {volume["name"] for volume in pod["spec"]["volumes"]}
        for volume in pod["spec"]["volumes"]:
            if "emptyDir" in volume:
                assert volume["emptyDir"]["sizeLimit"]


def test_has_bounds(pods: list[Manifest]) -> None:
    for pod in pods:
        for container in containers(pod):
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


def test_has_a_token_only_to_make_secrets_or_to_tune(pods: list[Manifest]) -> None:
    for pod in pods:
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        calls_kubernetes = component in ("secrets", "operator")
        assert pod["spec"]["automountServiceAccountToken"] is calls_kubernetes


def test_needs_no_shell(pods: list[Manifest]) -> None:
    for pod in pods:
        for container in containers(pod):
            words = container.get("command", []) + container.get("args", [])
            assert not {"sh", "bash", "/bin/sh", "/bin/bash"} & set(words)
