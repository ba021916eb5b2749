"""Billing rules as pure functions: values in, values out; no clock, no chance, no IO."""
