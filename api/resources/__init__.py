"""One module per resource: schemas on top, routes below."""
