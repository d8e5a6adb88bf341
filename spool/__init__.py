"""The on-disk contract: everything about the spool, and nothing about git."""
