"""Decides what to do about a venue: a pure function of the observation, the spec and the clock.

target    the load's demand (`policy`), within the spec's bounds and the `capacity`
step      the next write on the way there (`steps`), within the budget at every moment
          (`budget`)
words     its description (`messages`)
"""

from typing import NamedTuple

from openvenue_operator import capacity, messages, policy, steps
from openvenue_operator.budget import budget_of, limit, may_hold, runs
from openvenue_operator.context import Context
from openvenue_operator.load import Load, load_of
from openvenue_operator.model import (
    Allocation,
    Deployment,
    Input,
    Lateness,
    Memory,
    Observation,
    Plan,
    Seen,
    Step,
)
from openvenue_operator.phrases import count
from openvenue_operator.pods import attendance, is_lost
from openvenue_operator.spec import Bounds, Mode, VenueSpec


class _Choice(NamedTuple):
    """A target with its memory and reasons."""

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
    present = attendance(spec, observation, deployment, running, memory.late_since, now)
    observation = _without_old_facts(spec, observation, now).replace(
        pods=tuple(pod for pod in observation.pods if not is_lost(pod, now))
    )
    holds = may_hold(observation, memory.may_hold)
    context = Context(
        spec=_with_autoscaler(spec, deployment),
        observation=observation,
        deployment=deployment,
        running=running,
        may_hold=holds,
        limit=limit(spec, observation, holds),
        attendance=present,
        now=now,
    )
    late_since = dict(present.late_since)
    return _plan(context, memory.replace(may_hold=holds, seen=seen, late_since=late_since))


def _plan(context: Context, memory: Memory) -> Plan:
    spec, observation, deployment, running, holds, bound, present, now = context
    current = context.current
    stale_because = _stale_because(spec, observation, now)
    load = load_of(observation.pods, now, deployment.in_flight_max)
    if load is not None:
        seen = memory.seen.replace(inputs=load.inputs(spec), inputs_at=now)
        memory = memory.replace(seen=seen)
    if stale_because is not None:
        load = None
    if spec.mode is not Mode.AUTO:
        # Nothing carries this plan out, so the policy works from what runs.
        memory = memory.replace(target=current)
    asked = capacity.within_bounds(memory.target or current, spec)
    if present.overdue and not steps.is_within_reach(asked, context):
        # Nothing waits for an overdue pod, and neither does the target.
        asked = capacity.within_bounds(current, spec)
        given_up = "what was planned does not fit beside pods that are overdue: given up"
        memory = memory.replace(target=asked, reason=given_up, reached=False)
    is_considered = bound is not None or capacity.is_asked_for(memory.target, asked, context)
    memory = policy.forgetful(memory, now)
    memory, asked = _taken_back(memory, asked, context)
    bearing = asked.replace(replicas=present.capacity(asked.replicas))
    demand = None
    measured = None
    if stale_because is None and context.can_be_measured(asked):
        pods = (pod for pod in observation.pods if runs(pod, running))
        measured = load_of(pods, now, deployment.in_flight_max)
    if measured is not None:
        demand = policy.demand_of(measured, bearing, spec, memory)
    memory = policy.watched(demand, bearing, _bearing_spec(context, asked, memory), memory, now)
    memory = _with_reason(memory, asked, context)
    reason = memory.reason or "the load is as it was"
    choice = _Choice(asked, reason, "the bounds of the spec", memory)

    def described(
        target: Allocation | None, step: Step, next_step: str, *, binding: str, problem: str | None
    ) -> Plan:
        in_place = target is not None and context.in_place(target)
        return Plan(
            feasible=problem is None,
            problem=problem,
            hold=None,
            fresh=stale_because is None,
            stale_because=stale_because,
            running=sum(runs(pod, running) for pod in observation.pods),
            pods=len(observation.pods),
            late=present.late,
            load={} if load is None else _figures(load),
            settled=problem is None and is_considered and step.empty and in_place,
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
            next_step=messages.told(context, next_step, step, stale_because),
            reason=choice.reason,
            step=step,
            memory=choice.memory.replace(
                target=target,
                reached=target is not None and (choice.memory.reached or in_place),
            )
            if spec.mode is Mode.AUTO
            else memory.replace(target=None, reason=None, reached=False),
        )

    if bound is None:
        # The earlier plan had its budget: it may be restored, but not exceeded.
        kept = memory.target
        step = Step()
        if kept is not None and steps.may_restore_replicas(kept, context):
            step = Step(replicas=steps.bounded(kept.replicas, deployment.replicas))
        wait = "waits for a pod that tells how many connections the database allows"
        return described(
            kept,
            step,
            wait if step.empty else messages.step_in_words(step),
            binding="nothing known",
            problem=None,
        )
    least = capacity.least_of(spec, current)
    if not capacity.has_room(least, context):
        problem = messages.clash(least, context)
        return described(
            memory.target,
            Step(),
            f"nothing: {problem}",
            binding="the minima of the bounds, which do not fit",
            problem=problem,
        )
    choice = _chosen(choice, demand, bearing, context)
    target = choice.target.replace(
        server_threads=capacity.threads_for(choice.target, context)
        if observation.engine is not None
        else current.server_threads  # No engine can be told another number.
    )
    step, next_step = steps.next_step(target, context)
    if step.empty and demand is not None and target == asked:
        waits = messages.waiting(demand, bearing, choice.memory, spec, now, choice.binding)
        if waits is not None and next_step == messages.AT_REST:
            next_step = waits
        elif waits is not None and present.overdue:
            next_step = f"{next_step}; {waits}"
    return described(target, step, next_step, binding=choice.binding, problem=None)


def _chosen(
    kept: _Choice, demand: policy.Demand | None, bearing: Allocation, context: Context
) -> _Choice:
    """Grant the first of the policy's wishes for which there is room; else keep the allocation.

    The policy asks for pods that bear the load; overdue pods are added as they are.
    """
    fitted = kept._replace(target=capacity.fitted(kept.target, context))
    refused = None if fitted.target == kept.target else kept.target
    if demand is not None:
        spec = _bearing_spec(context, kept.target, kept.memory)
        overdue = kept.target.replicas - bearing.replicas
        binding = messages.load_in_words(demand, bearing, spec, kept.memory, context)
        fitted = fitted._replace(binding=binding)
        for wish in policy.wishes(demand, bearing, spec, kept.memory, context.now):
            wanted = wish.allocation.replace(replicas=wish.allocation.replicas + overdue)
            target = capacity.fitted(wanted, context)
            if target != fitted.target:
                refused = None if target == wanted else wanted
                fitted = _Choice(target, wish.reason, fitted.binding, wish.memory)
                break
            refused = refused or wanted
    if refused is None:
        return fitted
    return fitted._replace(binding=messages.excess(refused, context))


def _bearing_spec(context: Context, asked: Allocation, memory: Memory) -> VenueSpec:
    """Return the spec with the bounds of replicas for the pods that bear the load.

    They do not grow while overdue pods do not serve, or after pods found no room.
    """
    spec, present = context.spec, context.attendance
    bearing = present.capacity(asked.replicas)
    overdue = asked.replicas - bearing
    most = spec.api.replicas.max
    absent = overdue > 0 and any(not one.serves for one in present.overdue)
    if absent or present.without_room:
        most = asked.replicas
    if memory.pods_at_most is not None:
        most = min(most, max(memory.pods_at_most, asked.replicas))
    least = spec.api.replicas.min
    bounds = Bounds(min=max(1, min(least - overdue, bearing)), max=max(bearing, most - overdue))
    return spec.replace(api=spec.api.replace(replicas=bounds))


def _taken_back(memory: Memory, asked: Allocation, context: Context) -> tuple[Memory, Allocation]:
    """Ask for no more pods than the cluster has room for, if the bounds allow fewer."""
    present, now = context.attendance, context.now
    without_room = present.without_room
    if not without_room or not context.has_replicas:
        return memory, asked
    placed = present.staying - sum(one.reason is Lateness.UNSCHEDULABLE for one in without_room)
    fewer = max(placed, context.spec.api.replicas.min)
    if fewer >= asked.replicas:
        return memory, asked
    lacking = count(asked.replicas - fewer, "pod")
    return memory.replace(
        pods_at_most=fewer,
        pods_at_most_until=now + policy.NO_ROOM_S,
        changed_at=now,
        reason=f"{lacking} found no room ({without_room[0].message}): taken back",
        reached=False,
        target=asked.replace(replicas=fewer),
    ), asked.replace(replicas=fewer)


def _with_reason(memory: Memory, asked: Allocation, context: Context) -> Memory:
    """Note the reason for the target, if it is not the load."""
    if memory.target is None:
        reason = "the first plan: what runs, within the bounds"
    elif memory.target != asked:
        reason = "the bounds of the spec have changed"
    elif memory.reached and _drifted(asked, context):
        return memory.replace(reason="what runs was changed by somebody else: set back")
    else:
        return memory
    return memory.replace(reason=reason, reached=False)


def _drifted(asked: Allocation, context: Context) -> bool:
    """True if the applied allocation is no longer the planned one."""
    current = context.current
    return asked.replace(server_threads=0) != current.replace(server_threads=0)


def _hold(spec: VenueSpec, observation: Observation) -> str | None:
    if observation.other_venue is not None:
        return f"Venue {observation.other_venue}, which is older, tunes {spec.api.deployment}"
    if observation.deployment is None:
        return f"there is no Deployment {spec.api.deployment}"
    if not observation.deployment.part_of_venue:
        return (
            f"Deployment {spec.api.deployment} has no label app.kubernetes.io/part-of: openvenue, "
            "so it is not the operator's to change"
        )
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
    """Drop the database's figures if they are too old."""
    database = observation.database
    if database is None or now - database.read_at <= spec.tuning.max_metrics_age_seconds:
        return observation
    return observation.replace(database=None)


def _stale_because(spec: VenueSpec, observation: Observation, now: float) -> str | None:
    """Return why the load is too uncertain to tune by; None if it is not."""
    ready = [pod for pod in observation.pods if pod.ready and not pod.terminating]
    if not ready:
        return "no pod of the API is ready"
    silent = [pod for pod in ready if pod.report is None]
    if 2 * len(silent) > len(ready):
        first = silent[0]
        of_all = count(len(ready), "pod")
        return f"{len(silent)} of {of_all} cannot be read: {first.name} {first.problem}"
    told = [pod.report for pod in ready if pod.report is not None]
    new = [one for one in told if one.load is not None]
    if not new:
        return "pods were read only once"
    age_s = now - min(one.read_at for one in new)
    if age_s > spec.tuning.max_metrics_age_seconds:
        return f"metrics are {age_s:.0f} s old"
    return None


def _with_autoscaler(spec: VenueSpec, deployment: Deployment) -> VenueSpec:
    """Fix the replicas at their present number if an autoscaler owns them."""
    if deployment.autoscaler_max is None:
        return spec
    as_it_is = Bounds(min=deployment.replicas, max=deployment.replicas)
    return spec.replace(api=spec.api.replace(replicas=as_it_is))


def _aged(seen: Seen, now: float) -> tuple[Input, ...]:
    """Return the last known figures with their present age."""
    older_s = now - seen.inputs_at
    return tuple(
        one.replace(age_seconds=round(one.age_seconds + older_s, 1)) for one in seen.inputs
    )


def _figures(load: Load) -> dict[str, float]:
    return {
        "ordersPerSecond": load.orders_per_s,
        "p99Ms": load.p99_ms,
        "cpuPercent": load.cpu_percent,
    }
