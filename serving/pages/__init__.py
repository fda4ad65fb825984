"""Report pages, plots and tables."""
