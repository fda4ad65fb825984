"""When to retrain: what has changed since the champion was trained, each reason with its evidence."""
