"""Processes and their workers: sockets, probes, supervision, tuning, shared metrics."""
