"""Decides what to do about a venue: a pure function of what was observed, the spec and the clock.

target    what the load asks for (`law`), within the spec's bounds, as far as there is room (`room`)
step      what is written now on the way there (`steps`), within the budget at every moment
          (`budget`)
words     what is told of it (`words`)
"""

from typing import NamedTuple

from openvenue_operator import law, room, steps, words
from openvenue_operator.budget import budget_of, limit, may_hold, runs
from openvenue_operator.model import (
    Allocation,
    Bounds,
    Deployment,
    Input,
    Memory,
    Mode,
    Observation,
    Plan,
    Seen,
    Step,
    VenueSpec,
)
from openvenue_operator.situation import Situation


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
    situation = Situation(
        spec=_with_autoscaler(spec, deployment),
        observation=observation,
        deployment=deployment,
        running=running,
        may_hold=holds,
        limit=limit(spec, observation, holds),
        now=now,
    )
    return _plan(situation, memory.replace(may_hold=holds, seen=seen))


def _plan(situation: Situation, memory: Memory) -> Plan:
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
    asked = room.within_bounds(memory.target or current, spec)
    demand = None
    if load is not None and situation.in_place(asked):
        demand = law.demand_of(load, asked, spec, memory.pool_short_at)
    memory = law.watched(demand, asked, spec, memory, now)
    is_considered = bound is not None or room.is_asked_for(memory.target, asked, situation)
    choice = _Choice(asked, words.reason(memory, asked, current), "the bounds of the spec", memory)

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
            and situation.in_place(target),
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
            next_step=words.told(situation, next_step, step, stale_because),
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
        if kept is not None and steps.may_restore_replicas(kept, situation):
            step = Step(replicas=kept.replicas)
        wait = "waits for a pod that tells how many connections the database allows"
        return described(
            kept,
            step,
            wait if step.empty else words.step_in_words(step),
            binding="nothing known",
            problem=None,
        )
    least = room.least_of(spec, current)
    if not room.has_room(least, situation):
        problem = words.clash(least, situation)
        return described(
            memory.target,
            Step(),
            f"nothing: {problem}",
            binding="the minima of the bounds, which do not fit",
            problem=problem,
        )
    choice = _chosen(choice, demand, situation)
    target = choice.target.replace(
        server_threads=room.threads_for(choice.target, situation)
        if observation.engine is not None
        else current.server_threads  # Nobody is there to be told another number.
    )
    step, next_step = steps.next_step(target, situation)
    return described(target, step, next_step, binding=choice.binding, problem=None)


def _chosen(kept: _Choice, demand: law.Demand | None, situation: Situation) -> _Choice:
    """Grant the first of the law's wishes for which there is room; else keep what there is."""
    spec = situation.spec
    fitted = kept._replace(target=room.fitted(kept.target, situation))
    refused = None if fitted.target == kept.target else kept.target
    if demand is not None:
        fitted = fitted._replace(binding=words.load_in_words(demand, kept.target, spec))
        for wish in law.wishes(demand, kept.target, spec, kept.memory, situation.now):
            target = room.fitted(wish.allocation, situation)
            if target != fitted.target:
                refused = None if target == wish.allocation else wish.allocation
                fitted = _Choice(target, wish.reason, fitted.binding, wish.memory)
                break
            refused = refused or wish.allocation
    if refused is None:
        return fitted
    return fitted._replace(binding=words.excess(refused, situation))


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
