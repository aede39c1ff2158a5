"""Queries of the database: an account's history, what its owner keeps, the projection's progress."""
