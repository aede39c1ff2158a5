"""Sequences of requests, each fed by the answers to those before, along the document's links.

This is schemathesis' stateful phase with every check of it. A test replaces most of the bodies that
it draws by ones that the venue takes: random words are no symbols, and a sequence would end with
its first request.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from random import Random
from typing import Any
from zlib import crc32

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Flaky
from schemathesis.checks import CheckFunction
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.generation.stateful.state_machine import normalize_name

from tests.support.examples import examples

Change = Callable[[Any, Random], None]
"""Makes a request, a schemathesis Case, one that the venue takes."""

_STEPS = 10
_SEQUENCES = 10
"""In a part, which has a seed of its own."""
# The headers of a test have a key. Invalid requests are for the tests of single ones: they end a
# sequence. No schema says that there is no such symbol, or too little money: that is a 422.
_CONFIG = {
    "generation": {"with-security-parameters": False, "mode": "positive"},
    "checks": {
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", "401", "403", "404", "409", "422"],
        },
    },
}


def play(
    document_url: str,
    headers: Mapping[str, str],
    plausible: Mapping[str, Change],
    *,
    starts: Collection[str],
    reach: Collection[str],
    unchecked: Callable[[str], Iterable[CheckFunction]] = lambda _: (),
    without: Collection[str] = (),
    parts: int = 1,
) -> None:
    """Play sequences until every operation of `reach` has succeeded, and at least `parts` parts.

    A sequence begins with one of `starts`, and has none of `without`. `plausible` are changes by
    operation, `unchecked` the checks that say nothing about one. Raises AssertionError with every
    kind of failure, or with what ten times as many parts did not reach.
    """
    succeeded: set[str] = set()
    failures: dict[str, str] = {}
    config = SchemathesisConfig.from_dict(_CONFIG)
    schema: schemathesis.BaseSchema = schemathesis.openapi.from_url(document_url, config=config)

    for label in without:
        schema = schema.exclude(name=label)
    machine = schema.as_state_machine()
    # Any other would begin with an id that nobody gave out.
    for rule in machine.root_rules - {normalize_name(f"RANDOM -> {label}") for label in starts}:
        delattr(machine, rule)
    machine._root_labels = frozenset(starts)

    class Sequence(machine):  # type: ignore[misc, valid-type]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": dict(headers)}

        def before_call(self, case: Any) -> None:
            change = plausible.get(case.operation.label)
            if change is None:
                return
            # Repeatable, and without a draw that hypothesis would have to remember.
            drawn = repr((case.body, case.path_parameters, case.query))
            random = Random(crc32(drawn.encode(errors="replace")))
            if random.random() < 0.85:
                change(case, random)

        def validate_response(
            self,
            response: Response,
            case: Any,
            additional_checks: list[CheckFunction] | None = None,
            **kwargs: Any,
        ) -> None:
            label = case.operation.label
            if response.status_code < 300:
                succeeded.add(label)
            try:
                case.validate_response(
                    response,
                    additional_checks=additional_checks,
                    excluded_checks=list(unchecked(label)),
                    transport_kwargs=kwargs,
                    recorder=self.recorder,
                )
            except (FailureGroup, Exception) as failure:
                # Not raised: hypothesis would play the sequence again, and the venue has changed.
                kinds = failure.exceptions if isinstance(failure, FailureGroup) else [failure]
                for kind in kinds:
                    failures.setdefault(f"{label}: {type(kind).__name__}", str(failure))

    least = examples(parts)
    for seed in range(10 * least):
        # Ids that the venue gives out are drawn anew each time, so what a part reaches varies.
        if seed >= least and succeeded >= set(reach):
            break
        Sequence._hypothesis_internal_use_seed = seed
        # The venue's state is not the sequence's alone, and hypothesis may notice.
        with suppress(Flaky):
            Sequence.run(settings=_SETTINGS)
    assert not failures, "\n\n".join(f"{kind}\n{text}" for kind, text in failures.items())
    assert succeeded >= set(reach)


_SETTINGS = hypothesis.settings(
    max_examples=_SEQUENCES,
    stateful_step_count=_STEPS,
    phases=[Phase.generate],
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
