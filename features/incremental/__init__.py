"""Live features: events folded into states, rows read from states."""
