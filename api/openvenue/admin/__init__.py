"""Administration of a venue: what the command line does, and any other way in may do too."""
