"""Documents: an issued invoice as people read it; what it says is read from rows, never decided."""
