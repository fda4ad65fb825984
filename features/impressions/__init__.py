"""Impressions: their rows of features and what came of them."""
