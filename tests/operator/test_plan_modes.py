"""What a plan says of itself where it cannot be carried out, or not be made in full."""

import pytest
from observed import allocation, exactly, planned, pod, spec
from openvenue_operator.model import ConnectionsSpec, Engine, EngineSpec, Memory, VenueSpec

# --- Where no pod tells what the database allows --------------------------------------------------


def test_without_a_budget_a_spec_that_asks_for_nothing_new_stays_settled() -> None:
    known = planned(pod()).memory
    assert planned(pod(), memory=known, database=None).settled
    assert planned(pod(), memory=known, database=None, spec=spec(replicas=exactly(1))).settled


@pytest.mark.parametrize(
    "asked_for",
    [
        spec(replicas=exactly(2)),
        spec(workers_per_pod=exactly(2)),
        spec(db_pool_size=exactly(3)),
        spec(db_pool_overflow=exactly(1)),
        spec(grpc_channels=exactly(2)),
        spec(log_level="DEBUG"),
        spec(engine=EngineSpec(stateful_set="engine", server_threads=exactly(128))),
        spec(connections=ConnectionsSpec(cap=15)),
    ],
)
def test_without_a_budget_a_spec_that_asks_for_something_else_is_not_settled(
    asked_for: VenueSpec,
) -> None:
    known = planned(pod()).memory
    found = planned(pod(), memory=known, database=None, spec=asked_for)
    assert not found.settled
    assert found.step.empty
    assert found.next_step == (
        "waits for a pod that tells how many connections the database allows"
    )


def test_without_a_budget_an_engine_that_began_anew_is_not_settled() -> None:
    memory = Memory(target=allocation(), may_hold=5)
    assert planned(pod(), memory=memory, database=None).settled
    assert not planned(
        pod(), memory=memory, database=None, engine=Engine(server_threads=32)
    ).settled
    assert planned(pod(), memory=memory, database=None, engine=None).settled
