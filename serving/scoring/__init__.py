"""The scorers of tags and of conversions, without any web framework."""
