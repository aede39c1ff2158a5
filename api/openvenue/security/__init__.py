"""Who asks, and what lets them: principals and API keys."""
