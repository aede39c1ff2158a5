"""Plans without a cluster: from an operator's situation, or from a spec alone."""

import yaml

from openvenue_operator.budget import budget_of, in_words
from openvenue_operator.model import (
    Database,
    Deployment,
    Memory,
    Observation,
    Plan,
    Situation,
    Tuning,
)
from openvenue_operator.plan import plan
from openvenue_operator.spec import VenueSpec
from openvenue_operator.status import PlanStatus, json_form

GRACE_SECONDS = 31
"""Of the chart's pods; `minReadySeconds` is the same."""
START = Tuning(
    generation=0,
    workers=1,
    db_pool_size=5,
    db_pool_overflow=5,
    grpc_channels=1,
    log_level="WARNING",
)
"""The chart's settings for pods without a tuning."""


def cold_start(spec: VenueSpec, max_connections: int, reserved_connections: int) -> Situation:
    """Return an operator's situation right after an installation: a Deployment, and no pod yet."""
    return Situation(
        spec=spec,
        observation=Observation(
            generation=1,
            deployment=Deployment(
                uid="",
                replicas=1,
                max_surge=1,
                max_unavailable=0,
                min_ready_seconds=GRACE_SECONDS,
                grace_seconds=GRACE_SECONDS,
                rolling_out=False,
                autoscaler_max=None,
            ),
            pods=(),
            applied=None,
            started_with=START,
            database=Database(
                read_at=0,
                max_connections=max_connections,
                reserved_connections=reserved_connections,
                used_connections=0,
            ),
            engine=None,
            other_venue=None,
        ),
        memory=Memory(),
        now=0,
    )


def plan_of(situation: Situation) -> Plan:
    """Return the plan of an operator in that situation."""
    return plan(situation.spec, situation.observation, situation.memory, situation.now)


def render(status: PlanStatus) -> str:
    """Return `status.plan` as YAML, its fields in the API server's order."""
    text: str = yaml.safe_dump(
        json_form(status), sort_keys=True, width=float("inf"), allow_unicode=True
    )
    return text


def sums_in_words(situation: Situation, planned: Plan) -> list[str]:
    """Return the worst case of connections until the next step, and for the target, in words."""
    deployment, target, budget = situation.observation.deployment, planned.target, planned.budget
    if budget is None:
        return []
    sums = [f"until the next step: {in_words(budget)}"]
    if target is not None and deployment is not None:
        at_target = budget_of(
            situation.spec,
            deployment,
            replicas=target.replicas,
            connections_per_pod=target.connections_per_pod,
            limit=budget.limit,
        )
        sums.append(f"with the target: {in_words(at_target)}")
    return sums
