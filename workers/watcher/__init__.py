"""Owns work tree, index and branch: commits what happens there, merges what has arrived."""
