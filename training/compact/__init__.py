"""A compact scorer: LightGBM trees on one-byte codes of their own thresholds, with LightGBM's very answers."""
