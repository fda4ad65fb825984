"""Kept predictions, computed again from the log, the bundle and the code."""
