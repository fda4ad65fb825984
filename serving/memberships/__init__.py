"""Who has which tags, version by version, and what changed between two of them."""
