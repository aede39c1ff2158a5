"""Logs what a worker refuses or loses: at once, then at most a line at intervals for each cause.

The causes are those of the metrics; docs/operate.md lists events and metrics together.
"""

from openvenue.telemetry import Throttled, get_logger

_throttled = Throttled(get_logger(__name__))

log_refusal = _throttled.warning
flush_refusals = _throttled.flush
