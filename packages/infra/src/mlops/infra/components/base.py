"""What every component shares: where its resources go, and how children are tied to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from mlops.infra.naming import Names
from mlops.infra.waiting import for_grants


@dataclass(frozen=True, kw_only=True)
class Place:
    """Plain facts of the stack that every resource needs."""

    names: Names
    location: str
    tags: Mapping[str, str]
    protect: bool
    """Whether what holds data or history may not be deleted."""
    resource_group: pulumi.Input[str]

    @property
    def environment(self) -> str:
        return self.names.environment


class Component(pulumi.ComponentResource):
    """A named group of resources: type `mlops:infra:<Class>`, children parented to it."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"mlops:infra:{type(self).__name__}", name, None, opts)

    def child(
        self,
        *,
        after: Sequence[pulumi.Resource] = (),
        protect: bool | None = None,
        keep: bool = False,
        waits: bool = False,
        **options: Any,
    ) -> pulumi.ResourceOptions:
        """Options of a child: this component is its parent, `after` the resources that must exist before.

        `protect` also keeps the resource in Azure when the stack forgets it (`retain_on_delete`); `keep` only
        that. `waits` tries a creation again while a role assignment does not count yet.
        """
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=list(after) or None,
            protect=protect or None,
            retain_on_delete=protect or keep or None,
            hooks=for_grants() if waits else None,
            **options,
        )
