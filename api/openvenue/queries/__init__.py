"""What people ask the database: an account's orders, and how far the projection has come."""
