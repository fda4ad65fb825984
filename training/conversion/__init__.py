"""Conversion models: what follows when a person sees a note."""
