"""Pages for people: server-rendered, without scripts; machines use the resources."""
