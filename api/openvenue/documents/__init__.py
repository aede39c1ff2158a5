"""The API's documents: their shapes, and how records of engine and database become documents."""
