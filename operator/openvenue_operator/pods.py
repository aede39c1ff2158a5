"""Sorts pods into those that count and those that are late: since when, why, and until when.

A pod is late if it does not exist, is not scheduled, not ready or silent, or runs an older tuning.
Until its deadline the operator waits for it, as capacity on its way. Then it is overdue, and the
operator tunes the venue by the others. A pod that should have ended is lost: its node is gone, or
cannot be reached. It no longer counts; the database counts what it still holds among what others
hold.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from openvenue_operator.budget import runs
from openvenue_operator.model import (
    Deployment,
    Lateness,
    LatePod,
    Observation,
    Pod,
    Tuning,
)
from openvenue_operator.spec import VenueSpec

LOST_AFTER_S = 30.0
"""After the end of its grace period. The database gives up a silent client within 25 s."""


class Attendance(NamedTuple):
    """The pods that are there, and those that are late."""

    late: tuple[LatePod, ...]
    """The longest first."""
    late_since: Mapping[str, float]
    staying: int
    """Pods that do not terminate."""

    @property
    def overdue(self) -> tuple[LatePod, ...]:
        """Late pods that nothing waits for any more."""
        return tuple(one for one in self.late if one.overdue)

    @property
    def starting(self) -> tuple[LatePod, ...]:
        """Pods that are not ready, and still in time."""
        return tuple(one for one in self.late if not one.overdue and not one.serves)

    @property
    def without_room(self) -> tuple[LatePod, ...]:
        """Pods for which the cluster has no room."""
        return tuple(one for one in self.late if one.has_no_room)

    def capacity(self, replicas: int) -> int:
        """Return the pods of `replicas` that bear the load or will soon; at least 1."""
        gone = (Lateness.MISSING, Lateness.LOST)
        counted = self.staying - sum(one.reason not in gone for one in self.overdue)
        if not self.without_room:
            counted += max(0, replicas - self.staying)
        return max(1, min(replicas, counted))


def is_lost(pod: Pod, now: float) -> bool:
    """True if a terminating pod should have ended for good."""
    return pod.terminating and pod.ends_by is not None and now > pod.ends_by + LOST_AFTER_S


def attendance(
    spec: VenueSpec,
    observation: Observation,
    deployment: Deployment,
    running: Tuning,
    known: Mapping[str, float],
    now: float,
) -> Attendance:
    """Return the late pods, given what was `known` of them before."""
    deadline_s = spec.tuning.pod_deadline_seconds
    found: list[LatePod] = []
    late_since: dict[str, float] = {}
    for uid, name, began, reason, message in _late(observation, deployment, running, now):
        since = min(now, known.get(uid, now) if began is None else min(began, known.get(uid, now)))
        late_since[uid] = since
        overdue = reason is Lateness.LOST or now - since >= deadline_s
        found.append(
            LatePod(name=name, reason=reason, message=message, since=since, overdue=overdue)
        )
    return Attendance(
        late=tuple(sorted(found, key=lambda one: (not one.overdue, one.since, one.name))),
        late_since=late_since,
        staying=sum(not pod.terminating for pod in observation.pods),
    )


def _late(
    observation: Observation, deployment: Deployment, running: Tuning, now: float
) -> Iterator[tuple[str, str, float | None, Lateness, str]]:
    """Yield uid, name, start if known, and reason of each late pod."""
    for pod in observation.pods:
        if is_lost(pod, now):
            message = "should have ended: its node may be gone"
            yield pod.uid, pod.name, pod.ends_by, Lateness.LOST, message
        elif pod.terminating:
            continue
        elif not pod.ready:
            reason = Lateness.NOT_READY if pod.scheduled else Lateness.UNSCHEDULABLE
            yield pod.uid, pod.name, pod.unready_since, reason, pod.waits_for or "is not ready"
        elif pod.report is None:
            yield pod.uid, pod.name, None, Lateness.SILENT, pod.problem or "says nothing"
        elif not runs(pod, running):
            message = f"has not taken over generation {running.generation}"
            yield pod.uid, pod.name, None, Lateness.BEHIND, message
    missing = deployment.replicas - sum(not pod.terminating for pod in observation.pods)
    if missing > 0:
        message = f"{missing} of {deployment.replicas} pods have not been made"
        yield "", f"deployment/{deployment.name}", None, Lateness.MISSING, message
