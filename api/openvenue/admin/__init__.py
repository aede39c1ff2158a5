"""Administration of a venue, for the command line and any other caller."""
