"""The online store: rows and states of people, in SQLite or Redis."""
