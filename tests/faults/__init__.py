"""Faults, injected systematically: see docs/TESTING.md."""
