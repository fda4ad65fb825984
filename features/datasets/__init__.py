"""Data sets with an importer of their own, on top of the log."""
