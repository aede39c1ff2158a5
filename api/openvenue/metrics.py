"""Prometheus metrics of an API worker, summed over the workers of a process group at the scrape.

Made in the slot of the process, see `openvenue.serving.metrics_slots`, which comes before this
import.
"""

from bisect import bisect_left

from prometheus_client import Counter, Gauge, Histogram


class PendingCounter:
    """A counter for hot paths: counts in memory, and exports on request."""

    def __init__(self, exported: Counter) -> None:
        self.pending = 0
        self._exported = exported

    def export(self) -> None:
        """Add what has been counted since the last export."""
        pending, self.pending = self.pending, 0
        self._exported.inc(pending)


class PendingHistogram:
    """A histogram for hot paths: observes in memory, and exports on request."""

    def __init__(self, exported: Histogram, buckets: tuple[float, ...]) -> None:
        self._exported = exported
        self._buckets = buckets
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(self._buckets, value)] += 1
        self._sum += value

    def export(self) -> None:
        """Add what has been observed since the last export."""
        # Only these two fields of the library can add many observations at once.
        for bucket, count in zip(self._exported._buckets, self._counts, strict=True):
            if count:
                bucket.inc(count)
        self._exported._sum.inc(self._sum)
        self._counts = [0] * len(self._counts)
        self._sum = 0.0


HTTP_REQUESTS = Counter(
    "openvenue_api_requests", "Requests answered, by route and status.", ["route", "status"]
)
BATCH_RESULTS = Counter(
    "openvenue_api_batch_results",
    "Orders of batches, by route and status; the batch itself is a request of status 207.",
    ["route", "status"],
)
HTTP_LATENCY_BUCKETS_SECONDS = (
    *(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512),
    *(1.0, 2.0, 5.0),
)
HTTP_LATENCY_SECONDS = Histogram(
    "openvenue_api_request_seconds",
    "From the request's arrival in the application to the end of its response.",
    ["route"],
    buckets=HTTP_LATENCY_BUCKETS_SECONDS,
)
EVENT_LOOP_LAG_SECONDS = Histogram(
    "openvenue_api_event_loop_lag_seconds",
    "How late the event loop ran a timer, ten times a second.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
EVENT_LOOP_LAG_MAX_SECONDS = Gauge(
    "openvenue_api_event_loop_lag_max_seconds",
    "The latest timer of the last half minute, of any worker.",
    multiprocess_mode="livemax",
)
SCHEMA = Gauge(
    "openvenue_api_schema",
    "1: the database's schema, by its revision and whether it serves this version.",
    ["revision", "serves"],
    multiprocess_mode="livemax",
)
CPU_SECONDS = Counter("openvenue_api_cpu_seconds", "Processor time that the workers used.")
CONNECTIONS = Gauge(
    "openvenue_api_connections", "Connections of clients.", multiprocess_mode="livesum"
)
UNREAD_BYTES = Gauge(
    "openvenue_api_unread_bytes",
    "Answers that wait for clients that do not read.",
    multiprocess_mode="livesum",
)
CONNECTIONS_REFUSED = Counter(
    "openvenue_api_connections_refused",
    "Connections ended outside of the application: too many (told to come back, cut; of one "
    "address; shed for others while no key came over them), a head too large, a request too slow, "
    "answers left unread, or no HTTP.",
    ["cause"],
)
WORKERS = Gauge(
    "openvenue_api_workers", "Workers that serve requests.", multiprocess_mode="livesum"
)
WORKERS_READY = Gauge(
    "openvenue_api_workers_ready", "Workers that can take orders.", multiprocess_mode="livesum"
)
TUNING_GENERATION = Gauge(
    "openvenue_api_tuning_generation",
    "Generation of the tuning file that a worker runs; 0: none.",
    multiprocess_mode="liveall",
)

AUTH_LOOKUPS = Counter(
    "openvenue_api_auth_lookups",
    "Key checks: hit, stale (a hit that the database did not confirm within the TTL), miss (asks "
    "the database); of these failed (no answer) or refused (too many wait).",
    ["result"],
)
AUTH_CACHE_AGE_SECONDS = Gauge(
    "openvenue_api_auth_cache_age_seconds",
    "How long ago the database confirmed the known keys.",
    multiprocess_mode="livemax",
)
AUTH_READ_FAILURES = Counter(
    "openvenue_api_auth_read_failures", "Times the database did not answer which keys are good."
)
AUTH_REFUSALS = Counter("openvenue_api_auth_refusals", "Requests refused with 401.")
TOKEN_CHECKS = Counter(
    "openvenue_api_token_checks",
    "Good bearer tokens: hit (checked before), verified (its signature was checked).",
    ["result"],
)
TOKEN_REFUSALS = Counter(
    "openvenue_api_token_refusals", "Bearer tokens refused, by what was wrong.", ["cause"]
)
ISSUER_READS = Counter(
    "openvenue_api_issuer_reads", "Times the issuer of tokens was asked for its keys.", ["result"]
)
ISSUER_KEYS = Gauge(
    "openvenue_api_issuer_keys",
    "Keys of the issuer that are known.",
    multiprocess_mode="livemin",
)
ISSUER_KEYS_AGE_SECONDS = Gauge(
    "openvenue_api_issuer_keys_age_seconds",
    "How long ago the issuer confirmed its keys.",
    multiprocess_mode="livemax",
)
OF_CREDENTIALS = (
    *(AUTH_LOOKUPS, AUTH_CACHE_AGE_SECONDS, AUTH_READ_FAILURES, AUTH_REFUSALS),
    *(TOKEN_CHECKS, TOKEN_REFUSALS, ISSUER_READS, ISSUER_KEYS, ISSUER_KEYS_AGE_SECONDS),
)
"""Counted by `openvenue.security`, in whatever process checks keys and tokens."""
ADDRESS_REFUSALS = Counter(
    "openvenue_api_address_refusals", "Requests refused because their key is for other networks."
)

RATE_LIMITED = Counter(
    "openvenue_api_rate_limited", "Requests refused because their key had sent too many."
)

INSTRUMENT_LOOKUPS = Counter(
    "openvenue_api_instrument_lookups", "Symbol look-ups: in the cache, or not.", ["result"]
)

DAY_BEFORE_LOOKUPS = Counter(
    "openvenue_api_day_before_lookups",
    "Look-ups of an account's day before: in the cache (hit), in the database (miss), or not known "
    "because that is away (failed).",
    ["result"],
)

ENGINE_CHANNELS = Gauge(
    "openvenue_api_engine_channels",
    "Engine sessions, by state.",
    ["state"],
    multiprocess_mode="livesum",
)
ENGINE_IN_FLIGHT = Gauge(
    "openvenue_api_engine_in_flight",
    "Requests handed to the engine and not answered.",
    multiprocess_mode="livesum",
)
ENGINE_UNSENT = Gauge(
    "openvenue_api_engine_unsent",
    "Requests handed to the engine that have not left this process.",
    multiprocess_mode="livesum",
)
ENGINE_BATCHES = Counter("openvenue_api_engine_batches", "Messages sent to the engine.")
ENGINE_REQUESTS = Counter("openvenue_api_engine_requests", "Requests sent to the engine.")
ENGINE_CONNECTIONS_LOST = Counter(
    "openvenue_api_engine_connections_lost", "Engine sessions that broke."
)
ENGINE_SILENT_SECONDS = Gauge(
    "openvenue_api_engine_silent_seconds",
    "How long the engine, its session up, has not answered the worker's probe; 0: it answers.",
    multiprocess_mode="livemax",
)
ENGINE_FATE_UNKNOWN = Counter(
    "openvenue_api_engine_fate_unknown", "Commands whose outcome did not come back."
)
ENGINE_REFUSED = Counter(
    "openvenue_api_engine_refused",
    "Requests not sent to the engine, not taken or, where nothing changes, not answered by it.",
    ["cause"],
)

DATABASE_MAX_CONNECTIONS = Gauge(
    "openvenue_api_database_max_connections",
    "The database server's max_connections.",
    multiprocess_mode="livemax",
)
DATABASE_RESERVED_CONNECTIONS = Gauge(
    "openvenue_api_database_reserved_connections",
    "Connections that the database server keeps for superusers and reserved roles.",
    multiprocess_mode="livemax",
)
DATABASE_CONNECTIONS = Gauge(
    "openvenue_api_database_connections",
    "Connections of clients at the database server, of this venue and all others.",
    multiprocess_mode="livemostrecent",
)
DATABASE_OBSERVED_SECONDS = Gauge(
    "openvenue_api_database_observed_timestamp_seconds",
    "When the numbers of the database's connections were read (Unix time).",
    multiprocess_mode="livemostrecent",
)

POOL_SIZE = Gauge(
    "openvenue_api_db_pool_size", "Connections the pool may keep.", multiprocess_mode="livesum"
)
POOL_OVERFLOW_MAX = Gauge(
    "openvenue_api_db_pool_overflow_max",
    "Connections the pool may open beyond its size.",
    multiprocess_mode="livesum",
)
POOL_CONNECTIONS = Gauge(
    "openvenue_api_db_pool_connections",
    "Connections of the pool, by state.",
    ["state"],
    multiprocess_mode="livesum",
)
POOL_WAIT_SECONDS = Histogram(
    "openvenue_api_db_pool_wait_seconds",
    "How long a query waited for a connection.",
    buckets=(0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
PROJECTION_WAIT_SECONDS = Histogram(
    "openvenue_api_projection_wait_seconds",
    "How long a read waited for the projection to hold what its account wrote.",
    buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2),
)
PROJECTION_TIMEOUTS = Counter(
    "openvenue_api_projection_timeouts", "Reads given up because the projection lagged too far."
)

# Exported at zero from the start: a rate misses an event with which its counter appears.
for _counter, _values in (
    (
        CONNECTIONS_REFUSED,
        ("told", "cut", "address", "shed", "head", "slow", "malformed", "unread"),
    ),
    (AUTH_LOOKUPS, ("hit", "stale", "miss", "failed", "refused")),
    (TOKEN_CHECKS, ("hit", "verified")),
    (
        TOKEN_REFUSALS,
        (
            *("size", "malformed", "algorithm", "key", "type", "signature"),
            *("issuer", "audience", "expired", "early", "claims", "account"),
        ),
    ),
    (ISSUER_READS, ("ok", "failed")),
    (INSTRUMENT_LOOKUPS, ("hit", "miss")),
    (DAY_BEFORE_LOOKUPS, ("hit", "miss", "failed")),
    (ENGINE_REFUSED, ("busy", "unary_busy", "ring_full", "read_only", "unavailable", "no_answer")),
):
    for _value in _values:
        _counter.labels(_value)
