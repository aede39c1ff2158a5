"""Input of a plan: the observed venue, and the tuning that its pods run."""

from typing import NamedTuple

from openvenue_operator.budget import all_run, runs
from openvenue_operator.model import (
    Allocation,
    Deployment,
    Observation,
    Tuning,
)
from openvenue_operator.pods import Attendance
from openvenue_operator.spec import VenueSpec


class Context(NamedTuple):
    """Input of a plan."""

    spec: VenueSpec
    observation: Observation
    deployment: Deployment
    running: Tuning
    """The tuning that pods run or take over: the applied one, or their start settings."""
    may_hold: int
    limit: int | None
    attendance: Attendance
    now: float

    @property
    def current(self) -> Allocation:
        """The API's present allocation."""
        engine = self.observation.engine
        return Allocation(
            replicas=self.deployment.replicas,
            workers=self.running.workers,
            db_pool_size=self.running.db_pool_size,
            db_pool_overflow=self.running.db_pool_overflow,
            grpc_channels=self.running.grpc_channels,
            # An engine that cannot be asked cannot be told either, so do not count on its threads.
            server_threads=engine.server_threads if engine else self.spec.engine.server_threads.min,
        )

    @property
    def has_replicas(self) -> bool:
        """True if the operator sets the replicas."""
        return self.deployment.autoscaler_max is None

    def tuning_of(self, allocation: Allocation) -> Tuning:
        """Return the tuning file of an allocation, under the running generation."""
        return Tuning(
            generation=self.running.generation,
            workers=allocation.workers,
            db_pool_size=allocation.db_pool_size,
            db_pool_overflow=allocation.db_pool_overflow,
            grpc_channels=allocation.grpc_channels,
            log_level=self.spec.api.log_level,
        )

    def in_place(self, target: Allocation) -> bool:
        """True if the target's number of pods is there, and each is ready and runs it."""
        pods, deployment = self.observation.pods, self.deployment
        return (
            not differs(self.tuning_of(target), self.running)
            and deployment.replicas == target.replicas == len(pods)
            and not deployment.rolling_out
            and all(pod.ready for pod in pods)
            and all_run(self.observation, self.running)
        )

    def can_be_measured(self, target: Allocation) -> bool:
        """True if some pods that run the target report figures; others may be late."""
        return not differs(self.tuning_of(target), self.running) and any(
            pod.ready and not pod.terminating and runs(pod, self.running)
            for pod in self.observation.pods
        )


def differs(one: Tuning, other: Tuning) -> bool:
    """True if pods would work differently with these two."""
    return one.replace(generation=0) != other.replace(generation=0)
