"""Measurements of the whole venue, run by `make bench`. See docs/performance.md for what they mean."""
