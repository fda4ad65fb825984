"""What people said about themselves, and how events are read since."""
