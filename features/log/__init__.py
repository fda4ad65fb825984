"""The event log: imports, dedupe, quarantine, Delta tables."""
