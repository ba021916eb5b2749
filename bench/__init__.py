"""Benchmarks: ratios of interleaved rounds in one run, and the CPU time of each operation."""
