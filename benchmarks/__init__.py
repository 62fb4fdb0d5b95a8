"""Benchmarks: figures that decide, measured anew on every run. See README.md."""
