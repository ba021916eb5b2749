"""HTTP: wire shapes and routes; nothing else knows camelCase or status codes."""
