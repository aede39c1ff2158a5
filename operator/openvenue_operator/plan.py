"""Decides what to do about a venue: a pure function of what was observed, the spec and the clock.

    target    what the load asks for (`law`), within the spec's bounds, as far as it fits the budget
    step      what is written now on the way there: whatever shrinks first, and only when every pod
              has taken that over, what grows

At every moment in between, the connections that all pods may come to hold are within the budget
(`budget`), whatever the rollout of the Deployment does meanwhile.
"""

from typing import NamedTuple

from openvenue_operator import law
from openvenue_operator.budget import (
    all_run,
    budget_of,
    fits,
    limit,
    limit_in_words,
    may_hold,
    per_pod,
    pods_at_most,
    rest,
    runs,
    sessions_at_most,
)
from openvenue_operator.model import (
    Allocation,
    Bounds,
    Deployment,
    Input,
    Memory,
    Mode,
    Observation,
    Plan,
    Pod,
    Seen,
    Step,
    Tuning,
    VenueSpec,
)

NUDGE_AGAIN_S = 5.0
OTHER_SESSIONS = 2
"""Of the engine's sessions, those that are not the API's: operator and command line."""
SESSIONS_SHARE = 2
"""One in so many of the engine's threads may hold a session."""
SESSIONS_PER_PEER_SHARE = 4
"""One in so many of the engine's threads may hold a session of one pod."""
AT_REST = "nothing: all pods run the target"


class _Situation(NamedTuple):
    """What a plan begins with."""

    spec: VenueSpec
    observation: Observation
    deployment: Deployment
    running: Tuning
    """What pods run, or take over: the applied tuning, or what they start with."""
    may_hold: int
    limit: int | None
    now: float

    @property
    def current(self) -> Allocation:
        """How the API is set up."""
        engine = self.observation.engine
        return Allocation(
            replicas=self.deployment.replicas,
            workers=self.running.workers,
            db_pool_size=self.running.db_pool_size,
            db_pool_overflow=self.running.db_pool_overflow,
            grpc_channels=self.running.grpc_channels,
            # An engine that cannot be asked cannot be told either: nothing is built on its threads.
            server_threads=engine.server_threads if engine else self.spec.engine.server_threads.min,
        )


class _Choice(NamedTuple):
    """A target, and what goes with it."""

    target: Allocation
    reason: str
    binding: str
    memory: Memory


def plan(spec: VenueSpec, observation: Observation, memory: Memory, now: float) -> Plan:
    """Plan the next step, and say why."""
    hold = _hold(spec, observation)
    running = observation.applied or observation.started_with
    deployment = observation.deployment
    if hold is not None or running is None or deployment is None:
        hold = hold or "what its pods start with cannot be read from the Deployment"
        return _held(memory, hold)
    seen = memory.seen.replace(database=observation.database or memory.seen.database)
    observation = _without_old_facts(spec, observation, now)
    holds = may_hold(observation, memory.may_hold)
    situation = _Situation(
        spec=_with_autoscaler(spec, deployment),
        observation=observation,
        deployment=deployment,
        running=running,
        may_hold=holds,
        limit=limit(spec, observation, holds),
        now=now,
    )
    return _plan(situation, memory.replace(may_hold=holds, seen=seen))


def _plan(situation: _Situation, memory: Memory) -> Plan:
    spec, observation, deployment, running, holds, bound, now = situation
    current = situation.current
    stale_because = _stale_because(spec, observation, now)
    load = law.load_of(observation.pods, now)
    if load is not None:
        seen = memory.seen.replace(inputs=load.inputs(spec), inputs_at=now)
        memory = memory.replace(seen=seen)
    if stale_because is not None:
        load = None
    if spec.mode is not Mode.AUTO:
        # Nobody carries out what is planned here: the law goes by what runs, and by no plan before.
        memory = memory.replace(target=current)
    asked = _within_bounds(memory.target or current, spec)
    demand = None
    if load is not None and _in_place(situation, asked):
        demand = law.demand_of(load, asked, spec, memory.pool_short_at)
    memory = law.watched(demand, asked, spec, memory, now)
    is_considered = bound is not None or _is_asked_for(memory.target, asked, situation)
    choice = _Choice(asked, _why(memory, asked, current), "the bounds of the spec", memory)

    def described(
        target: Allocation | None, step: Step, next_step: str, *, binding: str, problem: str | None
    ) -> Plan:
        return Plan(
            feasible=problem is None,
            problem=problem,
            hold=None,
            fresh=stale_because is None,
            stale_because=stale_because,
            running=sum(runs(pod, running) for pod in observation.pods),
            pods=len(observation.pods),
            load={} if load is None else _figures(load),
            settled=problem is None
            and is_considered
            and step.empty
            and target is not None
            and _in_place(situation, target),
            inputs=_aged(memory.seen, now),
            database=memory.seen.database,
            current=current,
            target=target,
            budget=None
            if bound is None
            else budget_of(
                spec,
                deployment,
                replicas=deployment.replicas,
                connections_per_pod=holds,
                limit=bound,
                pods=observation.pods,
            ),
            binding=binding,
            next_step=_told(situation, next_step, step, stale_because),
            reason=choice.reason,
            step=step,
            memory=choice.memory.replace(target=target)
            if spec.mode is Mode.AUTO
            else memory.replace(target=None),
        )

    if bound is None:
        # What was planned before had its budget: it may be restored, no more.
        kept = memory.target
        step = Step()
        if kept is not None and _may_restore_replicas(kept, situation):
            step = Step(replicas=kept.replicas)
        wait = "waits for a pod that tells how many connections the database allows"
        return described(
            kept, step, wait if step.empty else _words(step), binding="nothing known", problem=None
        )
    least = _least(spec, current)
    if not _has_room(least, situation):
        problem = _clash(least, situation)
        return described(
            memory.target,
            Step(),
            f"nothing: {problem}",
            binding="the minima of the bounds, which do not fit",
            problem=problem,
        )
    choice = _chosen(choice, demand, situation)
    target = choice.target.replace(
        server_threads=_threads_for(choice.target, situation)
        if observation.engine is not None
        else current.server_threads  # Nobody is there to be told another number.
    )
    step, next_step = _next(target, situation)
    return described(target, step, next_step, binding=choice.binding, problem=None)


def _chosen(kept: _Choice, demand: law.Demand | None, situation: _Situation) -> _Choice:
    """Grant the first of the law's wishes for which there is room; else keep what there is."""
    spec = situation.spec
    fitted = kept._replace(target=_fitted(kept.target, situation))
    refused = None if fitted.target == kept.target else kept.target
    if demand is not None:
        fitted = fitted._replace(binding=_of_load(demand, kept.target, spec))
        for wish in law.wishes(demand, kept.target, spec, kept.memory, situation.now):
            target = _fitted(wish.allocation, situation)
            if target != fitted.target:
                refused = None if target == wish.allocation else wish.allocation
                fitted = _Choice(target, wish.reason, fitted.binding, wish.memory)
                break
            refused = refused or wish.allocation
    if refused is None:
        return fitted
    return fitted._replace(binding=_limit_of(refused, situation))


# --- Steps ----------------------------------------------------------------------------------------


def _next(target: Allocation, situation: _Situation) -> tuple[Step, str]:
    """Return what to write now, and what that or the waiting is about."""
    spec, observation, deployment, running, holds, bound, _now = situation
    current = situation.current
    goal = _tuning(target, running, spec)
    shrunk = _tuning(_smaller(current, target), running, spec)
    # The first is written in any case: pods may run something else than their Deployment says.
    if observation.applied is None or _differs(shrunk, running):
        fewer = target.replicas if target.replicas < deployment.replicas else None
        goes_on = per_pod(goal) > per_pod(shrunk) or goal.grpc_channels > shrunk.grpc_channels
        tuning = shrunk if goes_on else goal
        step = Step(tuning=_numbered(tuning, observation), replicas=fewer)
        return step, _words(step)
    if deployment.replicas > target.replicas and _has_replicas(situation):
        step = Step(replicas=target.replicas)
        return step, _words(step)

    nudged = _to_nudge(situation)
    if holds > per_pod(running):
        behind = sum(not runs(pod, running) for pod in observation.pods)
        wait = f"waits for {behind} pods to take over generation {running.generation}"
        return Step(nudge=nudged), wait
    grows = Step(
        tuning=_numbered(goal, observation) if _differs(goal, running) else None,
        replicas=target.replicas
        if target.replicas > deployment.replicas and _has_replicas(situation)
        else None,
        server_threads=target.server_threads
        if target.server_threads > current.server_threads
        else None,
    )
    if not grows.empty:
        most = pods_at_most(deployment, target.replicas, observation.pods)
        total = most * max(holds, per_pod(goal)) + rest(spec)
        if bound is not None and total > bound:
            wait = f"waits for pods to stop: {most} of them could hold {total} connections"
            return Step(nudge=nudged), wait
        return grows, _words(grows)
    if nudged:
        return Step(nudge=nudged), f"has {len(nudged)} pods read generation {running.generation}"
    if not _in_place(situation, target):
        return Step(), "waits for pods to start or stop"
    if target.server_threads < current.server_threads:
        step = Step(server_threads=target.server_threads)
        return step, _words(step)
    return Step(), AT_REST


def _may_restore_replicas(kept: Allocation, situation: _Situation) -> bool:
    """Whether to have as many pods again as were planned, while nobody knows the budget.

    More of them had room as soon as none held more than was planned, and beside none that drain.
    """
    replicas = situation.deployment.replicas
    if not _has_replicas(situation) or replicas == kept.replicas:
        return False
    draining = any(pod.terminating for pod in situation.observation.pods)
    return replicas > kept.replicas or (
        not draining and situation.may_hold <= kept.connections_per_pod
    )


def _to_nudge(situation: _Situation) -> tuple[str, ...]:
    """Pods that run an older generation than the applied one and were not told, or long ago."""
    applied, now = situation.observation.applied, situation.now
    if applied is None:
        return ()

    def is_behind(pod: Pod) -> bool:
        return (
            not pod.terminating
            and pod.report is not None
            and any(generation != applied.generation for generation in pod.report.generations)
        )

    def was_told(pod: Pod) -> bool:
        return (
            pod.nudged_generation == applied.generation
            and pod.nudged_at is not None
            and now - pod.nudged_at < NUDGE_AGAIN_S
        )

    return tuple(
        pod.name for pod in situation.observation.pods if is_behind(pod) and not was_told(pod)
    )


def _smaller(current: Allocation, target: Allocation) -> Allocation:
    """Whatever either has less of: on the way from one to the other, nothing grows by it."""
    pool = min(current, target, key=lambda one: one.db_pool_size + one.db_pool_overflow)
    return target.replace(
        replicas=min(current.replicas, target.replicas),
        workers=min(current.workers, target.workers),
        db_pool_size=pool.db_pool_size,
        db_pool_overflow=pool.db_pool_overflow,
        grpc_channels=min(current.grpc_channels, target.grpc_channels),
    )


def _tuning(allocation: Allocation, running: Tuning, spec: VenueSpec) -> Tuning:
    """What a tuning file says of an allocation, under the generation that runs."""
    return Tuning(
        generation=running.generation,
        workers=allocation.workers,
        db_pool_size=allocation.db_pool_size,
        db_pool_overflow=allocation.db_pool_overflow,
        grpc_channels=allocation.grpc_channels,
        log_level=spec.api.log_level,
    )


def _numbered(tuning: Tuning, observation: Observation) -> Tuning:
    """Give a tuning a generation that no pod has seen."""
    seen = [
        generation
        for pod in observation.pods
        if pod.report is not None
        for generation in pod.report.generations
    ]
    applied = observation.applied.generation if observation.applied else 0
    return tuning.replace(generation=max([applied, *seen]) + 1)


def _differs(one: Tuning, other: Tuning) -> bool:
    return one.replace(generation=0) != other.replace(generation=0)


def _in_place(situation: _Situation, target: Allocation) -> bool:
    """Whether there are as many pods as the target says, ready, and each runs it."""
    pods, deployment = situation.observation.pods, situation.deployment
    return (
        not _differs(_tuning(target, situation.running, situation.spec), situation.running)
        and deployment.replicas == target.replicas == len(pods)
        and not deployment.rolling_out
        and all(pod.ready for pod in pods)
        and all_run(situation.observation, situation.running)
    )


# --- Targets --------------------------------------------------------------------------------------


def _within_bounds(allocation: Allocation, spec: VenueSpec) -> Allocation:
    api = spec.api
    return allocation.replace(
        replicas=_clamp(allocation.replicas, api.replicas),
        workers=_clamp(allocation.workers, api.workers_per_pod),
        db_pool_size=_clamp(allocation.db_pool_size, api.db_pool_size),
        db_pool_overflow=_clamp(allocation.db_pool_overflow, api.db_pool_overflow),
        grpc_channels=_clamp(allocation.grpc_channels, api.grpc_channels),
    )


def _least(spec: VenueSpec, current: Allocation) -> Allocation:
    api = spec.api
    return current.replace(
        replicas=api.replicas.min,
        workers=api.workers_per_pod.min,
        db_pool_size=api.db_pool_size.min,
        db_pool_overflow=api.db_pool_overflow.min,
        grpc_channels=api.grpc_channels.min,
    )


def _fitted(asked: Allocation, situation: _Situation) -> Allocation:
    """Take away what does not fit: overflow first, then pools, then workers and pods.

    Where it is sessions that do not fit: channels first, then workers and pods.
    """
    api = situation.spec.api
    while not _has_room(asked, situation):
        has_sessions = _has_sessions(asked, situation)
        if not has_sessions and asked.grpc_channels > api.grpc_channels.min:
            asked = asked.replace(grpc_channels=asked.grpc_channels - 1)
        elif has_sessions and asked.db_pool_overflow > api.db_pool_overflow.min:
            asked = asked.replace(db_pool_overflow=asked.db_pool_overflow - 1)
        elif has_sessions and asked.db_pool_size > api.db_pool_size.min:
            asked = asked.replace(db_pool_size=asked.db_pool_size - 1)
        else:
            fewer = law.fewer_workers(asked, api)
            if fewer is None:
                return _least(situation.spec, asked)
            asked = fewer
    return asked


def _has_room(allocation: Allocation, situation: _Situation) -> bool:
    spec, deployment, bound = situation.spec, situation.deployment, situation.limit
    return (bound is None or fits(allocation, deployment, spec, bound)) and _has_sessions(
        allocation, situation
    )


def _has_sessions(allocation: Allocation, situation: _Situation) -> bool:
    return _threads_needed(allocation, situation) <= situation.spec.engine.server_threads.max


def _threads_needed(allocation: Allocation, situation: _Situation) -> int:
    sessions = sessions_at_most(allocation, situation.deployment) + OTHER_SESSIONS
    of_one_pod = allocation.workers * allocation.grpc_channels
    return max(SESSIONS_SHARE * sessions, SESSIONS_PER_PEER_SHARE * of_one_pod)


def _threads_for(allocation: Allocation, situation: _Situation) -> int:
    return _clamp(_threads_needed(allocation, situation), situation.spec.engine.server_threads)


def _clamp(value: int, bounds: Bounds) -> int:
    return min(max(value, bounds.min), bounds.max)


def _is_asked_for(kept: Allocation | None, asked: Allocation, situation: _Situation) -> bool:
    """Whether the target that is kept is also what the spec asks for, as far as it says.

    What the database allows is not known here: of the budget only the cap is.
    """
    spec, engine = situation.spec, situation.observation.engine
    cap, headroom = spec.connections.cap, spec.connections.headroom
    return (
        kept == asked
        and (engine is None or engine.server_threads == _threads_for(asked, situation))
        and (cap is None or fits(asked, situation.deployment, spec, cap - headroom))
    )


# --- What keeps a plan from being made ------------------------------------------------------------


def _hold(spec: VenueSpec, observation: Observation) -> str | None:
    if observation.other_venue is not None:
        return f"Venue {observation.other_venue}, which is older, tunes {spec.api.deployment}"
    if observation.deployment is None:
        return f"there is no Deployment {spec.api.deployment}"
    return None


def _held(memory: Memory, hold: str) -> Plan:
    return Plan(
        feasible=False,
        problem=hold,
        hold=hold,
        fresh=False,
        stale_because=hold,
        settled=False,
        inputs=(),
        current=None,
        target=None,
        budget=None,
        binding=hold,
        next_step=f"nothing: {hold}",
        reason=hold,
        step=Step(),
        memory=memory,
    )


def _without_old_facts(spec: VenueSpec, observation: Observation, now: float) -> Observation:
    """Leave out what the database said too long ago."""
    database = observation.database
    if database is None or now - database.read_at <= spec.tuning.max_metrics_age_seconds:
        return observation
    return observation.replace(database=None)


def _stale_because(spec: VenueSpec, observation: Observation, now: float) -> str | None:
    """Why the load is not known well enough to tune by; None where it is."""
    ready = [pod for pod in observation.pods if pod.ready and not pod.terminating]
    if not ready:
        return "no pod of the API is ready"
    silent = [pod for pod in ready if pod.report is None]
    if 2 * len(silent) > len(ready):
        first = silent[0]
        return f"{len(silent)} of {len(ready)} pods do not say how they are: {first.problem}"
    told = [pod.report for pod in ready if pod.report is not None]
    new = [one for one in told if one.load is not None]
    if not new:
        return "pods were read only once"
    age_s = now - min(one.read_at for one in new)
    if age_s > spec.tuning.max_metrics_age_seconds:
        return f"metrics are {age_s:.0f} s old"
    return None


def _with_autoscaler(spec: VenueSpec, deployment: Deployment) -> VenueSpec:
    """Where an autoscaler owns the replicas, they are as they are."""
    if deployment.autoscaler_max is None:
        return spec
    as_it_is = Bounds(min=deployment.replicas, max=deployment.replicas)
    return spec.replace(api=spec.api.replace(replicas=as_it_is))


def _has_replicas(situation: _Situation) -> bool:
    """Whether the replicas are the operator's to set."""
    return situation.deployment.autoscaler_max is None


# --- Words ----------------------------------------------------------------------------------------


def _clash(least: Allocation, situation: _Situation) -> str:
    """Which numbers clash, and what would fit."""
    spec, observation, deployment, _running, holds, bound, _now = situation
    if bound is None or fits(least, deployment, spec, bound):
        needed = _threads_needed(least, situation)
        return (
            f"the least that the bounds allow needs {needed} engine threads, "
            f"engine.serverThreads.max is {spec.engine.server_threads.max}: raise it"
        )
    most = pods_at_most(deployment, least.replicas)
    total = most * least.connections_per_pod + rest(spec)
    fewer = next(
        (
            replicas
            for replicas in range(least.replicas - 1, 0, -1)
            if fits(least.replace(replicas=replicas), deployment, spec, bound)
        ),
        None,
    )
    remedy = "" if fewer is None else f"lower api.replicas.min to {fewer}, or "
    if deployment.autoscaler_max is not None:
        remedy = "lower the autoscaler's maxReplicas, or "
    return (
        f"the least that the bounds allow is {most} pods at a time ({_pods_in_words(deployment)}) "
        f"with {least.workers} workers of {least.db_pool_size}+{least.db_pool_overflow} "
        f"connections, and {rest(spec)} for projector and migration: {total} connections, but the "
        f"budget is {bound} ({limit_in_words(spec, observation, holds)}): "
        f"{remedy}raise the budget by {total - bound}"
    )


def _pods_in_words(deployment: Deployment) -> str:
    if deployment.autoscaler_max is not None:
        return (
            f"the autoscaler's maximum of {deployment.autoscaler_max}, a rollout's, and those that "
            "it lets go"
        )
    return "those of api.replicas.min, and a rollout's"


def _of_load(demand: law.Demand, allocation: Allocation, spec: VenueSpec) -> str:
    """What the load says of the number of workers."""
    at_most = allocation.replicas * allocation.workers >= (
        spec.api.replicas.max * spec.api.workers_per_pod.max
    )
    if at_most and law.is_high(demand, spec):
        return (
            f"api.replicas.max of {spec.api.replicas.max} and api.workersPerPod.max of "
            f"{spec.api.workers_per_pod.max}, though {demand.because}"
        )
    return f"the load: {demand.because}"


def _limit_of(allocation: Allocation, situation: _Situation) -> str:
    """What an allocation exceeds."""
    spec, observation, deployment, _running, holds, bound, _now = situation
    if bound is not None and not fits(allocation, deployment, spec, bound):
        return f"the budget of {bound} connections ({limit_in_words(spec, observation, holds)})"
    return f"engine.serverThreads.max of {spec.engine.server_threads.max}"


def _why(memory: Memory, asked: Allocation, current: Allocation) -> str:
    if memory.target is None:
        return "the first plan: what runs, within the bounds"
    if memory.target != asked:
        return "the bounds of the spec have changed"
    if asked != current:
        return "what runs is not yet, or no longer, what was planned"
    return "the load is as it was"


def _words(step: Step) -> str:
    """What a step writes."""
    parts = []
    if step.server_threads is not None:
        parts.append(f"{step.server_threads} engine threads")
    if step.tuning is not None:
        tuning = step.tuning
        parts.append(
            f"generation {tuning.generation}: {tuning.workers} workers x "
            f"({tuning.db_pool_size}+{tuning.db_pool_overflow}), {tuning.grpc_channels} channels"
        )
    if step.replicas is not None:
        parts.append(f"{step.replicas} pods")
    return "; ".join(parts)


def _told(situation: _Situation, next_step: str, step: Step, stale_because: str | None) -> str:
    """What is next, and where that is nothing, or not for the first time, why."""
    obstacle = situation.observation.obstacle
    if next_step == AT_REST and stale_because is not None:
        return f"{next_step}; holds, for {stale_because}"
    if step.empty:
        return next_step
    if situation.spec.mode is not Mode.AUTO:
        return f"in mode Auto would write: {next_step}"
    return next_step if obstacle is None else f"tries again: {next_step}; {obstacle}"


def _aged(seen: Seen, now: float) -> tuple[Input, ...]:
    """The figures last known, as old as they are now."""
    older_s = now - seen.inputs_at
    return tuple(
        one.replace(age_seconds=round(one.age_seconds + older_s, 1)) for one in seen.inputs
    )


def _figures(load: law.Load) -> dict[str, float]:
    return {
        "ordersPerSecond": load.orders_per_s,
        "p99Ms": load.p99_ms,
        "cpuPercent": load.cpu_percent,
    }
