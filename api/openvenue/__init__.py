"""OpenVenue: a trading venue behind an Alpaca-compatible API."""
