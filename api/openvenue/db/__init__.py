"""PostgreSQL: the projector writes it and people query it. No order waits for it."""
