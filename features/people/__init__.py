"""Pseudonyms, whose account it was, and what people did."""
