"""Erasing people from the log, the inbox and quarantine."""
