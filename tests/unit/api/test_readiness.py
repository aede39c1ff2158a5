"""Readiness of a group of workers, from their reports."""

from openvenue.serving.readiness import Health, WorkerReport, ready

SERVING = WorkerReport(accepting=True)
STARTING = WorkerReport()


def troubled(since: str, **problems: str) -> WorkerReport:
    return WorkerReport(None, True, problems, dict.fromkeys(problems, since))


def test_a_group_is_ready_when_all_that_take_connections_can_serve() -> None:
    assert ready([SERVING, SERVING], stopping=False) == Health("ok")
    # A starting worker takes no connections yet, and a silent one no longer.
    assert ready([SERVING, STARTING, None], stopping=False) == Health("ok")


def test_a_group_of_which_none_takes_connections_says_why() -> None:
    for reports, said in (
        ([], "none runs"),
        ([None, None], "none answers"),
        ([None, STARTING], "it is starting"),
    ):
        assert ready(reports, stopping=False) == Health("unavailable", {"worker": said})


def test_a_problem_is_named_once_with_how_many_have_it_and_since_when() -> None:
    reports = [
        troubled("2026-01-02", engine="no session"),
        troubled("2026-01-01", engine="no session", database="old"),
        SERVING,
    ]
    assert ready(reports, stopping=False) == Health(
        "unavailable",
        {"engine": "no session (2 of 3 workers)", "database": "old (1 of 3 workers)"},
        {"engine": "2026-01-01", "database": "2026-01-01"},
    )
    assert ready(reports[:1], stopping=False).checks == {"engine": "no session"}


def test_a_group_that_stops_is_not_ready_whatever_its_workers_say() -> None:
    assert ready([SERVING], stopping=True) == Health("unavailable", {"worker": "it is stopping"})
