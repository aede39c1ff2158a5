"""The engine's journal as a stream, for projections, streams and exports."""
