"""Authentication: principals and API keys."""
