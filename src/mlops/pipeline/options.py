"""What somebody asks of one run, beyond its file and its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class RunOptions:
    """All of them are about a run on this machine."""

    only: str = ""
    """The one job that runs; what it reads was made before."""
    start: str = ""
    """The job that runs with all that read what it makes; what they read besides was made before."""
    environment: bool = False
    """Run each job in an environment made of its conda file."""
    stand_ins: Mapping[str, Path] = field(default_factory=dict)
    """Component files that replace jobs, by name."""
