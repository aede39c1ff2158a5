"""Channels of PostgreSQL notifications."""

API_KEYS_CHANNEL = "openvenue_api_keys"  # payload: the key id that changed, or whose account did
PROJECTION_CHANNEL = "openvenue_projection"  # a wake-up; readers look at projection_offsets
