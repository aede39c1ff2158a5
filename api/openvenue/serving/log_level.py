"""Follows the log level of the tuning file, the only part of it that concerns a process without
workers."""

import asyncio
from typing import NoReturn

from openvenue.serving.tuning import InvalidTuning, TuningFile
from openvenue.settings import Settings
from openvenue.telemetry import get_logger, set_log_level

_POLL_S = 0.5

_log = get_logger(__name__)


async def follow_log_level(settings: Settings) -> NoReturn:
    """Apply the log level whenever the file changes, until cancelled."""
    tuning_file = TuningFile(settings.tuning_file, settings)
    while True:
        try:
            tuning = tuning_file.read_if_changed()
        except (InvalidTuning, OSError) as error:
            _log.error("tuning file ignored", reason=str(error))
        else:
            if tuning is not None:
                set_log_level(tuning.log_level)
                _log.info("tuning applied", generation=tuning.generation)
        await asyncio.sleep(_POLL_S)
