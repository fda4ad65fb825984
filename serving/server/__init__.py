"""The process that serves: everything opened, fed, measured and stopped."""
