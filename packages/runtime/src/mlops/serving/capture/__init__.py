"""What was asked and answered, kept for monitoring."""
