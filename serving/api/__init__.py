"""The routes of the prediction API and its document."""
