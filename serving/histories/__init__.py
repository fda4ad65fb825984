"""The store of person histories, and what conversion rows need beside the person."""
