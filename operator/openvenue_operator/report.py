"""Reports what the operator found and did: the Venue's status, and Events with the reasons."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx2
import msgspec
from lightkube import AsyncClient
from lightkube.models.core_v1 import ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.events_v1 import Event
from lightkube.types import PatchType
from openvenue.telemetry import get_logger

from openvenue_operator import metrics
from openvenue_operator.cluster import FIELD_MANAGER, GROUP, VERSION, Venue
from openvenue_operator.conditions import Reason, Type
from openvenue_operator.model import Observation, Step, Tuning
from openvenue_operator.observe import VenueObject
from openvenue_operator.phrases import count
from openvenue_operator.spec import VenueSpec
from openvenue_operator.status import json_form

_NOTE_BYTES_MAX = 1024  # the API server refuses more
_API_VERSION = f"{GROUP}/{VERSION}"
_GOOD = {
    Type.READY: "True",
    Type.ENGINE_READY: "True",
    Type.DEGRADED: "False",
    Type.BUDGET_SATISFIED: "True",
    Type.METRICS_FRESH: "True",
}
"""Conditions whose changes become Events, with their good state. Others follow from changes."""
_STARTING = (
    Reason.NO_POD_READY,
    Reason.NO_ENGINE_POD,
    Reason.ENGINE_POD_NOT_READY,
    Reason.STALE,
    Reason.UNKNOWN,
)
"""Reasons with which every venue begins."""

_log = get_logger(__name__)


class EventRecord(NamedTuple):
    """The content of an Event."""

    kind: str
    """Normal or Warning."""
    reason: str
    """One word in CamelCase."""
    action: str
    """The action, one word in CamelCase."""
    note: str


async def write_status(client: AsyncClient, venue: VenueObject, status: msgspec.Struct) -> None:
    """Replace the Venue's status, which belongs to this operator alone."""
    body = {
        "apiVersion": _API_VERSION,
        "kind": "Venue",
        "metadata": {"name": venue.name, "namespace": venue.namespace, "uid": venue.uid},
        "status": json_form(status),
    }
    await client.patch(
        Venue.Status,
        venue.name,
        body,
        namespace=venue.namespace,
        patch_type=PatchType.APPLY,
        field_manager=FIELD_MANAGER,
        force=True,
    )
    metrics.WRITES.labels("status").inc()


async def announce(
    client: AsyncClient, venue: VenueObject, identity: str, record: EventRecord
) -> None:
    """Post an Event on the Venue. A failure is only logged."""
    now = datetime.now(UTC)
    event = Event(
        # The API server wants all six digits of the fraction.
        eventTime=now.replace(microsecond=now.microsecond or 1),
        metadata=ObjectMeta(generateName=f"{venue.name}-", namespace=venue.namespace),
        regarding=ObjectReference(
            apiVersion=_API_VERSION,
            kind="Venue",
            namespace=venue.namespace,
            name=venue.name,
            uid=venue.uid,
        ),
        reportingController=f"{GROUP}/operator",
        reportingInstance=identity[:128],
        type=record.kind,
        reason=record.reason,
        action=record.action,
        note=fitting_note(record.note),
    )
    _log.info(
        "event",
        namespace=venue.namespace,
        venue=venue.name,
        reason=record.reason,
        note=record.note,
    )
    try:
        await client.create(event)
    except (httpx2.HTTPError, OSError) as error:
        _log.warning("event not posted", reason=record.reason, problem=str(error))
        return
    metrics.WRITES.labels("event").inc()


def fitting_note(text: str) -> str:
    """Return as much of `text` as an Event takes: whole characters, 1,024 bytes in UTF-8."""
    return text.encode()[:_NOTE_BYTES_MAX].decode(errors="ignore")


def turns(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[EventRecord]:
    """Return Events for conditions that changed from one status to the next.

    Both in their JSON form. A new condition is worth an Event only if it is bad, and if not every
    venue begins with it.
    """
    was = {one["type"]: one["status"] for one in before.get("conditions") or ()}
    found = []
    for condition in after.get("conditions") or ():
        name, status = condition["type"], condition["status"]
        good = _GOOD.get(name)
        if good is None or was.get(name, good) == status:
            continue
        if name not in was and condition["reason"] in _STARTING:
            continue
        why = condition.get("message")
        found.append(
            EventRecord(
                kind="Normal" if status == good else "Warning",
                reason=condition["reason"],
                action=f"{name}{status}",
                note=f"{name} is {status}" + (f": {why}" if why else ""),
            )
        )
    return found


def changes(
    observation: Observation, step: Step, reason: str, spec: VenueSpec
) -> list[EventRecord]:
    """Return an Event for each change of the allocation by a step."""
    found = []
    live = observation.deployment
    if step.tuning is not None:
        what = _difference(observation.applied or observation.started_with, step.tuning)
        found.append(("TuningChanged", "Tune", f"generation {step.tuning.generation}: {what}"))
    if step.replicas is not None and live is not None:
        pods = count(step.replicas, "pod")
        what = f"{spec.api.deployment} from {live.replicas} to {pods}"
        found.append(("Scaled", "Scale", what))
    if step.server_threads is not None and observation.engine is not None:
        what = f"threads from {observation.engine.server_threads} to {step.server_threads}"
        found.append(("EngineTuned", "Tune", what))
    # The engine's threads follow from the number of sessions, not from the last reason.
    reasons = {"EngineTuned": "for the sessions that there may be"}
    return [
        EventRecord("Normal", name, action, f"{what}: {reasons.get(name, reason)}")
        for name, action, what in found
    ]


def _difference(before: Tuning | None, after: Tuning) -> str:
    """Return the settings that change, with old and new value."""
    if before is None:
        return "first tuning"
    pairs = [
        f"{name} {getattr(before, name)} to {getattr(after, name)}"
        for name in Tuning.__struct_fields__
        if name != "generation" and getattr(before, name) != getattr(after, name)
    ]
    return ", ".join(pairs) or "as the pods started"
