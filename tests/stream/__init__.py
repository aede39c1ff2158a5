"""The stream process."""
