"""Bundles on disk: manifests, champions and the pointers to them."""
