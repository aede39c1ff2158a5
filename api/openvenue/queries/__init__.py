"""Queries of the database: an account's history, what its owner keeps, how far the projection
is."""
