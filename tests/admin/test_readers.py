"""An administrator whose token may only read: here, and at the engine itself."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.security.keys import NewKey

from tests.admin.conftest import client
from tests.admin.test_access import BODIES, ROUTES, VALUES, state_of
from tests.support.venue import Venue
from tests.support.waiting import wait_for

TOKEN = "a-token-that-may-only-read"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the readers' tokens, laid out as a mounted Secret."""
    directory = tmp_path_factory.mktemp("readers")
    data = directory / "..data"
    data.mkdir()
    (data / "auditor").write_text(f"{TOKEN}\n")
    (directory / "auditor").symlink_to(data / "auditor")
    (directory / "short").write_text("too-short")
    return directory


@pytest.fixture(scope="module")
def served(venue_with: Callable[..., Venue], tokens: Path) -> Venue:
    """Return a venue with readers, which the module's tests share."""
    venue = venue_with()
    venue.environment["OPENVENUE_ENGINE_ADMIN_TOKEN_FILE"] = str(venue.admin.token_file)
    venue.start_administration(readers=str(tokens))
    return venue


@pytest.fixture(scope="module")
def victim(served: Venue) -> NewKey:
    """Return the key of account 1."""
    return served.open_account(1)


@pytest.mark.parametrize(("method", "path"), sorted(ROUTES))
def test_a_reader_reads_every_route_and_changes_nothing(
    served: Venue, victim: NewKey, method: str, path: str
) -> None:
    url = path.format(**{**VALUES, "key_id": victim.key_id})
    with client(served) as admin, client(served, TOKEN) as reader:
        before = state_of(admin)
        if method == "GET" and path != "/v1/admin/drop-copy":
            mine, theirs = reader.get(url), admin.get(url)
            assert mine.status_code == theirs.status_code
            assert mine.status_code == 200 or path == "/v1/admin/orders/{order_id}/story"
        elif method == "GET":
            with reader.stream(method, url) as events:
                assert events.status_code == 200
        else:
            answer = reader.request(method, url, json=BODIES.get(path))
            assert (answer.status_code, answer.json()["code"]) == (403, 40110000)
            assert "may only read" in answer.json()["detail"]
            # Before anything is said about the request itself.
            assert reader.request(method, url + "?unknown=1", content=b"{").status_code == 403
        assert state_of(admin) == before


def test_a_reader_does_not_make_the_engine_hash_its_state(served: Venue) -> None:
    with client(served, TOKEN) as reader:
        status = "/v1/admin/status"
        assert reader.get(status, params={"state_hash": "false"}).status_code == 200
        assert reader.get(status, params={"state_hash": "true"}).status_code == 403


def test_the_engine_does_not_know_a_readers_token(served: Venue) -> None:
    with served.admin.stub() as stub, pytest.raises(grpc.RpcError) as refused:
        stub.ListAccounts(
            pb.ListAccountsRequest(),
            timeout=10,
            metadata=(("authorization", f"Bearer {TOKEN}"),),
        )
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("token", ["too-short", TOKEN + "x", TOKEN[:-1], "short", "auditor"])
def test_nobody_else_reads(served: Venue, token: str) -> None:
    with client(served, token) as stranger:
        assert stranger.get("/v1/admin/status").status_code == 401


def test_tokens_of_readers_come_and_go_without_a_restart(served: Venue, tokens: Path) -> None:
    file = tokens / "eve"
    with client(served, "eves-token-that-may-read") as eve:
        assert eve.get("/v1/admin/keys").status_code == 401
        file.write_text("eves-token-that-may-read")
        assert eve.get("/v1/admin/keys").status_code == 200
        file.unlink()
        assert eve.get("/v1/admin/keys").status_code == 401


def test_without_a_token_of_its_own_that_the_engine_accepts_readers_are_not_served(
    served: Venue,
) -> None:
    file = served.admin.token_file
    token = file.read_text()
    other = file.with_name("other")
    other.write_text("another-token-for-a-test")
    try:
        with client(served, TOKEN) as reader, client(served, other.read_text()) as admin:
            file.write_text("a-token-that-changes-here")
            assert reader.get("/v1/admin/accounts").status_code == 200  # It is read each time.
            file.unlink()

            def refused() -> bool:
                return reader.get("/v1/admin/keys").status_code == 503

            wait_for(refused)
            assert "token of this process" in reader.get("/v1/admin/keys").json()["detail"]
            assert admin.get("/v1/admin/keys").status_code == 200
    finally:
        file.write_text(token)
        other.unlink()


def test_readers_need_a_token_of_the_process(tokens: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "openvenue.admin_server"],
        env={**os.environ, "OPENVENUE_ADMIN_READERS": str(tokens)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "OPENVENUE_ENGINE_ADMIN_TOKEN_FILE" in ended.stderr


def test_what_a_reader_tried_is_logged(served: Venue, victim: NewKey) -> None:
    with client(served, TOKEN) as reader:
        answer = reader.delete(f"/v1/admin/keys/{victim.key_id}")
    assert answer.status_code == 403
    log = served.administration.log.read_text()
    assert '"status": 403' in log
    assert TOKEN not in log
