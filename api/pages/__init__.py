"""Server-rendered pages for people: checkout and saved cards; not part of the contract."""
