"""Readiness of a group of workers, from the last report of each."""

from collections.abc import Sequence

import msgspec

from openvenue.serving.tuning import Tuning


class WorkerReport(msgspec.Struct, frozen=True):
    """A worker's report on itself, sent twice a second and on changes."""

    running: Tuning | None = None
    """Tuning in force; None before the first."""
    accepting: bool = False
    """True if it takes connections."""
    problems: dict[str, str] = {}
    """Problems that keep it from serving, by part."""
    since: dict[str, str] = {}
    """When each problem began, RFC 3339."""


class Health(msgspec.Struct):
    """The answer to a probe: `checks` has the problems, by part."""

    status: str
    checks: dict[str, str] = {}
    since: dict[str, str] = {}


def ready(reports: Sequence[WorkerReport | None], *, stopping: bool) -> Health:
    """Return whether the group takes orders; a silent worker reports None.

    It does if at least one worker takes connections, and none of those that do has a problem,
    because clients may reach any of them.
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
