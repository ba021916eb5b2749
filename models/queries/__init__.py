"""Every SQL statement, one module per aggregate; its first filter is the merchant."""
