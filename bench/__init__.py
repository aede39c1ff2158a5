"""Measurements of the whole venue, run by `make bench`; docs/performance.md explains them."""
