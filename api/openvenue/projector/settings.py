"""The projector's own settings: environment variables prefixed `OPENVENUE_PROJECTOR_`."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ProjectorSettings(BaseSettings):
    """Validated once at start. `openvenue.settings` has the settings that the API shares."""

    model_config = SettingsConfigDict(
        env_prefix="OPENVENUE_PROJECTOR_", frozen=True, hide_input_in_errors=True
    )

    batch_entries_max: int = Field(
        default=8192, ge=1, le=1 << 20, description="journal entries of one transaction"
    )
    rest_max_ms: int = Field(
        default=50, ge=0, le=10_000, description="longest rest between transactions under load"
    )
    trades_kept_days: int = Field(
        default=30, ge=1, le=36_500, description="days for which market trades are kept"
    )
    quotes_kept_days: int = Field(
        default=7, ge=1, le=36_500, description="days for which quotes are kept"
    )
    reader: str = Field(
        default="projector",
        pattern="^[a-z0-9][a-z0-9-]{0,62}$",
        description="name under which the engine keeps the journal for it; each database its own",
    )
    acknowledge_interval_s: float = Field(
        default=5.0, gt=0, le=300, description="between two acknowledgements of the journal"
    )
    http_host: str = "127.0.0.1"
    http_port: int = Field(
        default=0, ge=0, le=65_535, description="for probes and metrics; 0: none"
    )
    backoff_max_s: float = Field(default=5.0, gt=0, le=300)
