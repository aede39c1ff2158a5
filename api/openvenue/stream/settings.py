"""The stream process's own settings: environment variables prefixed `OPENVENUE_STREAM_`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class StreamSettings(BaseSettings):
    """Validated once at start. `openvenue.settings` has the settings that the API shares."""

    model_config = SettingsConfigDict(
        env_prefix="OPENVENUE_STREAM_", frozen=True, hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8002, ge=0, le=65_535, description="of the WebSockets; 0: any free")
    port_file: Path | None = Field(
        default=None, description="file to write the port to once the process serves"
    )
    http_host: str = "127.0.0.1"
    http_port: int = Field(
        default=0, ge=0, le=65_535, description="for probes and metrics; 0: none"
    )
    window_entries: int = Field(
        default=100_000,
        ge=0,
        le=10_000_000,
        description="journal entries before the start that it reads, so that clients can resume",
    )
    window_messages_max: int = Field(
        default=500_000,
        ge=1,
        le=100_000_000,
        description="messages kept for clients that resume",
    )
    connections_max: int = Field(default=4096, ge=1, le=65_536)
    connections_per_key_max: int = Field(default=16, ge=1, le=65_536)
    subscriptions_max: int = Field(
        default=1000, ge=1, le=1_000_000, description="symbols of one connection, over all channels"
    )
    message_bytes_max: int = Field(
        default=262_144, ge=1024, le=1 << 24, description="size of a client's message"
    )
    authentication_timeout_s: float = Field(default=10.0, gt=0, le=300)
    refusal_delay_max_s: float = Field(
        default=5.0,
        ge=0,
        le=60,
        description="longest wait before an address that fails again and again is refused",
    )
    conflate_bytes: int = Field(
        default=64 << 10,
        ge=1024,
        le=1 << 30,
        description="unsent bytes of a connection above which it gets only the newest quotes and "
        "books",
    )
    unsent_bytes_max: int = Field(
        default=4 << 20,
        ge=4096,
        le=1 << 30,
        description="unsent bytes of a connection above which it is closed as too slow",
    )
    bar_grace_s: float = Field(
        default=1.0,
        ge=0,
        le=60,
        description="how long after its end a bar waits for trades that are still under way",
    )
    backoff_max_s: float = Field(default=5.0, gt=0, le=300)
