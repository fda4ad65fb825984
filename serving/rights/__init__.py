"""People's rights in an installation: erasure place by place."""
