"""The objects of a venue's chart, as small as the API server accepts them."""

from typing import Any

VENUE = "venue"
DEPLOYMENT = "venue-api"
ENGINE = "venue-engine"


def deployment(
    namespace: str,
    name: str = DEPLOYMENT,
    *,
    environment: dict[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return an API Deployment, without `replicas`, as in the chart."""
    labels = {"app.kubernetes.io/component": "api", "app.kubernetes.io/instance": name}
    container = {
        "name": "api",
        "image": "none",
        "ports": [{"name": "http", "containerPort": 8000}],
        "env": [{"name": key, "value": value} for key, value in (environment or {}).items()],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "openvenue"},
        },
        "spec": {
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "minReadySeconds": 30,
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 30},
            },
            **spec,
        },
    }


def venue(
    namespace: str,
    name: str = VENUE,
    *,
    mode: str = "Auto",
    replicas: int = 1,
    workers: int = 1,
    pool: int = 2,
    overflow: int = 0,
    deployment: str = DEPLOYMENT,
    **connections: int,
) -> dict[str, Any]:
    """Return a Venue whose bounds leave only one choice."""

    def exactly(value: int) -> dict[str, int]:
        return {"min": value, "max": value}

    return {
        "apiVersion": "openvenue.dev/v1alpha1",
        "kind": "Venue",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "mode": mode,
            "api": {
                "deployment": deployment,
                "replicas": exactly(replicas),
                "workersPerPod": exactly(workers),
                "dbPoolSize": exactly(pool),
                "dbPoolOverflow": exactly(overflow),
                "grpcChannels": exactly(1),
            },
            "engine": {"statefulSet": ENGINE},
            "connections": connections,
        },
    }


def autoscaler(namespace: str, maximum: int, name: str = DEPLOYMENT) -> dict[str, Any]:
    """Return a HorizontalPodAutoscaler of the API's Deployment."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": maximum,
        },
    }


def engine_pod(namespace: str, port: int) -> dict[str, Any]:
    """Return the engine's pod."""
    container = {
        "name": "engine",
        "image": "none",
        "ports": [{"name": "grpc", "containerPort": port}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{ENGINE}-0", "namespace": namespace},
        "spec": {"containers": [container]},
    }
