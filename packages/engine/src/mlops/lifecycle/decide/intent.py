"""What the files of one commit want for one model in one environment."""

from __future__ import annotations

from dataclasses import dataclass

from mlops.spec.desired import DesiredState
from mlops.spec.policy import Freeze, Policy
from mlops.spec.release import Release


@dataclass(frozen=True)
class Intent:
    """Read once, from a commit and never from the work tree, so that what was reviewed is what happens."""

    env: str
    model: str
    desired: DesiredState
    release: Release
    policy: Policy
    freeze: Freeze
    commit: str
    """The commit that is applied."""
    file_commit: str
    """The last commit that touched the desired-state file."""
    lineage: frozenset[int]
    """Releases that may be what is served (`transitions.lineage`)."""
