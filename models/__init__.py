"""Persistence: tables and the queries over them; no billing rules."""
