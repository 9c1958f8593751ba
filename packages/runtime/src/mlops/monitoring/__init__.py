"""Data contract, drift and performance: verdicts on data, in training and in production."""
