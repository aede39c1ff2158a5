"""What a group of workers says of itself to a probe, from what each of them reported last."""

from collections.abc import Sequence

import msgspec

from openvenue.serving.tuning import Tuning


class WorkerReport(msgspec.Struct, frozen=True):
    """What a worker says of itself, twice a second and when it changes."""

    running: Tuning | None = None
    """The tuning in force; None before the first."""
    accepting: bool = False
    """True if it takes connections."""
    problems: dict[str, str] = {}
    """What keeps it from serving, by part."""
    since: dict[str, str] = {}
    """When each problem began, RFC 3339."""


class Health(msgspec.Struct):
    """The answer of a probe: `checks` says what is wrong, by part."""

    status: str
    checks: dict[str, str] = {}
    since: dict[str, str] = {}


def ready(reports: Sequence[WorkerReport | None], *, stopping: bool) -> Health:
    """Return whether the group takes orders; a worker that is silent reports None.

    It does where one worker at least takes connections, and none of those that do has a problem:
    clients may reach any of them.
    """
    if stopping:
        return Health("unavailable", {"worker": "it is stopping"})
    serving = [report for report in reports if report is not None and report.accepting]
    if not serving:
        return Health("unavailable", {"worker": _why_none(reports)})
    checks: dict[str, str] = {}
    since: dict[str, str] = {}
    for report in serving:
        for part, reason in report.problems.items():
            checks.setdefault(part, reason)
            began = report.since.get(part, "")
            since[part] = min(filter(None, (since.get(part), began)), default="")
    for part in checks:
        count = sum(part in report.problems for report in serving)
        if count < len(serving):
            checks[part] += f" ({count} of {len(serving)} workers)"
    return Health("unavailable", checks, since) if checks else Health("ok")


def _why_none(reports: Sequence[WorkerReport | None]) -> str:
    if not reports:
        return "none runs"
    if all(report is None for report in reports):
        return "none answers"
    return "it is starting"
