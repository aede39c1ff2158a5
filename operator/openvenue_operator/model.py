"""What passes between the operator's stages: what was observed, remembered and planned.

Values only: no clock, no calls. Times are Unix seconds; field names in JSON are camelCase, as in
the custom resource. `observe` makes an `Observation`, `plan` a `Plan` of it, `apply` carries out
`Plan.step`, `report` writes the status, in which `Memory` comes back with the next observation.
"""

from enum import StrEnum

import msgspec

from openvenue_operator.spec import Value, VenueSpec

# --- What was observed ----------------------------------------------------------------------------


class PodLoad(Value, frozen=True, kw_only=True):
    """Load of one pod between two readings of its metrics, all workers together."""

    seconds: float
    """Between the two readings."""
    orders_per_s: float
    requests_per_s: float
    cpu_cores: float
    event_loop_lag_ms: float
    """99th percentile, ms."""
    pool_wait_ms: float
    """99th percentile, ms; 0 where nothing waited."""
    p99_ms: float
    """Of order entry."""
    in_flight: float
    """Requests at the engine, not answered."""
    refused_per_s: float = 0.0
    """Requests and connections that a worker's own bounds turned away."""
    queries_per_s: float = 0.0
    """Times that a connection was taken from a pool."""
    projection_wait_ms: float = 0.0
    """99th percentile of how long reads waited for the projection."""


class PodReport(Value, frozen=True, kw_only=True):
    """What a pod says of itself on /metrics. Never made from nonsense: see `exposition`."""

    read_at: float
    workers: int
    """That serve requests."""
    workers_wanted: int
    workers_leaving: int
    generations: tuple[int, ...]
    """Tuning generation of each worker."""
    db_pool_size: int
    """Connections that the pools of all its workers may keep."""
    db_pool_overflow: int
    """Connections that they may open beyond."""
    db_connections: int
    """Connections that they hold."""
    db_in_use: int = 0
    """Of these, at work at the moment of the reading."""
    load: PodLoad | None
    """None at the first reading."""


class Pod(Value, frozen=True, kw_only=True):
    """A pod of the API, in whatever state."""

    name: str
    uid: str
    created_at: float
    ready: bool
    terminating: bool
    restarts: int
    """Of its containers, together."""
    nudged_generation: int | None
    """What its annotation says."""
    nudged_at: float | None = None
    """When the annotation was set, by what it says."""
    report: PodReport | None
    """None where it cannot be asked, or answers nonsense."""
    problem: str | None = None
    """Why there is no report, in words."""
    scheduled: bool = True
    """Whether it is bound to a node. One that is not holds nothing, and reads the tuning anew."""
    unready_since: float | None = None
    waits_for: str | None = None
    """Why it is not ready, in Kubernetes' words."""
    ends_by: float | None = None
    """When its grace period is over, where it terminates (metadata.deletionTimestamp)."""


class Deployment(Value, frozen=True, kw_only=True):
    """The API's Deployment."""

    name: str = "api"
    uid: str
    replicas: int
    max_surge: int
    """Pods beyond `replicas` in a rollout, resolved to a number."""
    max_unavailable: int
    min_ready_seconds: int
    grace_seconds: int
    """How long a pod may take to stop."""
    rolling_out: bool
    autoscaler_max: int | None
    """`maxReplicas` of an HPA that owns `replicas`; None: there is no such HPA."""
    autoscaler_min: int | None = None
    """Its `minReplicas`; None: it never scales down, or there is none."""
    part_of_venue: bool = True
    """Whether it is labelled as a part of OpenVenue; others are not the operator's to change."""
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
    """The database server's connections, as the API's pods read them."""

    read_at: float
    max_connections: int
    reserved_connections: int
    """That only superusers and reserved roles get."""
    used_connections: int
    """By all clients, this venue's or not."""


class Engine(Value, frozen=True, kw_only=True):
    """The engine's gRPC server."""

    server_threads: int


class EnginePod(Value, frozen=True, kw_only=True):
    """The engine's pod."""

    name: str
    ready: bool
    restarts: int
    since: float
    """Since when it is ready, or not."""
    waits_for: str | None = None
    """Why it is not ready, in Kubernetes' words."""


class Observation(Value, frozen=True, kw_only=True):
    """All that a plan is made from, besides the spec and the clock."""

    generation: int
    """metadata.generation of the Venue."""
    deployment: Deployment | None
    pods: tuple[Pod, ...]
    applied: Tuning | None
    """In the tuning ConfigMap; None: there is none yet."""
    started_with: Tuning | None
    """What pods without a tuning file run, from the Deployment's environment; generation 0."""
    database: Database | None
    engine: Engine | None
    other_venue: str | None
    """Name of an older Venue that tunes the same Deployment."""
    obstacle: str | None = None
    """Why the last step could not be written, in words."""
    engine_pod: EnginePod | None = None
    """None: there is none."""


# --- What was planned -----------------------------------------------------------------------------


class Allocation(Value, frozen=True, kw_only=True):
    """How the API is, or is to be, set up."""

    replicas: int
    workers: int
    """A pod."""
    db_pool_size: int
    """A worker."""
    db_pool_overflow: int
    """A worker."""
    grpc_channels: int
    """A worker."""
    server_threads: int
    """Of the engine."""

    @property
    def connections_per_pod(self) -> int:
        """Database connections that one pod may hold."""
        return self.workers * (self.db_pool_size + self.db_pool_overflow)


class Budget(Value, frozen=True, kw_only=True):
    """Where the database's connections go, in the worst intermediate state."""

    limit: int
    pods_at_most: int
    connections_per_pod: int
    rest: int
    """Projector and migration."""
    total: int
    """`pods_at_most` times `connections_per_pod`, and `rest`; at most `limit` when carried out."""


class Input(Value, frozen=True, kw_only=True):
    """A figure that the plan was made from, and how old it was."""

    name: str
    value: float
    target: float | None = None
    age_seconds: float


class Seen(Value, frozen=True, kw_only=True):
    """What was last known: shown while nothing newer is, and never planned by."""

    inputs: tuple[Input, ...] = ()
    """Figures of the load, as old as they were then."""
    inputs_at: float = 0.0
    database: Database | None = None


class PoolTrial(Value, frozen=True, kw_only=True):
    """What pools did before they were enlarged: did it help?"""

    db_pool_size: int
    db_pool_overflow: int
    queries_per_s: float
    wait_ms: float


class Memory(Value, frozen=True, kw_only=True):
    """What the policy has to remember from one plan to the next."""

    high_since: float | None = None
    """Since when more workers are asked for."""
    low_since: float | None = None
    """Since when fewer would do."""
    pool_high_since: float | None = None
    pool_low_since: float | None = None
    pool_short_at: int | None = None
    """Connections of a worker with which queries had to wait: pools do not shrink to so few."""
    pool_short_seen_at: float | None = None
    """When they had to: after a day it is forgotten."""
    pool_trial: PoolTrial | None = None
    """Of the last time that pools were enlarged."""
    pool_held_until: float | None = None
    """Until then pools are not enlarged, for that did not help."""
    may_hold: int | None = None
    """Database connections that any one pod may hold, until all have taken over what is applied."""
    pods_at_most: int | None = None
    """The policy asks for no more pods than this until `pods_at_most_until`: more found no room."""
    pods_at_most_until: float | None = None
    late_since: dict[str, float] = msgspec.field(default_factory=dict)
    """Since when a pod, by its uid, has not run what it should; "": since when pods are missing."""
    changed_at: float | None = None
    """When the target was last changed: the cooldown runs from here."""
    target: Allocation | None = None
    """What the steps lead to."""
    reason: str | None = None
    """Why the target was last changed."""
    reached: bool = False
    """Whether the target has run everywhere since it was last changed."""
    seen: Seen = Seen()


class Situation(Value, frozen=True, kw_only=True):
    """All that a plan is made from: the same situation has the same plan, here or elsewhere."""

    spec: VenueSpec
    observation: Observation
    memory: Memory
    now: float


class Step(Value, frozen=True, kw_only=True):
    """What is to be written now. None or empty: nothing."""

    tuning: Tuning | None = None
    """New content of the tuning ConfigMap."""
    replicas: int | None = None
    server_threads: int | None = None
    nudge: tuple[str, ...] = ()
    """Names of pods whose annotation is to say the tuning's generation: they read it then."""

    @property
    def empty(self) -> bool:
        """Whether nothing is to be written."""
        return self == Step()


class Lateness(StrEnum):
    """Why a pod does not do what it should."""

    UNSCHEDULABLE = "Unschedulable"
    MISSING = "Missing"
    """The Deployment's controller has not made it."""
    NOT_READY = "NotReady"
    SILENT = "Silent"
    """It is ready, and its metrics cannot be had or not be believed."""
    BEHIND = "Behind"
    """It runs an older generation of the tuning."""
    LOST = "Lost"
    """It should have ended: its node may be gone."""


class LatePod(Value, frozen=True, kw_only=True):
    """A pod that does not run what it should, or not yet."""

    name: str
    """Of pods that are not there, the Deployment's."""
    reason: Lateness
    message: str
    since: float
    overdue: bool
    """Whether the deadline is over: nothing waits for it any more."""

    @property
    def has_no_room(self) -> bool:
        """Whether the cluster cannot take it."""
        return self.overdue and self.reason in (Lateness.UNSCHEDULABLE, Lateness.MISSING)

    @property
    def serves(self) -> bool:
        """Whether clients are sent to it."""
        return self.reason in (Lateness.SILENT, Lateness.BEHIND)


class Plan(Value, frozen=True, kw_only=True):
    """What to do, and why."""

    feasible: bool
    problem: str | None
    """Which numbers clash and what would fit, where not feasible; else None."""
    hold: str | None = None
    """Why nothing may be changed at all: another Venue's Deployment, or none."""
    fresh: bool
    """Whether metrics are there and young enough to tune by."""
    stale_because: str | None
    running: int = 0
    """Pods that run the applied tuning."""
    pods: int = 0
    """Pods there are, those on their way out included."""
    late: tuple[LatePod, ...] = ()
    """Pods that do not run what they should, the longest first."""
    load: dict[str, float] = msgspec.field(default_factory=dict)
    """The figures by name: ordersPerSecond, p99Ms and so on; empty where there are none."""
    settled: bool
    """Every pod runs the target, and there is nothing left to write."""
    inputs: tuple[Input, ...]
    """Figures of the load; where there are none to tune by, those last known, at their age."""
    database: Database | None = None
    """As last known, however old: the budget's own figures."""
    current: Allocation | None
    target: Allocation | None
    budget: Budget | None
    binding: str
    """The constraint that keeps the target from being larger (or smaller), in words."""
    next_step: str
    """What is written or waited for next, in words."""
    reason: str
    """Why the target is what it is: for the Event of a change."""
    step: Step
    memory: Memory

    @property
    def overdue(self) -> tuple[LatePod, ...]:
        """Pods that nothing waits for any more."""
        return tuple(one for one in self.late if one.overdue)
