"""Who may write which stack's state in Pulumi's container, as a condition of Azure's role assignments.

A preview only reads and takes no lock, so `plan` is a reader. A workflow of one environment must not write
the state of another: one forged entry, and the next update of unchanged main deletes a resource that no
stack made. All may read all: an update reads the exports of others, the night run their last updates.
Paths: pulumi/pulumi, pkg/backend/diy. Grammar: learn.microsoft.com, "Azure role assignment condition format".
"""

from __future__ import annotations

from typing import Final

_BLOBS: Final = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
_WRITES: Final = ("write", "add/action", "delete", "move/action")
"""What *Storage Blob Data Contributor* may do to a blob beside reading it."""


def writes_only(project: str, stack: str) -> str:
    """The condition that lets a stack's state, history, backups and lock be changed, and nothing else."""
    patterns = (
        f".pulumi/stacks/{project}/{stack}.json*",
        f".pulumi/stacks/{project}/{stack}.pulumi-tags*",
        f".pulumi/history/{project}/{stack}/*",
        f".pulumi/backups/{project}/{stack}/*",
        f".pulumi/locks/organization/{project}/{stack}/*",
    )
    listed = ", ".join(f"'{p}'" for p in patterns)
    return " AND ".join(
        f"((!(ActionMatches{{'{_BLOBS}/{action}'}})) OR "
        f"(@Resource[{_BLOBS}:path] ForAnyOfAnyValues:StringLike {{{listed}}}))"
        for action in _WRITES
    )
