"""Typed models of every file in git. Imports nothing of the project but `mlops.errors`."""
