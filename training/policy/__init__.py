"""Delivery policies: which note is shown to whom, and what it costs."""
