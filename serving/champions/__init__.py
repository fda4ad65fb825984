"""Which bundle answers, and how a better one takes its place."""
