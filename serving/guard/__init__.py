"""What stands in front of every route: keys, limits, rates, deadlines, workers."""
