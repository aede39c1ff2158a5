"""What runs a process and its workers: sockets, probes, supervision, tuning, shared metrics."""
