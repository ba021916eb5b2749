"""Durable time: one class per process; no SQL, no HTTP, no tables."""
