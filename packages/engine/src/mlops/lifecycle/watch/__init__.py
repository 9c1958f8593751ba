"""What production does: monitoring, labels, retraining, history."""
