"""Endpoints of the local target, for each test its own."""

from local_bench import artifacts, bench

__all__ = ["artifacts", "bench"]
