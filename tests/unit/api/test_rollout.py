"""The order in which a group of workers takes over a new tuning."""

from dataclasses import dataclass

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


@dataclass
class Worker:
    """One process of the group; it may never do what it is told."""

    tuning: Tuning
    follows: bool = True
    ends: bool = True


class Group:
    """Workers that take over tunings one at a time, in any order, and leave late."""

    def __init__(self, tuning: Tuning) -> None:
        self.rollout = Rollout(tuning)
        self.workers = [Worker(tuning) for _ in range(tuning.workers)]
        self.leaving: list[Worker] = []

    @property
    def running(self) -> list[Tuning]:
        return [worker.tuning for worker in self.workers]

    def connections(self) -> int:
        return sum(worker.tuning.connections for worker in self.workers + self.leaving)

    def step(self, choice: int) -> None:
        """Let one event happen."""
        ending = [worker for worker in self.leaving if worker.ends]
        behind = [
            worker
            for worker in self.workers
            if worker.follows and worker.tuning != self.rollout.current
        ]
        if choice % 3 == 0 and ending:
            self.leaving.remove(ending[-1])
        elif choice % 3 == 1 and behind:
            behind[choice % len(behind)].tuning = self.rollout.current
        else:
            self.supervise()

    def supervise(self) -> None:
        """Do the supervisor's work of one tick."""
        self.rollout.advance(self.running, len(self.leaving))
        wanted = self.rollout.current.workers
        while len(self.workers) + len(self.leaving) < wanted:
            self.workers.append(Worker(self.rollout.current))
        while len(self.workers) > wanted:
            self.leaving.append(self.workers.pop())

    def break_worker(self, choice: int) -> None:
        """Let a worker never follow and never end."""
        worker = self.workers[choice % len(self.workers)]
        worker.follows = worker.ends = False

    def replace_broken(self) -> None:
        """End what hangs, as the supervisor does after its patience, and start others."""
        self.leaving = [worker for worker in self.leaving if worker.ends]
        self.workers = [worker for worker in self.workers if worker.follows]
        self.supervise()

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


@given(tunings, tunings, st.lists(st.integers(0, 5), min_size=1, max_size=3))
def test_connections_stay_within_the_larger_while_workers_never_follow_nor_end_until_replaced(
    first: Tuning, second: Tuning, broken: list[int]
) -> None:
    group = Group(first)
    for choice in broken:
        group.break_worker(choice)
    group.rollout.target = second
    most = max(tuning.workers * tuning.connections for tuning in (first, second))
    for _ in range(50):
        for choice in range(3):
            group.step(choice)
            assert group.connections() <= most
    if group.rollout.current != second:
        # One that runs more than it should holds all growth up.
        assert group.connections() <= first.workers * first.connections
    group.replace_broken()
    group.settle()
    assert group.running == [second] * second.workers
    assert not group.leaving
