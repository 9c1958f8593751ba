"""Releases and promotions, as pull requests."""
