"""The keys with which an OpenID Connect issuer signs tokens, read from where it publishes them.

They are read again at intervals, and soon if a token names a key that is not among them; but never
more often than `ask_interval_s`, whatever clients send. While the issuer does not answer, known
keys stay good for a bounded time. A request whose token names an unknown key waits for the next
reading, so it is refused only if the issuer does not have the key.

A token's header chooses among these keys by `kid` and says nothing else about keys: `jku`, `x5u`,
`x5c` and `jwk` are not looked at (RFC 8725, section 3.10).
"""

import asyncio
import hashlib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import msgspec
from jwt import PyJWK, PyJWTError

from openvenue import metrics
from openvenue.reasons import reason_of
from openvenue.security.principal import UncheckedCredentials
from openvenue.settings import OidcSettings, may_be_fetched
from openvenue.telemetry import get_logger, log_refusal

_DISCOVERY = "/.well-known/openid-configuration"
_DOCUMENT_BYTES_MAX = 256 << 10
_KEYS_MAX = 100
# A request waits for the reading that starts next, at most so much longer than it should take.
_PATIENCE_S = 1.0
# Of a key's description, those that make the key (RFC 7638, section 3.2).
_MAKES_KEY = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
_NO_ANSWER = "the token cannot be checked at the moment: its issuer does not answer"

_log = get_logger(__name__)


class _Discovery(msgspec.Struct):
    issuer: str
    jwks_uri: str


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


_Document = TypeVar("_Document", _Discovery, _KeySet)


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key that checks signatures of one algorithm."""

    key: PyJWK
    thumbprint: str
    """Of the key itself: an issuer may give its name to another one."""


class _Unusable(Exception):
    """The issuer answered something that cannot be used; says what."""


class IssuerKeys:
    """The keys that the issuer publishes; `run` has to run beside the requests."""

    def __init__(self, settings: OidcSettings, *, waiting_max: int) -> None:
        assert settings.issuer is not None
        self._issuer = settings.issuer
        self._settings = settings
        self._waiting_max = waiting_max
        self._keys: Mapping[tuple[str, str], PublishedKey] = {}
        self._names: frozenset[str] = frozenset()
        self._thumbprints: frozenset[str] = frozenset()
        self._loop = asyncio.get_running_loop()
        self._read_at = float("-inf")
        self._attempted_at = float("-inf")
        self._failure: str | None = "not asked yet"
        self._asked = asyncio.Event()
        # Of the reading that starts next: True if the issuer answered.
        self._next: asyncio.Future[bool] = self._loop.create_future()
        self._waiting = 0

    def publishes(self, thumbprint: str) -> bool:
        """True if the key is published, as far as is known."""
        return thumbprint in self._thumbprints

    def require_fresh(self) -> None:
        """Raise UncheckedCredentials if the issuer has not answered for too long."""
        if self._loop.time() - self._read_at > self._settings.stale_max_s:
            raise UncheckedCredentials(_NO_ANSWER)

    async def find(self, key_id: str, algorithm: str) -> PublishedKey | None:
        """Return a published key that signs with this algorithm, None if there is none.

        Raises UncheckedCredentials if the issuer does not answer.
        """
        if key_id not in self._names:
            await self._next_reading()
        self.require_fresh()
        return self._keys.get((key_id, algorithm))

    def export_metrics(self) -> None:
        """Export the gauges."""
        metrics.ISSUER_KEYS.set(len(self._names))
        if self._read_at > float("-inf"):
            metrics.ISSUER_KEYS_AGE_SECONDS.set(self._loop.time() - self._read_at)

    async def run(self) -> None:
        """Read the keys until cancelled: when due, and soon after a request asks for them."""
        settings = self._settings
        while True:
            wait_s = settings.refresh_s if self._failure is None else settings.ask_interval_s
            try:
                async with asyncio.timeout_at(self._attempted_at + wait_s):
                    await self._asked.wait()
            except TimeoutError:
                pass
            rest_s = self._attempted_at + settings.ask_interval_s - self._loop.time()
            await asyncio.sleep(max(0.0, rest_s))
            await self._read()

    async def _next_reading(self) -> None:
        """Wait for a reading that starts after now."""
        if self._waiting >= self._waiting_max:
            log_refusal("token not checked", "refused", waiting=self._waiting)
            raise UncheckedCredentials("too many tokens are waiting to be checked")
        settings = self._settings
        self._waiting += 1
        self._asked.set()
        try:
            patience_s = settings.ask_interval_s + settings.fetch_timeout_s + _PATIENCE_S
            async with asyncio.timeout(patience_s):
                answered = await asyncio.shield(self._next)
        except TimeoutError:
            answered = False
        finally:
            self._waiting -= 1
        if not answered:
            log_refusal("token not checked", "failed", reason=self._failure)
            raise UncheckedCredentials(_NO_ANSWER)

    async def _read(self) -> None:
        self._attempted_at = self._loop.time()
        self._asked.clear()
        reading, self._next = self._next, self._loop.create_future()
        failure: str | None = None
        try:
            listed = await self._fetch()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            failure = f"the issuer does not answer: {reason_of(error)}"
        except (_Unusable, ValueError) as error:
            failure = f"the issuer's answer cannot be used: {error}"
        else:
            self._use(listed)
            self._read_at = self._attempted_at
        if failure != self._failure:
            if failure is not None:
                _log.warning("issuer's keys not read: known ones stay as they are", reason=failure)
            else:
                _log.info("issuer's keys read", keys=len(self._names))
        self._failure = failure
        metrics.ISSUER_READS.labels("failed" if failure else "ok").inc()
        reading.set_result(failure is None)

    def _use(self, listed: Sequence[dict[str, Any]]) -> None:
        keys: dict[tuple[str, str], PublishedKey] = {}
        for described in listed[:_KEYS_MAX]:
            key_id = described.get("kid")
            # A key with its private part is everybody's; one without a name cannot be chosen.
            if not isinstance(key_id, str) or "d" in described:
                continue
            if described.get("use", "sig") != "sig":
                continue
            for algorithm in self._settings.algorithms:
                if described.get("alg", algorithm) != algorithm:
                    continue
                try:
                    key = PyJWK(described, algorithm=algorithm)
                except (PyJWTError, ValueError, TypeError):
                    continue  # Of another kind or curve than the algorithm's.
                keys[key_id, algorithm] = PublishedKey(key, _thumbprint(described))
        self._keys = keys
        self._names = frozenset(key_id for key_id, _ in keys)
        self._thumbprints = frozenset(key.thumbprint for key in keys.values())
        if not keys:
            _log.warning("the issuer publishes no key for these algorithms: all tokens are refused")

    async def _fetch(self) -> list[dict[str, Any]]:
        # The system's certificates are read from disk each time, so they may change.
        tls = ssl.create_default_context(cafile=self._settings.ca_file)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls),
            timeout=aiohttp.ClientTimeout(total=self._settings.fetch_timeout_s),
            headers={"accept": "application/json", "accept-encoding": "identity"},
        ) as session:
            url = self._issuer.rstrip("/") + _DISCOVERY
            discovery = await self._get(session, url, _Discovery)
            if discovery.issuer != self._issuer:
                raise _Unusable(f"it calls itself {discovery.issuer!r}, not {self._issuer!r}")
            return (await self._get(session, discovery.jwks_uri, _KeySet)).keys

    async def _get(
        self, session: aiohttp.ClientSession, url: str, kind: type[_Document]
    ) -> _Document:
        if not may_be_fetched(url, allow_http=self._settings.allow_http):
            raise _Unusable(f"{url!r} is not an https:// URL")
        # A redirect could lead to a place that nobody has configured.
        async with session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise _Unusable(f"{url} answers {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _DOCUMENT_BYTES_MAX:
                    raise _Unusable(f"{url} is larger than {_DOCUMENT_BYTES_MAX} bytes")
        try:
            return msgspec.json.decode(bytes(body), type=kind)
        except msgspec.MsgspecError as error:
            raise _Unusable(f"{url}: {error}") from error


def _thumbprint(described: Mapping[str, Any]) -> str:
    """Return what is the same for the same key only, whatever else is said of it."""
    members = {name: described.get(name) for name in _MAKES_KEY[described["kty"]]}
    return hashlib.sha256(msgspec.json.encode(members)).hexdigest()
