"""Tokens that are refused whoever signed them, and forged ones."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.api.tokens import assert_refused, get
from tests.support.issuer import Issuer, SigningKey, segment
from tests.support.venue import Venue, log_lines
from tests.support.waiting import wait_for

LONG_AGO_S, FAR_AHEAD_S = 1_000_000_000, 4_000_000_000
STRANGER = SigningKey("first")


def test_a_stranger_with_the_same_key_id_is_refused(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    assert_refused(
        get(trusting, issuer.token(account_id, key=STRANGER)), "the token's signature is wrong"
    )


@pytest.mark.parametrize(
    ("claims", "detail"),
    [
        ({"iss": "https://issuer.example"}, "the token is of another issuer"),
        ({"iss": None}, "the token lacks one of exp, iss and aud"),
        ({"iss": 7}, "the token is of another issuer"),
        ({"aud": "https://other.example"}, "the token is for another audience"),
        ({"aud": ["https://other.example", 7]}, "the token is for another audience"),
        ({"aud": {"https://venue.example": 1}}, "the token is for another audience"),
        ({"aud": None}, "the token lacks one of exp, iss and aud"),
        ({"exp": None}, "the token lacks one of exp, iss and aud"),
        ({"exp": "soon"}, "the token is malformed"),
        ({"exp": float("inf")}, "the token is malformed"),
        ({"exp": [9e9]}, "the token is malformed"),
        ({"exp": LONG_AGO_S}, "the token has expired"),
        ({"nbf": FAR_AHEAD_S}, "the token is not valid yet"),
        ({"iat": FAR_AHEAD_S}, "the token is not valid yet"),
        ({"cnf": {"jkt": "x"}}, "the token is bound to a key of its client (cnf)"),
    ],
)
def test_claims_that_are_not_for_this_venue_now_are_refused(
    trusting: Venue, issuer: Issuer, account_id: int, claims: dict[str, Any], detail: str
) -> None:
    assert_refused(get(trusting, issuer.token(account_id, **claims)), detail)


@pytest.mark.parametrize(
    "account",
    [
        None,
        0,
        -1,
        1 << 32,
        1.0,
        True,
        "",
        "0",
        "-7",
        "+7",
        " 7",
        "\u0667",
        "7e0",
        "0x7",
        [7],
        {},
        "7" * 99,
    ],
)
def test_a_token_without_an_accounts_number_is_refused(
    trusting: Venue, issuer: Issuer, account: Any
) -> None:
    assert_refused(
        get(trusting, issuer.token(1, openvenue_account=account)),
        "the token's claim openvenue_account has no account's number",
    )


def test_alg_none_is_refused(trusting: Venue, issuer: Issuer, account_id: int) -> None:
    payload = segment(issuer.claims(account_id))
    for algorithm in ("none", "None", "NONE", "", None):
        header = segment({"alg": algorithm, "kid": "first", "typ": "at+jwt"})
        for signature in ("", segment(b"x")):
            assert_refused(
                get(trusting, f"{header}.{payload}.{signature}"),
                "the token's algorithm is none of RS256, ES256",
            )


def test_the_public_key_is_no_secret_of_hs256(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    public = issuer.key.private.public_key()
    encodings = [
        public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        json.dumps(issuer.key.jwk()).encode(),
        issuer.key.jwk()["n"].encode(),
        b"",
    ]
    for algorithm in ("HS256", "RS256"):
        signed = (
            f"{segment({'alg': algorithm, 'kid': 'first'})}.{segment(issuer.claims(account_id))}"
        )
        for secret in encodings:
            mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
            assert get(trusting, f"{signed}.{segment(mac)}").status_code == 401


def test_a_header_that_brings_a_key_or_names_a_place_for_one_is_not_followed(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    with Issuer(key=SigningKey("evil")).serving() as attacker:
        place = f"{attacker.url}/keys"
        for header in (
            {"jku": place},
            {"x5u": place},
            {"jwk": attacker.key.jwk()},
            {"jku": place, "kid": "first"},
            {"jwk": attacker.key.jwk(), "kid": "first"},
        ):
            token = issuer.token(account_id, key=attacker.key, header=header)
            assert get(trusting, token).status_code == 401
        assert attacker.asked == []
    # The issuer's own tokens may have them.
    token = issuer.token(account_id, header={"jku": place, "jwk": attacker.key.jwk()})
    assert get(trusting, token).status_code == 200


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ({"typ": "logout+jwt"}, "this kind of token is not for access (typ)"),
        ({"typ": "dpop+jwt"}, "this kind of token is not for access (typ)"),
        ({"crit": ["exp"]}, "the token is malformed"),
        ({"crit": ["b64"], "b64": True}, "the token has critical headers, which nobody knows here"),
        ({"crit": ["b64"], "b64": False}, "the token is malformed"),
        ({"kid": None}, "the token does not say which key signed it (kid)"),
    ],
)
def test_headers_that_mean_something_else_are_refused(
    trusting: Venue,
    issuer: Issuer,
    account_id: int,
    header: dict[str, Any],
    detail: str,
) -> None:
    assert_refused(get(trusting, issuer.token(account_id, header=header)), detail)


def test_a_changed_token_is_refused_also_after_the_right_one(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    other = trusting.open_account().account_id
    token = issuer.token(account_id, scope="openvenue:read").token
    assert get(trusting, token).status_code == 200
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    for change in ({"openvenue_account": other}, {"scope": "openvenue:trade"}):
        changed = f"{header}.{segment({**claims, **change})}.{signature}"
        assert_refused(get(trusting, changed), "the token's signature is wrong")
    foreign = issuer.token(other).token.rpartition(".")[2]
    assert_refused(get(trusting, f"{header}.{payload}.{foreign}"), "the token's signature is wrong")
    assert get(trusting, token).status_code == 200


@pytest.mark.parametrize(
    "token",
    [
        *("x", "x.y", "x.y.z", "..", "e30.e30.e30", "x.y.z.w.v", "=.=.=", "a" * 4000),
        f"{segment(b'[' * 3000)}.e30.e30",
        f"{segment(b'null')}.e30.e30",
        f"{segment({'alg': ['RS256'], 'kid': {}})}.e30.e30",
    ],
)
def test_what_is_no_token_is_refused(trusting: Venue, token: str) -> None:
    answer = get(trusting, token)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_token_of_any_size_is_refused_without_work(
    trusting: Venue, issuer: Issuer, account_id: int
) -> None:
    huge = issuer.token(account_id, padding="x" * 9000)
    assert_refused(get(trusting, huge), "the token is longer than 8192 bytes")
    # Beyond what a request's head may be, nobody looks at it.
    assert get(trusting, "x" * 70_000).status_code == 431


def test_a_weak_or_private_or_unsuitable_key_is_not_used(
    new_venue: Callable[..., Venue],
) -> None:
    weak = SigningKey("weak", private=rsa.generate_private_key(65537, 1024))
    revealed, curve = SigningKey("revealed"), SigningKey("curve", "ES256")
    encrypts, secret = SigningKey("encrypts"), "s" * 64
    with Issuer(key=curve).serving() as own:
        own.published = [
            weak.jwk(),
            revealed.jwk(private=True),
            {**encrypts.jwk(), "use": "enc"},
            {"kty": "oct", "kid": "shared", "k": segment(secret.encode())},
            {**curve.jwk(), "alg": "ES384", "kid": "other algorithm"},
            {"kty": "RSA", "kid": 7},
            {"kid": "nothing"},
            curve.jwk(),
        ]
        venue = new_venue(**own.environment()).start(projector=False)
        account_id = venue.open_account().account_id
        assert get(venue, own.token(account_id)).status_code == 200
        for key in (weak, revealed, encrypts):
            assert get(venue, own.token(account_id, key=key)).status_code == 401
        named = {"kid": "shared", "typ": "at+jwt"}
        symmetric = jwt.encode(own.claims(account_id), secret, "HS256", headers=named)
        assert get(venue, symmetric).status_code == 401
        other = own.token(account_id, header={"kid": "other algorithm"})
        assert_refused(
            get(venue, other), "the issuer publishes no such key for the token's algorithm"
        )


def test_no_log_has_a_token(trusting: Venue, issuer: Issuer, account_id: int) -> None:
    token = issuer.token(account_id, key=STRANGER).token
    get(trusting, token)
    wait_for(lambda: log_lines(trusting, "token refused"))
    for child in trusting.processes.values():
        log = child.log.read_text(errors="replace")
        assert token not in log
        assert token.split(".")[1] not in log
