"""Unit tests of the stream process."""
