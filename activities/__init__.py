"""Transactions and outside calls: a method is one idempotent transaction or one outside call."""
