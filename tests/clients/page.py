"""docs/compatibility.md, from what the calls of each client got."""

from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import version

from tests.clients.calls import Client, Outcome, Verdict
from tests.support.venue import ROOT

PAGE = ROOT / "docs/compatibility.md"

INTRODUCTION = """\
# What works with which client

The tests call every public method of these clients of `alpaca-py` {alpaca}, and every one that
`ccxt` {ccxt} claims, against a real venue that has traded. They fail if this page does not say what
they got. The clients are unmodified; only their URL is the venue's. `scripts/compatibility` writes
the page.

| verdict | meaning |
|---|---|
| works | the client understood the answer, and the answer was right |
| partly | some of its calls work, and others are refused |
| empty | an empty list, or a stream on which nothing comes: the venue has no such thing |
| refused | the venue answered 4xx with the sentence shown, and nothing happened |
| not in the client | `ccxt` names the method in `has`, and has no such method |

A method with several calls has a row for each. [What differs from
Alpaca](trade.md#what-differs-from-alpaca) says more about the answers, and
[streams](trade.md#streams) about what the live clients get.
"""


def rendered(found: Mapping[Client, Iterable[Outcome]]) -> str:
    """Return the page."""
    versions = {"alpaca": version("alpaca-py"), "ccxt": version("ccxt")}
    lists = {client: sorted(outcomes, key=_place) for client, outcomes in found.items()}
    parts = [INTRODUCTION.format(**versions), _counts(lists)]
    parts += [_table(client, outcomes) for client, outcomes in lists.items()]
    return "\n".join(parts)


def _place(outcome: Outcome) -> tuple[str, str]:
    return outcome.call.method, outcome.call.asks_for


def _counts(lists: Mapping[Client, list[Outcome]]) -> str:
    lines = ["## Methods", "", f"| client | methods | {' | '.join(Verdict)} |"]
    lines.append("|---" * (2 + len(Verdict)) + "|")
    for client, outcomes in lists.items():
        counts = Counter(_of_method(outcomes, method) for method in client.methods)
        cells = [client.name, str(len(client.methods))]
        cells += [str(counts[verdict] or "") for verdict in Verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _of_method(outcomes: Iterable[Outcome], method: str) -> Verdict:
    verdicts = {each.verdict for each in outcomes if each.call.method == method}
    return verdicts.pop() if len(verdicts) == 1 else Verdict.PARTLY


def _table(client: Client, outcomes: Iterable[Outcome]) -> str:
    lines = [
        f"## {client.name}",
        "",
        "| method | asks for | verdict | sentence |",
        "|---|---|---|---|",
    ]
    for each in outcomes:
        sentence = each.sentence.replace("|", "\\|")
        cells = [f"`{each.call.method}`", each.call.asks_for, each.verdict, sentence]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
