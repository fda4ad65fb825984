"""What the API takes and gives, and its error answers."""
