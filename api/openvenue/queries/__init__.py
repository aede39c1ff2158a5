"""Queries of the database: an account's orders, and the projection's progress."""
