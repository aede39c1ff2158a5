"""A market that is never empty: resident traders, which are ordinary clients of the REST API."""
