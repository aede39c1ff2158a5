"""The order in which a group of workers takes over a new tuning."""

from hypothesis import given
from hypothesis import strategies as st
from openvenue.serving.tuning import Rollout, Tuning

tunings = st.builds(
    Tuning,
    generation=st.integers(1, 9),
    workers=st.integers(1, 6),
    db_pool_size=st.integers(2, 9),
    db_pool_overflow=st.integers(0, 9),
    grpc_channels=st.integers(1, 2),
    log_level=st.sampled_from(["INFO", "WARNING"]),
)


class Group:
    """Workers that take over what they are told one at a time, in any order, and leave late."""

    def __init__(self, tuning: Tuning) -> None:
        self.rollout = Rollout(tuning)
        self.running = [tuning] * tuning.workers
        self.leaving: list[Tuning] = []

    def connections(self) -> int:
        return sum(tuning.connections for tuning in self.running + self.leaving)

    def step(self, choice: int) -> None:
        """Let one thing happen."""
        behind = [
            index for index, tuning in enumerate(self.running) if tuning != self.rollout.current
        ]
        if choice % 3 == 0 and self.leaving:
            self.leaving.pop()
        elif choice % 3 == 1 and behind:
            self.running[behind[choice % len(behind)]] = self.rollout.current
        else:
            self.supervise()

    def supervise(self) -> None:
        """What the supervisor does at each tick."""
        self.rollout.advance(self.running, len(self.leaving))
        wanted = self.rollout.current.workers
        while len(self.running) + len(self.leaving) < wanted:
            self.running.append(self.rollout.current)
        while len(self.running) > wanted:
            self.leaving.append(self.running.pop())

    def settle(self) -> None:
        for _ in range(100):
            for choice in range(3):
                self.step(choice)


@given(tunings, tunings, st.lists(st.integers(0, 17), max_size=60))
def test_connections_stay_within_the_larger_of_both_tunings(
    first: Tuning, second: Tuning, choices: list[int]
) -> None:
    group = Group(first)
    group.rollout.target = second
    most = max(tuning.workers * tuning.connections for tuning in (first, second))
    for choice in choices:
        group.step(choice)
        assert group.connections() <= most
    group.settle()
    assert group.running == [second] * second.workers
    assert not group.leaving


@given(st.lists(st.tuples(tunings, st.lists(st.integers(0, 17), max_size=12)), max_size=6), tunings)
def test_a_tuning_that_comes_before_the_last_is_complete_is_taken_over_too(
    changes: list[tuple[Tuning, list[int]]], first: Tuning
) -> None:
    group = Group(first)
    most = first.workers * first.connections
    for tuning, choices in changes:
        group.rollout.target = tuning
        most = max(most, tuning.workers * tuning.connections)
        for choice in choices:
            group.step(choice)
            assert group.connections() <= most
    group.settle()
    assert group.running == [group.rollout.target] * group.rollout.target.workers


def test_the_generation_is_reported_only_when_everything_has_shrunk() -> None:
    start = Tuning(
        generation=1,
        workers=2,
        db_pool_size=5,
        db_pool_overflow=5,
        grpc_channels=1,
        log_level="INFO",
    )
    rollout = Rollout(start)
    rollout.target = Tuning(
        generation=2,
        workers=4,
        db_pool_size=2,
        db_pool_overflow=0,
        grpc_channels=1,
        log_level="INFO",
    )
    rollout.advance([start, start], 0)
    shrunk = rollout.current
    assert (shrunk.generation, shrunk.workers, shrunk.connections) == (1, 2, 2)
    rollout.advance([shrunk, start], 0)
    assert rollout.current == shrunk
    rollout.advance([shrunk, shrunk], 0)
    assert rollout.current == rollout.target
