"""The engine's journal as a stream: what projections, streams and exports read."""
