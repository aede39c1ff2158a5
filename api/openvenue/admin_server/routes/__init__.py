"""The routes of administration. Each calls what the command line calls."""
