"""Quotes: each best bid and ask that an instrument's book has had."""
