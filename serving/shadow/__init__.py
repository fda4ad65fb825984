"""Challengers that score the requests of the champions without answering them."""
