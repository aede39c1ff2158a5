"""One replay from beginning to end: plan, dispatch, and count what the venue reports."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from openvenue.replay.dispatch import dispatch
from openvenue.replay.execute import Executor, Outcome
from openvenue.replay.lobster import Row
from openvenue.replay.operation import Kind, Operation, observation
from openvenue.replay.plan import Cause, Planner, Request, Step
from openvenue.replay.tally import Tally

# Operations under way at once. More would gain nothing from the venue's own batching.
WINDOW_DEFAULT = 64

# Messages between two reads of `GET /v1/book`.
BOOK_EVERY_MESSAGES = 500


@dataclass(frozen=True, slots=True)
class Part:
    """Operations that are counted together when they are done, and the way to count them."""

    operations: Sequence[Operation]
    count: Callable[[list[Outcome]], None]


def day_parts(planner: Planner, tally: Tally) -> Iterator[Part]:
    """Yield the parts of a LOBSTER day in order: seeds, then each message and its corrections."""
    yield _requests(planner.seeds(), tally)
    row: Row | None = None
    for step in planner.steps():
        yield _message(step, tally)
        row = step.row
        if row is not None and planner.correct:
            yield _corrections(step, row, tally)
        if (step.message.row + 1) % BOOK_EVERY_MESSAGES == 0:
            yield _book(row, tally)
    yield _book(row, tally)


def flow_parts(flow: Iterable[Operation], tally: Tally) -> Iterator[Part]:
    """Yield the parts of a generated flow in order."""
    for number, operation in enumerate(flow, start=1):
        yield _requests([Request(operation, Cause.MESSAGE)], tally)
        if number % BOOK_EVERY_MESSAGES == 0:
            yield _book(None, tally)
    yield _book(None, tally)


async def replay(
    parts: Iterable[Part], executor: Executor, window: int = WINDOW_DEFAULT
) -> AsyncIterator[None]:
    """Execute the parts; yield after each one is counted.

    Raises VenueUnavailable if the venue stays down.
    """
    items = ((part, part.operations) for part in parts)
    async for part, outcomes in dispatch(items, executor.perform, window):
        part.count(outcomes)
        yield


def _requests(requests: Sequence[Request], tally: Tally) -> Part:
    """Combine requests, each followed by a query of the makers that it should have filled."""
    operations: list[Operation] = []
    causes: list[Cause] = []
    for request in requests:
        operations.append(request.operation)
        if request.operation.makers:
            operations.append(observation(request.operation))
        causes += [request.cause] * (len(operations) - len(causes))

    def count(outcomes: list[Outcome]) -> None:
        for cause, outcome in zip(causes, outcomes, strict=True):
            tally.add_outcome(cause, outcome)

    return Part(operations, count)


def _message(step: Step, tally: Tally) -> Part:
    requests = _requests(step.requests, tally)

    def count(outcomes: list[Outcome]) -> None:
        requests.count(outcomes)
        tally.add_message(step, outcomes)

    return Part(requests.operations, count)


def _corrections(step: Step, row: Row, tally: Tally) -> Part:
    requests = _requests(step.corrections, tally)

    def count(outcomes: list[Outcome]) -> None:
        requests.count(outcomes)
        tally.add_corrected(row)

    return Part(requests.operations, count)


def _book(row: Row | None, tally: Tally) -> Part:
    def count(outcomes: list[Outcome]) -> None:
        tally.add_book(row, outcomes[0])

    return Part([Operation(Kind.READ_BOOK, 0, "buy", None, 0)], count)
