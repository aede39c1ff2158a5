"""Every setting of the Python processes: environment variables prefixed `OPENVENUE_`.

The defaults suit a laptop; the charts and `openvenue up` set what differs. Settings that may change
while a process runs (`Tuning`) come from a watched file instead, see
`openvenue.serving.tuning`.
"""

import re
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    Field,
    FilePath,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from openvenue.database_url import parse_database_url

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["json", "console"]
Transport = Literal["session", "unary"]
TokenAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""Only asymmetric ones: the venue holds no key with which it could make tokens itself."""

_ENGINE_TARGET = re.compile(r"unix:.+|dns:.+|ipv[46]:.+|(?:[^:/\s]+|\[[0-9a-fA-F:]+\]):\d{1,5}")

_PACKAGED = Path(__file__).resolve().parent / "_migrations"
_IN_A_CHECKOUT = Path(__file__).resolve().parents[2] / "alembic"

_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")

Seconds = Annotated[float, Field(gt=0, le=3600)]


def may_be_fetched(url: str, *, allow_http: bool) -> bool:
    """True if what a URL answers can be trusted: over HTTPS, or from this machine."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None or parts.fragment:
        return False
    if parts.scheme == "http":
        return allow_http or _LOOPBACK.fullmatch(parts.hostname) is not None
    return parts.scheme == "https"


class OidcSettings(BaseSettings):
    """The issuer of bearer tokens; without one only API keys are taken."""

    model_config = SettingsConfigDict(
        env_prefix="OPENVENUE_OIDC_", frozen=True, hide_input_in_errors=True
    )

    allow_http: bool = Field(
        default=False,
        description="fetch the issuer's keys without TLS also from another machine; whoever is on "
        "the way can then make tokens",
    )
    issuer: str | None = Field(
        default=None,
        description="URL of the OpenID Connect issuer, exactly as it names itself in its tokens",
    )
    audience: str | None = Field(
        default=None,
        min_length=1,
        validate_default=True,
        description="name of this venue, which a token must have in `aud`",
    )
    algorithms: Annotated[tuple[TokenAlgorithm, ...], NoDecode] = Field(
        default=("RS256", "ES256"),
        min_length=1,
        description="signature algorithms that are taken, separated by commas",
    )
    account_claim: str = Field(
        default="openvenue_account",
        min_length=1,
        description="claim with the number of the account that a token acts for",
    )
    scope_claim: str = Field(
        default="scope",
        min_length=1,
        description="claim with the scopes: words in a string, or a list",
    )
    scope_prefix: str = Field(
        default="openvenue:",
        description="what stands before read, trade and data in that claim",
    )
    require_at_jwt: bool = Field(
        default=False,
        description="take only tokens whose header says at+jwt (RFC 9068), not JWT or nothing",
    )
    leeway_s: float = Field(
        default=10.0, ge=0, le=300, description="by which the issuer's clock may differ"
    )
    token_bytes_max: int = Field(default=8192, ge=512, le=1 << 16)
    ca_file: FilePath | None = Field(
        default=None, description="certificates that sign the issuer's, instead of the system's"
    )
    fetch_timeout_s: Seconds = Field(default=5.0, description="of each of the issuer's documents")
    refresh_s: Seconds = Field(
        default=300.0, description="after which the issuer's keys are read again"
    )
    ask_interval_s: float = Field(
        default=5.0,
        ge=0.1,
        le=300,
        description="least time between two readings, also for keys that are not known",
    )
    stale_max_s: float = Field(
        default=3600.0,
        gt=0,
        le=7 * 86_400,
        description="how long known keys stay good while the issuer does not answer",
    )

    @field_validator("issuer")
    @classmethod
    def _check_issuer(cls, url: str | None, others: ValidationInfo) -> str | None:
        if not url:
            return None
        if not may_be_fetched(url, allow_http=others.data.get("allow_http", False)):
            raise ValueError(
                "must begin with https://, or http:// of this machine; "
                "OPENVENUE_OIDC_ALLOW_HTTP=true allows any"
            )
        return url

    @field_validator("audience")
    @classmethod
    def _check_audience(cls, name: str | None, others: ValidationInfo) -> str | None:
        if name is None and others.data.get("issuer"):
            raise ValueError("is needed beside OPENVENUE_OIDC_ISSUER")
        return name

    @field_validator("ca_file")
    @classmethod
    def _check_certificates(cls, file: Path | None) -> Path | None:
        if file is not None:
            try:
                ssl.create_default_context(cafile=file)
            except OSError as error:  # An SSLError is one.
                raise ValueError("must be a readable file of PEM certificates") from error
        return file

    @field_validator("algorithms", mode="before")
    @classmethod
    def _split(cls, listed: object) -> object:
        return _separated(listed)


class Settings(BaseSettings):
    """Validated once at start; a bad value ends the process with the name of the variable."""

    model_config = SettingsConfigDict(
        env_prefix="OPENVENUE_", frozen=True, hide_input_in_errors=True
    )

    database_url: SecretStr = SecretStr("postgresql://openvenue@127.0.0.1:5432/openvenue")
    db_pool_size: int = Field(
        default=5,
        ge=2,
        le=500,
        description="kept connections a worker; one of them listens and checks keys",
    )
    db_pool_overflow: int = Field(
        default=5, ge=0, le=500, description="further connections under load"
    )
    db_pool_timeout_s: Seconds = 5.0
    db_statement_timeout_s: Seconds = 10.0
    migration_lock_timeout_s: Seconds = Field(
        default=10.0,
        description="how long a migration waits for a table; later users wait behind it",
    )
    migration_statement_timeout_s: float = Field(
        default=600.0,
        gt=0,
        le=7 * 86_400,
        description="of each statement; an index that is built beside trading may take hours",
    )
    migrations_dir: Path = Field(
        default_factory=lambda: _PACKAGED if _PACKAGED.is_dir() else _IN_A_CHECKOUT
    )

    shard_id: int = Field(default=0, ge=0, lt=1 << 32)
    engine_target: str = Field(default="127.0.0.1:7070", description="host:port or unix:/path")
    engine_admin_target: str = Field(
        default="127.0.0.1:7072", description="as engine_target, of the engine's administration"
    )
    engine_admin_token_file: Path | None = Field(
        default=None, description="holds one of the engine's administration tokens"
    )
    engine_transport: Transport = Field(
        default="session", description="unary is the benchmark's baseline"
    )
    grpc_channels: int = Field(default=1, ge=1, le=64)
    engine_in_flight_max: int = Field(
        default=4096, ge=1, le=65_536, description="requests of one worker"
    )
    engine_reply_timeout_s: Seconds = Field(
        default=5.0, description="after which the fate of a request is reported as unknown"
    )
    engine_probe_timeout_s: Seconds = Field(
        default=2.0, description="after which an engine that does not answer fails readiness"
    )
    engine_keepalive_interval_s: float = Field(
        default=10.0, ge=5, le=3600, description="the engine ends connections that ask more often"
    )
    engine_keepalive_timeout_s: Seconds = 5.0
    engine_reconnect_backoff_max_s: Seconds = 2.0

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8000, ge=0, le=65_535)
    api_port_file: Path | None = Field(
        default=None, description="file to write the port to once the socket is bound"
    )
    operations_host: str = "127.0.0.1"
    operations_port: int = Field(
        default=8001, ge=0, le=65_535, description="for probes and metrics; 0: any free one"
    )
    operations_port_file: Path | None = Field(
        default=None, description="file to write that port to once the socket is bound"
    )
    workers: int = Field(default=2, ge=1, le=64)
    request_body_bytes_max: int = Field(default=65_536, ge=1024, le=1 << 24)
    batch_body_bytes_max: int = Field(
        default=1 << 20, ge=1024, le=1 << 24, description="of many orders in one request"
    )
    request_head_bytes_max: int = Field(
        default=65_536, ge=1024, le=1 << 20, description="request line and headers together"
    )
    request_read_timeout_s: Seconds = Field(
        default=10.0, description="from the first byte of a request to its last"
    )
    response_write_timeout_s: Seconds = Field(
        default=30.0, description="how long answers may wait for a client that does not read"
    )
    connections_max: int = Field(
        default=4096, ge=1, le=65_536, description="connections that one worker serves"
    )
    websocket_target: str = Field(
        default="",
        pattern=r"^(\S+:\d{1,5})?$",
        description="host:port of the streams, to which WebSockets that come here are passed on "
        "where no ingress does it; empty: they are answered 404",
    )
    unary_calls_max: int = Field(
        default=64, ge=1, le=4096, description="books and look-ups of one worker under way"
    )
    quotes_history: bool = Field(
        default=True,
        description="keep and show a history of quotes; false: the projector writes none, and the "
        "API says that there is none",
    )
    public_pair_data: bool = Field(
        default=True,
        description="serve the market data of currency pairs without a key, as ccxt asks for it",
    )
    connections_per_address_max: int = Field(
        default=0,
        ge=0,
        le=65_536,
        description="connections of one client address that one worker serves; 0: as many as there "
        "are. Behind an ingress all clients have its address",
    )
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        default=(),
        description="networks, separated by commas, of proxies whose X-Forwarded-For is believed",
    )
    unread_bytes_max: int = Field(
        default=64 << 20,
        ge=1 << 20,
        le=1 << 36,
        description="answers of one worker that wait for clients that do not read",
    )
    keep_alive_timeout_s: float = Field(
        default=120.0,
        ge=5,
        le=3600,
        description="after which an idle connection is closed; longer than the ingress keeps it",
    )
    connection_lifetime_s: Seconds = Field(
        default=60.0,
        description="after which an answer asks its client to connect anew, so that workers and "
        "pods that are new get their share",
    )
    worker_hang_timeout_s: Seconds = Field(
        default=30.0, description="after which a worker whose event loop does not run is replaced"
    )
    drain_timeout_s: Seconds = Field(
        default=10.0,
        description="how long a stopping worker waits for connections to leave by themselves",
    )
    shutdown_notice_s: float = Field(
        default=0.0, ge=0, le=300, description="how long readiness fails before the socket closes"
    )
    projection_wait_ms: int = Field(
        default=1000,
        ge=0,
        le=60_000,
        description="longest wait of a read for what its account wrote",
    )
    rate_limit_per_minute: Annotated[int, Field(ge=1, le=1_000_000_000)] | Literal["unlimited"] = (
        Field(
            default=60_000,
            description="requests that a key may send a minute, to all workers of a pod together",
        )
    )
    auth_cache_ttl_s: Seconds = Field(
        default=30.0, description="within which a revoked key is refused, if the database answers"
    )
    auth_cache_stale_max_s: Seconds = Field(
        default=300.0, description="how long a key stays good that the database does not confirm"
    )
    auth_lookup_timeout_s: Seconds = 2.0
    auth_lookups_max: int = Field(
        default=1000, ge=1, le=1_000_000, description="requests that wait for their key's check"
    )
    auth_cache_entries_max: int = Field(default=10_000, ge=1, le=1_000_000)
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    instruments_refresh_s: Seconds = 30.0
    instruments_ask_interval_s: Seconds = Field(
        default=1.0,
        description="least time between two questions for unknown symbols and for the whole list",
    )

    tuning_file: Path | None = None
    metrics_dir: Path | None = Field(
        default=None,
        description="where workers share their metrics, emptied at the start; absent: a new one",
    )

    log_level: LogLevel = "WARNING"
    log_format: LogFormat = "json"

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, url: SecretStr) -> SecretStr:
        parse_database_url(url.get_secret_value())
        return url

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split(cls, listed: object) -> object:
        return _separated(listed)

    @field_validator("engine_target", "engine_admin_target")
    @classmethod
    def _check_engine_target(cls, target: str) -> str:
        if not _ENGINE_TARGET.fullmatch(target):
            raise ValueError("must be host:port or unix:/path")
        return target

    @property
    def request_timeout_s(self) -> float:
        """Time by which a request that waits for the engine has its answer in any case."""
        return 1.1 * self.engine_reply_timeout_s + 2.0

    @property
    def stop_timeout_s(self) -> float:
        """Time by which a worker that was told to stop has stopped."""
        return self.shutdown_notice_s + self.drain_timeout_s + self.request_timeout_s


def _separated(listed: object) -> object:
    if isinstance(listed, str):
        return [each.strip() for each in listed.split(",") if each.strip()]
    return listed


def describe_bad_settings(error: ValidationError) -> str:
    """Name the variables and their valid values, not the given ones: they may hold a password."""
    prefix = _prefix_of(error.title)
    sentences = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        name = "_".join(str(part) for part in problem["loc"]).upper()
        sentences.append(f"{prefix}{name}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(sentences)


def _prefix_of(model: str) -> str:
    """Return the prefix of a settings class's variables."""
    classes = list(BaseSettings.__subclasses__())
    for one in classes:
        classes.extend(one.__subclasses__())
        if one.__name__ == model:
            return str(one.model_config.get("env_prefix", ""))
    return "OPENVENUE_"


@contextmanager
def bad_settings_end_the_process() -> Iterator[None]:
    """End with status 2 and a sentence if the block finds an unusable setting."""
    try:
        yield
    except ValidationError as error:
        print(f"error: {describe_bad_settings(error)}", file=sys.stderr)
        raise SystemExit(2) from None


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the process's settings, read once."""
    return Settings()
