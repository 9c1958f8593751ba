"""Sweep jobs: the search space, when a trial is ended early, and the file that says both."""
