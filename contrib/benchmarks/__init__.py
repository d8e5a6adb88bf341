"""Benchmarks: annexd and its peers on the same files in the same run."""
