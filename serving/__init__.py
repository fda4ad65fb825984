"""Online store, scorer, prediction API and the command line."""
