"""Channels of PostgreSQL notifications."""

# Payload: the key id that changed, or whose account did; `account:` and a number stands for tokens.
API_KEYS_CHANNEL = "openvenue_api_keys"
PROJECTION_CHANNEL = "openvenue_projection"  # a wake-up; readers look at projection_offsets
