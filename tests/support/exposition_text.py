"""An API pod's /metrics, as far as the operator reads it, for simulated pods."""

from dataclasses import dataclass, field

ORDER_ENTRY = "POST /v2/orders"
BATCH_ENTRY = "POST /v2/orders:batch"


@dataclass
class PodMetrics:
    """The figures of one pod; counters go up by `work`."""

    workers: int = 1
    workers_wanted: int | None = None
    workers_leaving: int = 0
    generation: int = 0
    db_pool_size: int = 5
    """Per worker."""
    db_pool_overflow: int = 5
    max_connections: int = 100
    reserved_connections: int = 3
    used_connections: int = 5
    observed_at: float = 0.0
    in_flight: int = 0
    orders: int = 0
    batch_orders: int = 0
    cpu_s: float = 1.0
    lag_s: dict[float, int] = field(default_factory=dict)
    """Observations by upper bound."""
    pool_wait_s: dict[float, int] = field(default_factory=dict)
    latency_s: dict[float, int] = field(default_factory=dict)

    @property
    def connections_at_most(self) -> int:
        """Number of database connections that the pod may hold."""
        return self.workers * (self.db_pool_size + self.db_pool_overflow)

    def work(self, seconds: float, *, cores: float, orders_per_s: float, p99_s: float) -> None:
        """Count the work of this many seconds under such a load."""
        self.cpu_s += cores * seconds
        orders = round(orders_per_s * seconds)
        self.orders += orders
        for histogram, count in ((self.lag_s, 10), (self.latency_s, orders)):
            histogram[p99_s] = histogram.get(p99_s, 0) + count

    def text(self) -> str:
        """Return the figures in Prometheus' format."""
        lines = [
            f"openvenue_api_workers {self.workers}",
            f"openvenue_api_workers_wanted {self.workers_wanted or self.workers}",
            f"openvenue_api_workers_leaving {self.workers_leaving}",
            *(
                f'openvenue_api_tuning_generation{{pid="{number}"}} {self.generation}'
                for number in range(self.workers)
            ),
            f"openvenue_api_db_pool_size {self.workers * self.db_pool_size}",
            f"openvenue_api_db_pool_overflow_max {self.workers * self.db_pool_overflow}",
            f'openvenue_api_db_pool_connections{{state="idle"}} {self.workers}',
            'openvenue_api_db_pool_connections{state="in_use"} 0',
            f"openvenue_api_engine_in_flight {self.in_flight}",
            f'openvenue_api_requests_total{{route="{ORDER_ENTRY}",status="200"}} {self.orders}',
            *(
                f'openvenue_api_batch_results_total{{route="{BATCH_ENTRY}",status="{status}"}} {of}'
                for status, of in (("200", self.batch_orders), ("403", 7))
            ),
            f"openvenue_api_cpu_seconds_total {self.cpu_s}",
            *_histogram("openvenue_api_event_loop_lag_seconds", self.lag_s),
            *_histogram("openvenue_api_db_pool_wait_seconds", self.pool_wait_s),
            *_histogram("openvenue_api_request_seconds", self.latency_s, route=ORDER_ENTRY),
        ]
        if self.observed_at:
            prefix = "openvenue_api_database"
            lines += [
                f"{prefix}_observed_timestamp_seconds {self.observed_at}",
                f"{prefix}_max_connections {self.max_connections}",
                f"{prefix}_reserved_connections {self.reserved_connections}",
                f"{prefix}_connections {self.used_connections}",
            ]
        return "\n".join(lines) + "\n"


def _histogram(name: str, observed: dict[float, int], **labels: str) -> list[str]:
    bounds = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0]
    shown = "".join(f'{label}="{value}",' for label, value in labels.items())
    lines = [
        f'{name}_bucket{{{shown}le="{bound}"}} '
        f"{sum(count for value, count in observed.items() if value <= bound)}"
        for bound in bounds
    ]
    total = sum(observed.values())
    return [*lines, f'{name}_bucket{{{shown}le="+Inf"}} {total}']
