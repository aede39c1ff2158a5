"""The calendar and the clock of a venue that trades around the clock."""

from datetime import datetime, timedelta

import httpx
import pytest


def dates(client: httpx.Client, query: str, path: str = "/v2/calendar") -> list[str]:
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return [day["date"] for day in (found if isinstance(found, list) else found["calendar"])]


def test_every_day_is_a_market_day(client: httpx.Client) -> None:
    (saturday,) = client.get("/v2/calendar?start=2026-12-05&end=2026-12-05").json()
    assert (saturday["date"], saturday["settlement_date"]) == ("2026-12-05",) * 2
    assert (saturday["open"], saturday["close"]) == ("00:00", "23:59")
    assert (saturday["session_open"], saturday["session_close"]) == ("0000", "2359")
    assert len(dates(client, "start=2024-02-01&end=2024-02-29")) == 29


def test_the_calendar_is_from_1970_to_2029(client: httpx.Client) -> None:
    everything = dates(client, "")
    assert (everything[0], everything[-1], len(everything)) == ("1970-01-01", "2029-12-31", 21_915)
    assert dates(client, "start=2029-12-31&end=2040-01-01&date_type=SETTLEMENT") == ["2029-12-31"]
    assert dates(client, "start=1900-01-01&end=1970-01-01T23:00:00Z") == ["1970-01-01"]
    assert dates(client, "start=2035-01-01&end=2040-01-01") == []
    assert dates(client, "end=1970-01-02T23:00:00-05:00")[-1] == "1970-01-03"


@pytest.mark.parametrize(
    "query", ["start=2026-12-02&end=2026-12-01", "start=20261201", "date_type=x", "from=2026-01-01"]
)
def test_a_calendar_that_cannot_be_is_refused(client: httpx.Client, query: str) -> None:
    for path in ("/v2/calendar", "/v3/calendar/NASDAQ"):
        answer = client.get(f"{path}?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, 40010001)


def test_the_clock_opens_in_the_next_trading_day(client: httpx.Client) -> None:
    clock = client.get("/v2/clock").json()
    opens, closes = (datetime.fromisoformat(clock[name]) for name in ("next_open", "next_close"))
    assert clock["is_open"] is True
    assert opens - closes == timedelta(seconds=1)


def test_trading_days_follow_each_other_and_end_with_the_clock(client: httpx.Client) -> None:
    query = "start=2026-12-05&end=2026-12-07"
    calendar = client.get(f"/v3/calendar/NASDAQ?{query}&timezone=UTC").json()
    assert (calendar["market"]["mic"], calendar["market"]["timezone"]) == ("XNAS", "UTC")
    first, second, third = calendar["calendar"]
    assert (first["core_end"], second["core_end"]) == (second["core_start"], third["core_start"])
    (clock,) = client.get("/v3/clock?time=2026-12-06T12:00:00Z").json()["clocks"]
    assert clock["phase_until"] == clock["next_market_close"] == second["core_end"]
    assert (clock["timestamp"], clock["phase"]) == ("2026-12-06T12:00:00.000000Z", "core")
    (now,) = client.get("/v3/clock?markets=NASDAQ,XNAS").json()["clocks"]
    assert now["next_market_close"] == client.get("/v2/clock").json()["next_close"]
    week = dates(client, "", "/v3/calendar/XNAS")
    assert (len(week), week[0]) == (8, now["timestamp"][:10])


def test_the_venue_is_no_other_market(client: httpx.Client) -> None:
    answer = client.get("/v3/calendar/NYSE")
    assert (answer.status_code, answer.json()["code"]) == (404, 40410000)
    assert client.get("/v3/clock?markets=NASDAQ,LSE").status_code == 422
