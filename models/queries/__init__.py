"""Every SQL statement of the product, one module per aggregate; its first filter is the merchant."""
