"""Wide rows: every feature of everybody at an instant."""
