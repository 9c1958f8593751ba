"""What a repository adds to the parts: `infra/own.py` says `OWN = Own(...)`; plan and policy know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops.infra.arm_types import ArmType
from mlops.infra.cost.uses import Uses
from mlops.infra.policy.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Own:
    """Kinds are azure-native's without the provider, such as `redis:Redis`."""

    arm_types: Mapping[str, ArmType] = field(default_factory=dict)
    """How each kind is called in Azure, and which inputs make its name."""
    untagged: frozenset[str] = frozenset()
    """Of those, the kinds that take no tags; the policy asks the others for them."""
    rules: tuple[Rule, ...] = ()
    """Rules of the platform for them, beside those that hold for everything."""
    costs: Mapping[str, Uses] = field(default_factory=dict)
    """What each kind uses of which meter of environments/prices.yaml, for `mlops infra cost`."""
