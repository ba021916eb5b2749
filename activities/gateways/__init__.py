"""Payment gateways: the port that collection speaks to, and one adapter per provider."""
