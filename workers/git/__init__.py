"""Plumbing: git."""
