"""The serving tags: the catalogue, nutrition labels, tags added and taken away."""
