"""The public HTTP surface, in the dialect of the Alpaca Trading API. Nothing below imports it."""
