"""Readers that turn outside data into canonical rows: one per data set, and the generic mapping."""
