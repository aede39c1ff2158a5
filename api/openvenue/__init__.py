"""OpenVenue: a trading venue behind an Alpaca-compatible API."""

from openvenue.first_process import end_at_sigterm

# Before any entry module imports what takes a second.
end_at_sigterm()
