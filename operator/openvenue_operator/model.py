"""Values that pass between the operator's stages: observations, memory and plans.

Values only: no clock, no calls. Times are Unix seconds; field names in JSON are camelCase, as in
the custom resource. `observe` makes an `Observation`, `plan` makes a `Plan` of it, `apply` carries
out `Plan.step`, `report` writes the status, from which the next observation reads `Memory`.
"""

from enum import StrEnum

import msgspec

from openvenue_operator.spec import Value, VenueSpec

# --- Observations ---------------------------------------------------------------------------------


class PodLoad(Value, frozen=True, kw_only=True):
    """Load of one pod between two readings of its metrics, all workers together."""

    seconds: float
    """Between the two readings."""
    orders_per_s: float
    """Entered alone, one a request."""
    requests_per_s: float
    cpu_cores: float
    event_loop_lag_ms: float
    """99th percentile, ms."""
    pool_wait_ms: float
    """99th percentile, ms; 0 if nothing waited."""
    p99_ms: float
    """Of the entry of one order."""
    in_flight: float
    """Unanswered requests at the engine, of a batch one for each order."""
    batch_orders_per_s: float = 0.0
    """Entered in batches."""
    refused_per_s: float = 0.0
    """Requests and connections that workers refused at their own limits."""
    queries_per_s: float = 0.0
    """How often a connection was taken from a pool."""
    projection_wait_ms: float = 0.0
    """99th percentile of the time that reads waited for the projection."""


class PodReport(Value, frozen=True, kw_only=True):
    """A pod's report on /metrics, after the checks of `exposition`."""

    read_at: float
    workers: int
    """Workers that serve requests."""
    workers_wanted: int
    workers_leaving: int
    generations: tuple[int, ...]
    """Tuning generation of each worker."""
    db_pool_size: int
    """Connections that the pools of all its workers may keep."""
    db_pool_overflow: int
    """Connections that they may open beyond those."""
    db_connections: int
    """Connections that they hold."""
    db_in_use: int = 0
    """Connections in use at the moment of the reading."""
    load: PodLoad | None
    """None at the first reading."""


class Pod(Value, frozen=True, kw_only=True):
    """A pod of the API, in any state."""

    name: str
    uid: str
    created_at: float
    ready: bool
    terminating: bool
    restarts: int
    """Restarts of all its containers."""
    nudged_generation: int | None
    """Generation in its annotation."""
    nudged_at: float | None = None
    """Time of the nudge in its annotation."""
    report: PodReport | None
    """None if the pod cannot be asked, or gives an invalid answer."""
    problem: str | None = None
    """Reason why there is no report, in words."""
    scheduled: bool = True
    """True if it is bound to a node. A pod without one holds nothing, and will read the tuning."""
    unready_since: float | None = None
    waits_for: str | None = None
    """Reason why it is not ready, in Kubernetes' words."""
    ends_by: float | None = None
    """End of its grace period, if it terminates (metadata.deletionTimestamp)."""


class Deployment(Value, frozen=True, kw_only=True):
    """The API's Deployment."""

    name: str = "api"
    uid: str
    replicas: int
    max_surge: int
    """Pods beyond `replicas` in a rollout, as a number."""
    max_unavailable: int
    min_ready_seconds: int
    grace_seconds: int
    """Time that a pod may take to stop."""
    rolling_out: bool
    autoscaler_max: int | None
    """`maxReplicas` of an HPA that owns `replicas`; None: there is no such HPA."""
    autoscaler_min: int | None = None
    """Its `minReplicas`; None: it never scales down, or there is none."""
    part_of_venue: bool = True
    """True if it is labelled as a part of OpenVenue; the operator must not change others."""
    in_flight_max: int = 4096
    """Requests that one of its workers may have at the engine."""


class Tuning(Value, frozen=True, kw_only=True, rename=None):
    """Content of the tuning file; meaning and bounds as in `openvenue.serving.tuning.Tuning`."""

    generation: int
    workers: int
    db_pool_size: int
    db_pool_overflow: int
    grpc_channels: int
    log_level: str


class Database(Value, frozen=True, kw_only=True):
    """The database server's connections, as the API's pods report them."""

    read_at: float
    max_connections: int
    reserved_connections: int
    """Connections that only superusers and reserved roles get."""
    used_connections: int
    """Connections of all clients, this venue's or not."""


class Engine(Value, frozen=True, kw_only=True):
    """The engine's gRPC server."""

    server_threads: int


class EnginePod(Value, frozen=True, kw_only=True):
    """The engine's pod."""

    name: str
    ready: bool
    restarts: int
    since: float
    """Time since when it is ready, or not ready."""
    waits_for: str | None = None
    """Reason why it is not ready, in Kubernetes' words."""


class Observation(Value, frozen=True, kw_only=True):
    """Input of a plan, besides the spec and the clock."""

    generation: int
    """metadata.generation of the Venue."""
    deployment: Deployment | None
    pods: tuple[Pod, ...]
    applied: Tuning | None
    """Content of the tuning ConfigMap; None: there is none yet."""
    started_with: Tuning | None
    """Tuning of pods without a tuning file, from the Deployment's environment; generation 0."""
    database: Database | None
    engine: Engine | None
    other_venue: str | None
    """Name of an older Venue that tunes the same Deployment."""
    obstacle: str | None = None
    """Reason why the last step could not be written, in words."""
    engine_pod: EnginePod | None = None
    """None: there is none."""


# --- Plans ----------------------------------------------------------------------------------------


class Allocation(Value, frozen=True, kw_only=True):
    """Numbers of the API's parts, present or planned."""

    replicas: int
    workers: int
    """Per pod."""
    db_pool_size: int
    """Per worker."""
    db_pool_overflow: int
    """Per worker."""
    grpc_channels: int
    """Per worker."""
    server_threads: int
    """Of the engine."""

    @property
    def connections_per_pod(self) -> int:
        """Number of database connections that one pod may hold."""
        return self.workers * (self.db_pool_size + self.db_pool_overflow)


class Budget(Value, frozen=True, kw_only=True):
    """Use of the database's connections, in the worst intermediate state."""

    limit: int
    pods_at_most: int
    connections_per_pod: int
    rest: int
    """Connections of projector, streams and migration."""
    total: int
    """`pods_at_most` times `connections_per_pod`, and `rest`; at most `limit` when carried out."""


class Input(Value, frozen=True, kw_only=True):
    """A figure behind the plan, and its age."""

    name: str
    value: float
    target: float | None = None
    age_seconds: float


class Seen(Value, frozen=True, kw_only=True):
    """Last known figures: shown until there are newer ones, never used for planning."""

    inputs: tuple[Input, ...] = ()
    """Figures of the load, with their age at that time."""
    inputs_at: float = 0.0
    database: Database | None = None


class PoolTrial(Value, frozen=True, kw_only=True):
    """Figures of the pools before they were enlarged, to see whether that helped."""

    db_pool_size: int
    db_pool_overflow: int
    queries_per_s: float
    wait_ms: float


class Memory(Value, frozen=True, kw_only=True):
    """Memory of the policy from one plan to the next."""

    high_since: float | None = None
    """Time since when more workers are asked for."""
    low_since: float | None = None
    """Time since when fewer would suffice."""
    pool_high_since: float | None = None
    pool_low_since: float | None = None
    pool_short_at: int | None = None
    """Pool size with which queries had to wait: pools do not shrink to it."""
    pool_short_seen_at: float | None = None
    """Time when they had to; it is forgotten after a day."""
    pool_trial: PoolTrial | None = None
    """The last enlargement of pools."""
    pool_held_until: float | None = None
    """Until then pools are not enlarged again, because it did not help."""
    may_hold: int | None = None
    """Connections that any one pod may hold until all have taken over the applied tuning."""
    pods_at_most: int | None = None
    """The policy asks for no more pods until `pods_at_most_until`: more found no room."""
    pods_at_most_until: float | None = None
    late_since: dict[str, float] = msgspec.field(default_factory=dict)
    """Time since when a pod (by uid) is late; "": since when pods are missing."""
    changed_at: float | None = None
    """Time of the target's last change: the cooldown starts there."""
    target: Allocation | None = None
    """Target of the steps."""
    reason: str | None = None
    """Reason for the target's last change."""
    reached: bool = False
    """True if the target has run everywhere since its last change."""
    seen: Seen = Seen()


class Situation(Value, frozen=True, kw_only=True):
    """Complete input of a plan: the same situation gives the same plan, here or elsewhere."""

    spec: VenueSpec
    observation: Observation
    memory: Memory
    now: float


class Step(Value, frozen=True, kw_only=True):
    """Writes to make now. None or empty: nothing."""

    tuning: Tuning | None = None
    """New content of the tuning ConfigMap."""
    replicas: int | None = None
    server_threads: int | None = None
    nudge: tuple[str, ...] = ()
    """Names of pods to annotate with the tuning's generation, upon which they read it."""

    @property
    def empty(self) -> bool:
        """True if there is nothing to write."""
        return self == Step()


class Lateness(StrEnum):
    """Reason why a pod is late."""

    UNSCHEDULABLE = "Unschedulable"
    MISSING = "Missing"
    """The Deployment's controller has not made it."""
    NOT_READY = "NotReady"
    SILENT = "Silent"
    """It is ready, but gives no credible metrics."""
    BEHIND = "Behind"
    """It runs an older generation of the tuning."""
    LOST = "Lost"
    """It should have ended: its node may be gone."""


class LatePod(Value, frozen=True, kw_only=True):
    """A pod that does not, or not yet, run the tuning."""

    name: str
    """The pod's name; the Deployment's for pods that do not exist."""
    reason: Lateness
    message: str
    since: float
    overdue: bool
    """True after the deadline: nothing waits for it any more."""

    @property
    def has_no_room(self) -> bool:
        """True if the cluster has no room for it."""
        return self.overdue and self.reason in (Lateness.UNSCHEDULABLE, Lateness.MISSING)

    @property
    def serves(self) -> bool:
        """True if it gets clients."""
        return self.reason in (Lateness.SILENT, Lateness.BEHIND)


class Plan(Value, frozen=True, kw_only=True):
    """The next step and its reasons."""

    feasible: bool
    problem: str | None
    """The numbers that clash and what would fit, if not feasible; else None."""
    hold: str | None = None
    """Reason why nothing may be changed: another Venue's Deployment, or none."""
    fresh: bool
    """True if there are metrics that are young enough to tune by."""
    stale_because: str | None
    running: int = 0
    """Pods that run the applied tuning."""
    pods: int = 0
    """Number of pods, also of those that are leaving."""
    late: tuple[LatePod, ...] = ()
    """Late pods, the longest first."""
    load: dict[str, float] = msgspec.field(default_factory=dict)
    """Figures by name: ordersPerSecond, p99Ms and so on; empty if there are none."""
    settled: bool
    """True if every pod runs the target and there is nothing left to write."""
    inputs: tuple[Input, ...]
    """Figures of the load; if there are none to tune by, the last known ones with their age."""
    database: Database | None = None
    """The database's last known figures, however old."""
    current: Allocation | None
    target: Allocation | None
    budget: Budget | None
    binding: str
    """The constraint that keeps the target from being larger (or smaller), in words."""
    next_step: str
    """The next write or wait, in words."""
    reason: str
    """Reason for the target, for the Event of a change."""
    step: Step
    memory: Memory

    @property
    def overdue(self) -> tuple[LatePod, ...]:
        """Pods that nothing waits for any more."""
        return tuple(one for one in self.late if one.overdue)
