"""The numbers in docs/tuning.md are those of the code."""

import re
from pathlib import Path
from typing import Any

import msgspec
from openvenue_operator import capacity, exposition, load, policy, scrape, status, steps
from openvenue_operator.budget import budget_of
from openvenue_operator.model import Deployment
from openvenue_operator.spec import EngineSpec, VenueSpec
from openvenue_operator.status import PlanStatus, Status

SIGNS = str.maketrans({"\N{MULTIPLICATION SIGN}": "x", "\N{MINUS SIGN}": "-"})
TEXT = (Path(__file__).resolve().parents[3] / "docs/tuning.md").read_text().translate(SIGNS)
SPEC: dict[str, Any] = {"api": {"deployment": "api"}, "engine": {"statefulSet": "engine"}}


def rows(heading: str) -> dict[str, str]:
    """Return the table's second column by the names in the first."""
    table = TEXT[TEXT.index(heading) :].partition("\n\n")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]*?) \|", table, re.MULTILINE))


def test_constants() -> None:
    documented = rows("| constant | value | why |")
    assert len(documented) == 20
    for name, value in documented.items():
        found = {
            getattr(module, name)
            for module in (policy, load, steps, capacity, exposition, scrape, status)
            if hasattr(module, name)
        }
        assert found == {float(value)}, name


def test_every_constant_of_the_policy_is_documented() -> None:
    constants = {name for name in vars(policy) if name.isupper()}
    assert constants <= set(rows("| constant | value | why |"))


def test_defaults() -> None:
    documented = rows("| field | default | what it is |")
    defaults = msgspec.to_builtins(msgspec.convert(SPEC, VenueSpec))
    leaves = dict(_leaves(defaults))
    assert leaves.pop("connections.cap") == "None"
    for named in ("api.deployment", "engine.statefulSet", "api.logLevel"):
        del leaves[named]
    assert documented == leaves


def test_conditions_and_fields_of_the_status() -> None:
    of_plan = {f"plan.{name}" for name in PlanStatus.__struct_encode_fields__}
    whole = set(Status.__struct_encode_fields__) - {"plan", "conditions"}
    assert set(rows("| field | what it says |")) == whole | of_plan
    kinds = set(rows("| condition | True | otherwise |"))
    assert kinds == {
        "Ready",
        "EngineReady",
        "Progressing",
        "Degraded",
        "BudgetSatisfied",
        "MetricsFresh",
        "Tuned",
    }


def test_the_worked_example() -> None:
    spec = msgspec.convert({**SPEC, "connections": {"stream": 4}}, VenueSpec)
    chart = Deployment(
        uid="",
        replicas=2,
        max_surge=1,
        max_unavailable=0,
        min_ready_seconds=31,
        grace_seconds=31,
        rolling_out=False,
        autoscaler_max=None,
    )
    budget = budget_of(spec, chart, replicas=2, connections_per_pod=2 * 5, limit=100 - 3 - 3)
    assert f"= {budget.total} of 100 - 3 - 3 = {budget.limit}" in TEXT
    assert (budget.total, budget.limit) == (47, 94)


def test_the_share_of_the_engines_threads() -> None:
    formula = (
        f"max({capacity.SESSIONS_SHARE} x (pods at most x workers x channels + "
        f"{capacity.OTHER_SESSIONS}), "
        f"{capacity.SESSIONS_PER_PEER_SHARE} x workers x channels)"
    )
    assert formula in TEXT
    assert EngineSpec(stateful_set="engine").server_threads.min == 64


def _leaves(value: dict[str, Any], path: str = "") -> list[tuple[str, str]]:
    found = []
    for name, one in value.items():
        where = f"{path}.{name}".lstrip(".")
        if isinstance(one, dict) and set(one) == {"min", "max"}:
            found.append((where, f"{one['min']} to {one['max']}"))
        elif isinstance(one, dict):
            found.extend(_leaves(one, where))
        else:
            found.append((where, str(one)))
    return found
