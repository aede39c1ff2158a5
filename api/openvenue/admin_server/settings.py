"""The administration process's own settings: environment variables prefixed `OPENVENUE_ADMIN_`."""

from pathlib import Path

from pydantic import DirectoryPath, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class AdminSettings(BaseSettings):
    """Validated once at start. `openvenue.settings` has the settings that the API shares."""

    model_config = SettingsConfigDict(
        env_prefix="OPENVENUE_ADMIN_", frozen=True, hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8003, ge=0, le=65_535, description="of HTTP; 0: any free one")
    port_file: Path | None = Field(
        default=None, description="file to write the port to once the process serves"
    )
    http_host: str = "127.0.0.1"
    http_port: int = Field(
        default=0, ge=0, le=65_535, description="for probes and metrics; 0: none"
    )
    readers: DirectoryPath | None = Field(
        default=None,
        description="directory with a file for each token that may only read. Needs "
        "OPENVENUE_ENGINE_ADMIN_TOKEN_FILE, with which the process reads for them",
    )
    connections_max: int = Field(default=64, ge=1, le=4096)
    db_connections: int = Field(
        default=2, ge=1, le=20, description="at most; a drop copy takes one more while it begins"
    )
    token_checks_max: int = Field(
        default=16, ge=1, le=1000, description="tokens that the engine checks at a time"
    )
    scans_max: int = Field(
        default=2, ge=1, le=8, description="requests that read the journal at a time"
    )
    drop_copies_max: int = Field(default=8, ge=1, le=1000)
    window_entries: int = Field(
        default=100_000,
        ge=0,
        le=10_000_000,
        description="journal entries before its beginning that the drop copy reads, for resuming",
    )
    window_messages_max: int = Field(
        default=100_000, ge=1, le=100_000_000, description="order updates kept for resuming"
    )
    backoff_max_s: float = Field(default=5.0, gt=0, le=300)
