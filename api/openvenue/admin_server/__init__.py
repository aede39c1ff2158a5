"""The administration's process: REST under /v1/admin, and a drop copy of all order updates."""
