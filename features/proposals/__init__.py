"""Drafts of a taxonomy from a log."""
