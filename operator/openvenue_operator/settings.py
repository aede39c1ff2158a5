"""Every setting of the operator: environment variables prefixed `OPENVENUE_OPERATOR_`."""

import secrets
import socket
from typing import Annotated

from openvenue.settings import LogFormat, LogLevel
from pydantic import Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

TICK_MAX_S = 15.0
"""Less than another operator waits for an answer about the Lease (`lease.PATIENCE_S`)."""

Seconds = Annotated[float, Field(gt=0, le=3600)]
TickSeconds = Annotated[float, Field(gt=0, le=TICK_MAX_S)]


class OperatorSettings(BaseSettings):
    """Validated once at start; a bad value ends the process with the name of the variable."""

    model_config = SettingsConfigDict(env_prefix="OPENVENUE_OPERATOR_", frozen=True)

    namespaces: Annotated[str, NoDecode] = Field(
        default="", description="whose Venues are tuned, separated by commas; empty: all"
    )
    identity: str = Field(
        default_factory=lambda: f"{socket.gethostname()}_{secrets.token_hex(4)}",
        min_length=1,
        max_length=253,
        description="what tells this operator from others: namespace and name of its pod",
    )
    tick_s: TickSeconds = Field(
        default=5.0, description="between two reconciliations of a venue that is settled"
    )
    progress_tick_s: TickSeconds = Field(
        default=1.5, description="between two reconciliations of a venue while something changes"
    )
    http_host: str = Field(
        default="127.0.0.1", description="`::` for all addresses of both families"
    )
    http_port: int = Field(
        default=8080, ge=0, le=65_535, description="of /healthz and /metrics; 0: any that is free"
    )
    hang_timeout_s: float = Field(
        default=90.0,
        ge=60,
        le=3600,
        description="after which a venue without a finished reconciliation fails /healthz",
    )
    failing_timeout_s: float = Field(
        default=300.0,
        ge=60,
        le=86_400,
        description="after which a venue that cannot be reconciled fails /readyz, but not /healthz",
    )
    watch_silence_s: Seconds = Field(
        default=70.0,
        description="after which a watch that says nothing is begun anew; the API server speaks "
        "every minute",
    )
    log_level: LogLevel = "INFO"
    log_format: LogFormat = "json"

    @property
    def namespace_names(self) -> tuple[str, ...]:
        """The namespaces; empty: all."""
        return tuple(name for part in self.namespaces.split(",") if (name := part.strip()))
