"""Benchmarks: one file per claim. Run from a checkout; nothing here is installed."""
