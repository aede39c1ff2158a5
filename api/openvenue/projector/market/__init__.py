"""Market data: trades, and bars of a minute."""
