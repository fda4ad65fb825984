"""Who has withdrawn consent, opted out, or deleted tags."""
