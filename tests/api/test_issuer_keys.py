"""Keys of the issuer: asked for seldom, replaced, withdrawn, away, or not the issuer's."""

import threading
import time
from collections.abc import Callable

from tests.api.tokens import assert_refused, get
from tests.support import http
from tests.support.issuer import Issuer, SigningKey
from tests.support.venue import Venue, key_headers, log_lines
from tests.support.waiting import wait_for


def test_a_flood_of_unknown_keys_asks_the_issuer_seldom_and_hurts_nobody(
    new_venue: Callable[..., Venue],
) -> None:
    with Issuer().serving() as own:
        venue = new_venue(**own.environment(ask_interval_s="2")).start(projector=False)
        account_id = venue.open_account().account_id
        good = own.token(account_id)
        assert get(venue, good).status_code == 200
        before, started = own.readings, time.monotonic()
        statuses: list[int] = []
        stop = threading.Event()

        def flood(number: int) -> None:
            sent = 0
            while not stop.is_set():
                sent += 1
                header = {"kid": f"unknown {number} {sent}"}
                statuses.append(get(venue, own.token(account_id, header=header)).status_code)

        threads = [threading.Thread(target=flood, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        known = []
        while time.monotonic() - started < 5:
            asked_at = time.monotonic()
            assert get(venue, good).status_code == 200
            known.append(time.monotonic() - asked_at)
        stop.set()
        for thread in threads:
            thread.join()
        took_s = time.monotonic() - started
        assert set(statuses) == {401}
        assert 1 <= own.readings - before <= took_s / 2 + 1
        # None of the known ones waited for the issuer.
        assert sorted(known)[len(known) // 2] < 0.5


def test_tokens_that_wait_for_the_issuer_are_bounded(new_venue: Callable[..., Venue]) -> None:
    with Issuer().serving() as own:
        environment = own.environment(ask_interval_s="30")
        venue = new_venue(**environment).start(projector=False, auth_lookups_max="2")
        account_id = venue.open_account().account_id
        good = own.token(account_id)
        assert get(venue, good).status_code == 200
        statuses: list[int] = []

        def ask(number: int) -> None:
            token = own.token(account_id, header={"kid": f"unknown {number}"})
            try:
                statuses.append(get(venue, token, "/v2/clock").status_code)
            except Exception as error:
                statuses.append(-1)
                raise AssertionError from error

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        wait_for(lambda: statuses.count(503) == 2)
        assert get(venue, good).status_code == 200
        (line, *_) = log_lines(venue, "token not checked")
        assert line["cause"] == "refused"
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [401, 401, 503, 503]


def test_a_new_key_is_taken_at_once_and_an_old_one_until_it_is_gone(
    new_venue: Callable[..., Venue],
) -> None:
    with Issuer().serving() as own:
        venue = new_venue(**own.environment(refresh_s="0.5")).start(projector=False)
        account_id = venue.open_account().account_id
        old = own.token(account_id)
        assert get(venue, old).status_code == 200
        second = SigningKey("second", "ES256")
        own.published = [second.jwk(), own.key.jwk()]
        new = own.token(account_id, key=second)
        assert get(venue, new).status_code == 200
        assert get(venue, old).status_code == 200
        own.published = [second.jwk()]
        wait_for(lambda: get(venue, old).status_code == 401)
        assert_refused(
            get(venue, old), "the issuer publishes no such key for the token's algorithm"
        )
        assert get(venue, new).status_code == 200
        # Another key under the same name is another key.
        replaced = SigningKey("second", "ES256")
        own.published = [replaced.jwk()]
        wait_for(lambda: get(venue, new).status_code == 401)
        assert_refused(get(venue, new), "the token's signature is wrong")
        assert get(venue, own.token(account_id, key=replaced)).status_code == 200


def test_known_keys_go_on_for_a_bounded_time_while_the_issuer_is_away(
    new_venue: Callable[..., Venue],
) -> None:
    own = Issuer()
    with own.serving():
        environment = own.environment(refresh_s="0.2", stale_max_s="3")
        venue = new_venue(**environment).start(projector=False)
        account = venue.open_account()
        good, later = own.token(account.account_id), own.token(account.account_id, sub="later")
        assert get(venue, good).status_code == 200
    away_at = time.monotonic()
    while time.monotonic() - away_at < 1.5:
        assert get(venue, good).status_code == 200
    # Also one that was never seen before, of a known key.
    assert get(venue, later).status_code == 200
    unknown = own.token(account.account_id, header={"kid": "unknown"})
    refused = get(venue, unknown)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["message"] == (
        "the token cannot be checked at the moment: its issuer does not answer"
    )
    wait_for(lambda: get(venue, good).status_code == 503, 10)
    # API keys need no issuer.
    assert http.get(f"{venue.url}/v2/account", headers=key_headers(account)).status_code == 200
    assert venue.readiness().status_code == 200
    assert venue.metric("issuer_reads_total", result="failed") > 0
    with own.serving():
        wait_for(lambda: get(venue, good).status_code == 200, 20)


def test_an_issuer_that_is_not_the_configured_one_is_not_believed(
    new_venue: Callable[..., Venue],
) -> None:
    named: list[tuple[dict[str, str], str]] = [
        ({"issuer": "https://issuer.example"}, "calls itself"),
        ({"issuer": "URL/"}, "calls itself"),
        ({"jwks_uri": "http://keys.example/keys"}, "is not an https:// URL"),
        ({"jwks_uri": "file:///etc/passwd"}, "is not an https:// URL"),
        ({"jwks_uri": "http://["}, "cannot be used"),
    ]
    answered = [
        ((200, b"{}"), "missing required field"),
        ((200, b"<html>"), "cannot be used"),
        ((302, b""), "answers 302"),
        ((200, b"[" + b" " * (300 << 10) + b"]"), "is larger than"),
    ]
    with Issuer().serving() as own:
        own.answer = (500, b"")
        venue = new_venue(**own.environment()).start(projector=False)
        account_id = venue.open_account().account_id
        token = own.token(account_id)

        def assert_not_believed(reason: str) -> None:
            """The venue logs a failure when it differs from the one before."""
            before = len(failures())

            def is_said() -> bool:
                assert get(venue, token).status_code == 503
                return len(failures()) > before

            wait_for(is_said)
            assert reason in failures()[-1], failures()

        def failures() -> list[str]:
            lines = log_lines(venue, "issuer's keys not read: known ones stay as they are")
            return [line["reason"] for line in lines]

        for answer, reason in answered:
            own.answer = answer
            assert_not_believed(reason)
        own.answer = None
        for discovery, reason in named:
            own.discovery = {name: text.replace("URL", own.url) for name, text in discovery.items()}
            assert_not_believed(reason)
        assert own.readings == 0
        # It is believed once it is what it should be.
        own.discovery = {}
        wait_for(lambda: get(venue, token).status_code == 200)
