"""Keeps a venue's API tuned to its load, within the database's connections."""
