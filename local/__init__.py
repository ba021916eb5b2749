"""The embedded stack and the command line; nobody imports this package."""
