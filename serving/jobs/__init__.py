"""The retraining chain and what it writes."""
