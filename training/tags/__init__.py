"""The tag model: pooled and heads, trained, calibrated, explained, evaluated."""
