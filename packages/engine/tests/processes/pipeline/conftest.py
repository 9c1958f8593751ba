"""The tiny pipeline as a fixture."""

from tests.unit.pipeline.conftest import project

__all__ = ["project"]
