"""New tags beside a trained model."""
