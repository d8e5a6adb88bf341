"""Plumbing: git-annex."""
