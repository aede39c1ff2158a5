"""Keeps a venue's API tuned to its load, within the database's connections."""

from openvenue.first_process import end_at_sigterm

# Before the entry modules make imports that take a second.
end_at_sigterm()
