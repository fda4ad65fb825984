"""Uplift: how much more likely an outcome becomes for a person because they were shown something."""
