"""Metrics as Prometheus reads them."""

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


def samples(exposition: str, name: str, **labels: str) -> Iterator[Sample]:
    """Yield the samples of a name that have these labels, and perhaps others."""
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                yield sample


def values(exposition: str, name: str, **labels: str) -> list[float]:
    """Return what those samples say, in their order."""
    return [sample.value for sample in samples(exposition, name, **labels)]


def total(exposition: str, name: str, **labels: str) -> float:
    """Return the sum of those samples; at least one must be there."""
    found = values(exposition, name, **labels)
    assert found, f"no sample of {name} {labels}"
    return sum(found)
