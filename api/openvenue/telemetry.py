"""Structured logs of every Python process: one line per event, no secrets.

Standard-library loggers (uvicorn, SQLAlchemy, Alembic) go through the same processors. The level
can be changed at run time.
"""

import logging
import re
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog

from openvenue.settings import LogFormat, LogLevel

_REDACTED = "[redacted]"
_SECRET_NAMES = re.compile(
    r"secret|password|passwd|authorization|token|apca-api|database_url", re.I
)
# Credentials in texts: user:password@ of a URL, values after a secret's header name, and tokens.
_SECRET_TEXTS = re.compile(
    r"(?P<lead>://[^/\s:@]*:)[^/\s@]+(?=@)"
    r"|(?P<name>(?:apca-api-secret-key['\"]?\s*[:=,]\s*b?['\"]?)|\bbearer\s+(?=\S*\.))[^\s'\",)]+",
    re.I,
)
_QUIET_LOGGERS = ("uvicorn.access",)


def configure_logging(level: LogLevel, log_format: LogFormat) -> None:
    """Send all logs of this process to stderr in `log_format`, from `level` on. Idempotent."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = name not in _QUIET_LOGGERS
        logger.setLevel(logging.NOTSET)
    set_log_level(level)


def set_log_level(level: LogLevel) -> None:
    """Change the level of the running process."""
    logging.getLogger().setLevel(level)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; call it with an event and keyword details."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


class Throttled:
    """Warnings that may come by the thousand: at most one line in `interval_s` for each cause.

    The first is logged at once. The next line counts those that followed within the interval
    (`suppressed`): either the next warning, or a line that `flush` writes.
    """

    def __init__(
        self,
        log: structlog.stdlib.BoundLogger,
        *,
        interval_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._interval_s = interval_s
        self._clock = clock
        # For each event and cause: when it may be logged again, and how many were not since.
        self._waiting: dict[tuple[str, str], tuple[float, int]] = {}

    def warning(self, event: str, cause: str, **details: Any) -> None:
        """Log or count an event. `cause` is one of a few; `details` are those of the first."""
        due_at, suppressed = self._waiting.get((event, cause), (0.0, 0))
        if (now := self._clock()) < due_at:
            self._waiting[event, cause] = (due_at, suppressed + 1)
            return
        self._waiting[event, cause] = (now + self._interval_s, 0)
        self._log.warning(event, cause=cause, suppressed=suppressed, **details)

    def flush(self) -> None:
        """Log the counts that are due; call it more often than every `interval_s`."""
        now = self._clock()
        for (event, cause), (due_at, suppressed) in list(self._waiting.items()):
            if now < due_at:
                continue
            if suppressed:
                self._waiting[event, cause] = (now + self._interval_s, 0)
                self._log.warning(event, cause=cause, suppressed=suppressed)
            else:
                del self._waiting[event, cause]


# Refusals and losses of a process: logged at once, then at most a line at intervals for each cause.
# The causes are those of the metrics; docs/operate.md lists events and metrics together.
_refusals = Throttled(get_logger("openvenue.refusals"))
log_refusal = _refusals.warning
flush_refusals = _refusals.flush


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace the values of secret fields at any depth, and credentials in texts."""
    for key, value in event.items():
        event[key] = _REDACTED if _SECRET_NAMES.search(str(key)) else _redact_value(value)
    return event


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRET_TEXTS.sub(lambda match: (match["lead"] or match["name"]) + _REDACTED, value)
    if isinstance(value, Mapping):
        return {
            key: _REDACTED if _SECRET_NAMES.search(str(key)) else _redact_value(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redact_value(item) for item in value]
    return value
