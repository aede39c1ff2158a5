"""Market data: trades and bars."""
