"""Buckets: a minute's requests at once, then as many as flow in, however many workers take."""

import time
from pathlib import Path

import pytest
from openvenue.http import rate_limits
from openvenue.http.rate_limits import Allowance, RateLimits


class Clock:
    now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate_limits, "time", clock)
    return clock


def taken(limits: RateLimits, key: str, per_minute: int) -> int:
    """Return how many requests a key can send at once."""
    count = 0
    while not limits.take(key, per_minute).wait_s:
        count += 1
    return count


@pytest.mark.parametrize("per_minute", [1, 7, 200, 60_000])
def test_a_full_bucket_has_a_minutes_requests_and_fills_continuously(
    clock: Clock, per_minute: int
) -> None:
    limits = RateLimits()
    assert taken(limits, "key", per_minute) == per_minute
    refused = limits.take("key", per_minute)
    assert (refused.limit, refused.remaining) == (per_minute, 0)
    assert refused.full_at_s == pytest.approx(1_060)
    assert refused.wait_s == pytest.approx(60 / per_minute, abs=1e-5)
    clock.now += refused.wait_s
    assert taken(limits, "key", per_minute) == 1
    clock.now += 30
    assert taken(limits, "key", per_minute) == per_minute // 2
    clock.now += 600
    assert taken(limits, "key", per_minute) == per_minute


def test_the_headers_say_what_is_left(clock: Clock) -> None:
    limits = RateLimits()
    assert limits.take("key", 3) == Allowance(3, 2, 1_020.0, 0)
    assert limits.take("key", 3).remaining == 1
    last = limits.take("key", 3)
    assert last.headers() == [
        (b"x-ratelimit-limit", b"3"),
        (b"x-ratelimit-remaining", b"0"),
        (b"x-ratelimit-reset", b"1060"),
    ]
    assert limits.take("key", 3, 0) == last
    assert limits.take("key", 3).wait_s == pytest.approx(20)


def test_a_batch_takes_all_of_its_requests_or_none(clock: Clock) -> None:
    limits = RateLimits()
    assert limits.take("key", 10, 8).remaining == 2
    assert limits.take("key", 10, 3).wait_s == pytest.approx(6)
    assert limits.take("key", 10, 2).remaining == 0


def test_workers_share_the_buckets_of_a_file(tmp_path: Path, clock: Clock) -> None:
    first, second = (RateLimits(tmp_path / "rate-limits") for _ in range(2))
    for _ in range(5):
        assert not first.take("key", 10).wait_s
        assert not second.take("key", 10).wait_s
    assert first.take("key", 10).wait_s
    assert second.take("key", 10).wait_s
    assert not second.take("another", 10).wait_s


def test_keys_beyond_the_places_lose_a_bucket_and_no_request(clock: Clock) -> None:
    limits = RateLimits()
    for number in range(2 * rate_limits._ROWS):
        assert not limits.take(f"key{number}", 60).wait_s


def test_a_time_of_another_boot_counts_as_a_full_bucket(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "rate-limits"
    assert taken(RateLimits(file), "key", 5) == 5
    clock.now = 10.0
    assert taken(RateLimits(file), "key", 5) == 5


def test_it_costs_microseconds() -> None:
    limits = RateLimits()
    count = 20_000
    started_at = time.perf_counter()
    for _ in range(count):
        limits.take("key", 1_000_000_000).headers()
    assert (time.perf_counter() - started_at) / count < 100e-6
