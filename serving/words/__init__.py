"""Features and factors in words, English and Chinese."""
