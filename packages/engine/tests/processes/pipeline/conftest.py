"""The tiny pipeline, and a folder to write others in."""

from step_world import world

from tests.unit.pipeline.conftest import project

__all__ = ["project", "world"]
