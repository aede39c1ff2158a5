"""A recorded day keeps its own time and its bound, on a clock of the test."""

from hypothesis import given
from hypothesis import strategies as st
from openvenue.market.pace import Pace


class Clock:
    """Shows a time that the test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> float:
        """Wait, and return the time since the start."""
        self.now += seconds
        return self.now - 1000.0


def test_messages_are_due_at_the_days_own_pace() -> None:
    clock = Clock()
    pace = Pace(34_200.0, 1.0, 10.0, clock)
    due = [clock.wait(pace.until_due_s(34_200.0 + second)) for second in (0, 1.5, 1.5, 7)]
    assert due == [0, 1.5, 1.5, 7]


def test_a_faster_day_has_its_messages_earlier() -> None:
    clock = Clock()
    pace = Pace(34_200.0, 60.0, 10.0, clock)
    assert clock.wait(pace.until_due_s(37_800.0)) == 60.0


def test_a_day_that_was_held_up_goes_on_and_does_not_hurry() -> None:
    clock = Clock()
    pace = Pace(0.0, 1.0, 10.0, clock)
    clock.wait(100)
    assert pace.until_due_s(10.0) == 0
    # Ninety seconds late, of which it keeps one: the next second of the day passes with it.
    assert pace.until_due_s(11.0) == 0
    assert pace.until_due_s(14.0) == 3.0


def test_a_second_of_requests_may_go_at_once_and_then_they_are_spaced() -> None:
    clock = Clock()
    pace = Pace(0.0, 1.0, 10.0, clock)
    waits = [round(pace.until_allowed_s(), 6) for _ in range(12)]
    assert waits == [0] * 10 + [0.1, 0.2]


def test_less_than_one_request_a_second_is_possible() -> None:
    clock = Clock()
    pace = Pace(0.0, 1.0, 0.25, clock)
    assert [clock.wait(pace.until_allowed_s()) for _ in range(4)] == [0, 4, 8, 12]


@given(
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=80),
    per_second=st.floats(0.5, 50),
)
def test_no_second_has_more_than_two_seconds_of_requests(
    gaps: list[float], per_second: float
) -> None:
    clock = Clock()
    pace = Pace(0.0, 1.0, per_second, clock)
    sent = []
    for gap in gaps:
        clock.wait(gap)
        sent.append(clock.wait(pace.until_allowed_s()))
    bound = per_second * (1 + max(1.0, 1 / per_second)) + 1e-6
    for first in sent:
        assert sum(first <= each < first + 1 - 1e-6 for each in sent) <= bound + 1
