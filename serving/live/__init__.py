"""Live events become features, and the check that they equal the batch."""
