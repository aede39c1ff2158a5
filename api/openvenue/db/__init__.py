"""PostgreSQL: what the projector writes and people query. Never on the path of an order."""
