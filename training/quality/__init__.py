"""How good probabilities are: metrics, calibration, intervals, figures."""
