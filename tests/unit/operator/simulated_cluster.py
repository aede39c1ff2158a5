"""A Deployment, its pods and the operator's steps, a second at a time, with any bad luck.

Pods start, take over the tuning file, and stop whenever the test lets them. Each counts as if it
held all the connections that it may.
"""

import math
from dataclasses import dataclass, field

from openvenue_operator.budget import per_pod, rest
from openvenue_operator.model import (
    Database,
    Deployment,
    Engine,
    Memory,
    Observation,
    Plan,
    Pod,
    PodLoad,
    PodReport,
    Step,
    Tuning,
)
from openvenue_operator.plan import plan
from openvenue_operator.spec import Bounds, Mode, VenueSpec

SETTLE_S = 5
"""Time between two reconciliations without bad luck."""
LOST_AFTER_S = 25
"""Time after which the database drops the connections of a pod whose node failed."""
QUIET = 12
"""Reconciliations without a change, after which time passes faster."""
FASTER = 6


@dataclass
class SimulatedPod:
    """One pod of the API."""

    name: str
    revision: int
    created_at: float
    running: Tuning
    nudged: tuple[int, float] | None = None
    ready_at: float | None = None
    stops_at: float | None = None
    is_scheduled: bool = True
    never_ready: bool = False
    """It crashes whenever it starts; it may hold connections anyway."""
    never_follows: bool = False
    """One of its workers hangs, so it never runs the tuning as a whole."""
    node_lost_at: float | None = None
    """When its node failed: the pod does not end, and nobody hears of it."""

    def holds(self, now: float) -> int:
        """Return the connections that it may hold; the database drops those of a silent client."""
        if not self.is_scheduled:
            return 0
        if self.node_lost_at is not None and now - self.node_lost_at > LOST_AFTER_S:
            return 0
        return per_pod(self.running)


@dataclass
class SimulatedCluster:
    """A venue's API on a cluster, with its operator."""

    spec: VenueSpec
    start_with: Tuning
    max_connections: int
    reserved_connections: int = 3
    max_surge: int = 1
    max_unavailable: int = 0
    min_ready_seconds: int = 30
    grace_seconds: int = 30
    autoscaler: Bounds | None = None
    replicas: int = 1
    now: float = 1000.0
    load: PodLoad | None = None
    db_in_use: int = 0
    """Database connections in use in each pod."""
    revision: int = 0
    rolled_out_at: float = 0.0
    scaled_down_at: float = 0.0
    applied: Tuning | None = None
    server_threads: int = 64
    pods: list[SimulatedPod] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    room: int = 1000
    """Number of pods for which the nodes have room."""
    memory: Memory = field(default_factory=Memory)
    writes: list[Step] = field(default_factory=list)
    _numbers: int = 0

    @property
    def connections(self) -> int:
        """Number of connections that the venue may hold at this moment."""
        return sum(pod.holds(self.now) for pod in self.pods) + rest(self.spec)

    @property
    def limit(self) -> int:
        """Number of connections that the venue is allowed."""
        allowed = self.max_connections - self.reserved_connections
        return min(allowed, self.spec.connections.cap or allowed) - self.spec.connections.headroom

    # --- The cluster's actions --------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        """Stop pods that should stop, and let the Deployment's controller work."""
        self.now += seconds
        self.pods = [pod for pod in self.pods if pod.stops_at is None or pod.stops_at > self.now]
        self._control()
        self._schedule()

    def _schedule(self) -> None:
        """Bind pods to nodes while there is room; they then read the tuning."""
        bound = sum(pod.is_scheduled for pod in self.pods)
        for pod in [pod for pod in self.pods if not pod.is_scheduled][: max(0, self.room - bound)]:
            pod.is_scheduled = True
            pod.running = self.applied or self.start_with

    def roll_out(self) -> None:
        """Change the pod template, unless pods of the last change may still drain.

        No budget has room for any number of rollouts at once: see docs/tuning.md.
        """
        if self.now - self.rolled_out_at >= self.grace_seconds:
            self.revision += 1
            self.rolled_out_at = self.now

    def become_ready(self, choice: int) -> None:
        """Make one of the starting pods ready."""
        starting = [
            pod
            for pod in self._staying
            if pod.ready_at is None and pod.is_scheduled and not pod.never_ready
        ]
        if starting:
            starting[choice % len(starting)].ready_at = self.now

    def read_file(self, choice: int) -> None:
        """Let one of the pods take over the file's tuning."""
        behind = [
            pod
            for pod in self._staying
            if self.applied and pod.running != self.applied and not pod.never_follows
        ]
        if behind and self.applied:
            behind[choice % len(behind)].running = self.applied

    def lose_node(self, choice: int) -> None:
        """Let the node of one of the pods fail, and the pod be evicted.

        Not while the database still has the connections of another such pod: no budget has room
        for any number of nodes that fail at once, before the operator looks again.
        """
        lost = (pod.node_lost_at for pod in self.pods if pod.node_lost_at is not None)
        if any(self.now - lost_at <= LOST_AFTER_S for lost_at in lost):
            return
        if self._staying:
            pod = self._staying[choice % len(self._staying)]
            pod.ready_at, pod.node_lost_at, pod.stops_at = None, self.now, math.inf

    def break_pod(self, choice: int, how: str) -> None:
        """Break a pod for good: `crash`, `hang`, `silent`, `node`."""
        if not self._staying:
            return
        pod = self._staying[choice % len(self._staying)]
        if how == "crash":
            pod.ready_at, pod.never_ready = None, True
        elif how == "hang":
            pod.never_follows = True
        elif how == "silent":
            self.silent.add(pod.name)
        else:
            self.lose_node(choice)

    def scale(self, choice: int) -> None:
        """Let the autoscaler choose any number that it may; without one, somebody scales down.

        An autoscaler scales up at once, and down only if it has not done so for a while. No budget
        has room for more pods by hand.
        """
        if self.autoscaler is None:
            self.replicas = max(1, self.replicas - choice)
            return
        wanted = min(self.autoscaler.min + choice, self.autoscaler.max)
        if wanted < self.replicas:
            if self.now - self.scaled_down_at < self.grace_seconds:
                return
            self.scaled_down_at = self.now
        self.replicas = wanted

    @property
    def _staying(self) -> list[SimulatedPod]:
        return [pod for pod in self.pods if pod.stops_at is None]

    def _control(self) -> None:
        """Do one round of the Deployment's controller."""
        staying = self._staying
        old = [pod for pod in staying if pod.revision != self.revision]
        new = [pod for pod in staying if pod.revision == self.revision]
        while len(staying) > self.replicas + (self.max_surge if old else 0):
            # A ReplicaSet's controller also removes unready pods first.
            staying.sort(key=lambda one: (one.is_scheduled, one.ready_at is not None), reverse=True)
            pod = staying.pop()
            self._stop(pod)
        new = [pod for pod in staying if pod.revision == self.revision]
        while len(new) < self.replicas and len(staying) < self.replicas + (
            self.max_surge if old else 0
        ):
            made = self._start()
            new.append(made)
            staying.append(made)
        available = [
            pod
            for pod in staying
            if pod.ready_at is not None and self.now - pod.ready_at >= self.min_ready_seconds
        ]
        for pod in [pod for pod in staying if pod.revision != self.revision]:
            is_available = pod in available
            least = self.replicas - self.max_unavailable
            if is_available and len(available) <= least:
                continue
            if is_available:
                available.remove(pod)
            self._stop(pod)

    def _start(self) -> SimulatedPod:
        self._numbers += 1
        pod = SimulatedPod(
            name=f"pod-{self._numbers}",
            revision=self.revision,
            created_at=self.now,
            running=self.applied or self.start_with,
            is_scheduled=sum(pod.is_scheduled for pod in self.pods) < self.room,
        )
        self.pods.append(pod)
        return pod

    def _stop(self, pod: SimulatedPod) -> None:
        if pod.ready_at is None:
            # It has no clients to wait for.
            self.pods.remove(pod)
        pod.stops_at = self.now + self.grace_seconds - 0.5

    # --- The operator's actions -------------------------------------------------------------------

    def observe(self) -> Observation:
        """Return the operator's observation."""
        return Observation(
            generation=1,
            deployment=Deployment(
                uid="d",
                replicas=self.replicas,
                max_surge=self.max_surge,
                max_unavailable=self.max_unavailable,
                min_ready_seconds=self.min_ready_seconds,
                grace_seconds=self.grace_seconds,
                rolling_out=any(pod.revision != self.revision for pod in self._staying),
                autoscaler_max=self.autoscaler.max if self.autoscaler else None,
                autoscaler_min=self.autoscaler.min if self.autoscaler else None,
            ),
            pods=tuple(self._observe(pod) for pod in self.pods),
            applied=self.applied,
            started_with=self.start_with,
            database=Database(
                read_at=self.now,
                max_connections=self.max_connections,
                reserved_connections=self.reserved_connections,
                used_connections=self.connections,
            )
            if any(pod.name not in self.silent for pod in self.pods)
            else None,
            engine=Engine(server_threads=self.server_threads),
            other_venue=None,
        )

    def _observe(self, pod: SimulatedPod) -> Pod:
        running = pod.running
        is_silent = pod.name in self.silent or pod.ready_at is None
        # A draining pod that was never ready has no clients to wait for, and no report.
        report = PodReport(
            read_at=self.now,
            workers=running.workers,
            workers_wanted=running.workers,
            workers_leaving=0,
            generations=(running.generation - pod.never_follows,) * running.workers,
            db_pool_size=running.workers * running.db_pool_size,
            db_pool_overflow=running.workers * running.db_pool_overflow,
            db_connections=pod.holds(self.now),
            db_in_use=self.db_in_use,
            load=self.load,
        )
        return Pod(
            name=pod.name,
            uid=pod.name,
            created_at=pod.created_at,
            ready=pod.ready_at is not None and pod.stops_at is None,
            terminating=pod.stops_at is not None,
            restarts=0,
            nudged_generation=pod.nudged[0] if pod.nudged else None,
            nudged_at=pod.nudged[1] if pod.nudged else None,
            report=None if is_silent else report,
            problem="is silent" if is_silent else None,
            scheduled=pod.is_scheduled,
            unready_since=pod.created_at if pod.ready_at is None else None,
            waits_for=None if pod.is_scheduled else "0/1 nodes are available",
            ends_by=min(pod.stops_at, (pod.node_lost_at or self.now) + self.grace_seconds)
            if pod.stops_at is not None
            else None,
        )

    def reconcile(self, writes: int = 9) -> Plan:
        """Reconcile once, with an operator that is killed after this many writes."""
        planned = plan(self.spec, self.observe(), self.memory, self.now)
        self.memory = planned.memory
        step = planned.step if self.spec.mode is Mode.AUTO else Step()
        if not step.empty:
            self.writes.append(step)
        if step.server_threads is not None and writes > 0:
            self.server_threads = step.server_threads
            writes -= 1
        if step.tuning is not None and writes > 0:
            self.applied = step.tuning
            writes -= 1
        if step.replicas is not None and writes > 0:
            self.replicas = step.replicas
            writes -= 1
        for pod in self.pods:
            if pod.name in step.nudge and writes > 0 and self.applied:
                pod.nudged = (self.applied.generation, self.now)
                writes -= 1
        return planned

    def heal(self) -> None:
        """Repair all pods."""
        self.silent.clear()
        self.room = 1000
        for pod in self.pods:
            pod.never_ready = pod.never_follows = False

    def fingerprint(self) -> tuple[object, ...]:
        """The state that differs whenever something has happened."""
        pods = ((pod.name, pod.ready_at, pod.stops_at, pod.running) for pod in self.pods)
        return (len(self.writes), *pods)

    def settle(self, seconds: int = 1200, *, healed: bool = True) -> Plan:
        """Let everything happen that is due, without bad luck."""
        if healed:
            self.heal()
        until, quiet = self.now + max(seconds, SETTLE_S), 0
        while self.now < until:
            before = self.fingerprint()
            self.pass_time(min(SETTLE_S * (FASTER if quiet >= QUIET else 1), until - self.now))
            for _pod in self.pods:
                self.become_ready(0)
                self.read_file(0)
            self.reconcile()
            quiet = quiet + 1 if self.fingerprint() == before else 0
        return plan(self.spec, self.observe(), self.memory, self.now)
