"""Physical names: pure functions of project, environment, region and salt, checked against Azure's rules.

Azure's own naming is never used. Names that are unique in all of Azure end in four characters of a digest
over project, environment, region and `salt`; change the salt when somebody holds the name, or when a
soft-deleted resource still does. Where the limit is short, the project's part is cut, never the digest, so
names stay distinct. A stack whose name is no short word of its own (`dev-alice`, `sandbox`) is called by
three of its letters and a digest over project and stack, so that no two stacks get one name.

Source of the rules: learn.microsoft.com, "Naming rules and restrictions for Azure resources".
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mlops.errors import InvalidInput


@dataclass(frozen=True)
class Rule:
    """How names of one kind are made: `<prefix>-<project>[-<part>]-<env>-<region>[-<digest>]`."""

    prefix: str
    longest: int
    pattern: str
    shortest: int = 3
    separator: str = "-"
    unique: bool = False
    """Unique in all of Azure, so it carries the digest."""


_WORDS = r"[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*"
_ML = r"[a-zA-Z0-9][a-zA-Z0-9_-]*"
_ENDPOINT = r"[a-zA-Z][a-zA-Z0-9-]*[a-zA-Z0-9]"

RULES: Final[Mapping[str, Rule]] = {
    "resource_group": Rule("rg", 90, r"[-\w.()]*[-\w()]", 1),
    "storage_account": Rule("st", 24, r"[a-z0-9]+", separator="", unique=True),
    "key_vault": Rule("kv", 24, r"[a-zA-Z]([a-zA-Z0-9]|-(?!-))*[a-zA-Z0-9]", unique=True),
    "container_registry": Rule("cr", 50, r"[a-zA-Z0-9]+", 5, separator="", unique=True),
    "log_analytics": Rule("log", 63, r"[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]", 4),
    "app_insights": Rule("appi", 255, r"[\w().-]*[\w()-]", 1),
    "identity": Rule("id", 128, r"[a-zA-Z0-9][a-zA-Z0-9_-]*"),
    "ml_workspace": Rule("mlw", 33, _ML),
    "ml_registry": Rule("mlr", 33, _ML, unique=True),
    "online_endpoint": Rule("", 32, _ENDPOINT, unique=True),
    "batch_endpoint": Rule("b", 32, _ENDPOINT, unique=True),
    "network": Rule("vnet", 64, r"[a-zA-Z0-9][\w.-]*\w", 2),
    "security_group": Rule("nsg", 80, r"[a-zA-Z0-9][\w.-]*\w", 1),
    "private_endpoint": Rule("pep", 64, r"[a-zA-Z0-9][\w.-]*\w", 2),
    "system_topic": Rule("evgt", 50, r"[a-zA-Z0-9-]+"),
    "action_group": Rule("ag", 260, r"[^:<>+/&%\\?|]*[^:<>+/&%\\?|. ]", 1),
    "alert": Rule("alert", 128, r"[^*#&+:<>?@%{}\\/|]*[^*#&+:<>?@%{}\\/|. ]", 1),
    "budget": Rule("budget", 63, r"[\w-]+", 1),
    "kubernetes": Rule("aks", 63, r"[a-zA-Z0-9][\w-]*[a-zA-Z0-9]", 1),
    "databricks": Rule("dbw", 64, r"[\w-]+"),
    "unity_storage": Rule("uc", 24, r"[a-z0-9]+", separator="", unique=True),
    "data_factory": Rule("adf", 63, _WORDS, unique=True),
    "container_group": Rule("ci", 63, r"[a-z0-9]+(-[a-z0-9]+)*", 1),
}

_RESERVED = re.compile(r"microsoft|windows|^(login|xbox)", re.IGNORECASE)
"""Words that Azure keeps to itself in names with an address (learn.microsoft.com, "Resolve errors for
reserved resource names")."""
_COMPUTE = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*[a-zA-Z0-9]")

ENVIRONMENTS: Final[Mapping[str, str]] = {"staging": "stg", "prod": "prd", "shared": "shr", "state": "stat"}
"""Abbreviations. `state` is no stack: it stands for what keeps Pulumi's state."""
NO_STACKS: Final = ("state",)
JOURNAL: Final = "mlops"
"""The container of journal, lock, labels and verdicts in an environment's storage account."""

_STACK = re.compile(r"[A-Za-z0-9._-]{1,100}")
_SHORT = re.compile(r"[a-z0-9]{1,4}")
_LETTERS = 3
_DIGITS = 7

REGIONS: Final[Mapping[str, str]] = {
    "australiacentral": "acl", "australiaeast": "ae", "australiasoutheast": "ase",
    "austriaeast": "ate", "belgiumcentral": "bec", "brazilsouth": "brs", "canadacentral": "cnc",
    "canadaeast": "cne", "centralindia": "inc", "centralus": "cus", "chilecentral": "clc",
    "eastasia": "ea", "eastus": "eus", "eastus2": "eus2", "francecentral": "frc",
    "germanywestcentral": "gwc", "indonesiacentral": "idc", "israelcentral": "ilc",
    "italynorth": "itn", "japaneast": "jpe", "japanwest": "jpw", "koreacentral": "krc",
    "koreasouth": "krs", "malaysiawest": "myw", "mexicocentral": "mxc", "newzealandnorth": "nzn",
    "northcentralus": "ncus", "northeurope": "ne", "norwayeast": "nwe", "polandcentral": "plc",
    "qatarcentral": "qac", "southafricanorth": "san", "southcentralus": "scus",
    "southeastasia": "sea", "southindia": "ins", "spaincentral": "spc", "swedencentral": "sdc",
    "switzerlandnorth": "szn", "switzerlandwest": "szw", "uaenorth": "uan", "uksouth": "uks",
    "ukwest": "ukw", "westcentralus": "wcus", "westeurope": "we", "westindia": "inw",
    "westus": "wus", "westus2": "wus2", "westus3": "wus3",
}  # fmt: skip
"""Azure's public regions and the abbreviations that names use (Cloud Adoption Framework)."""

_NAMESPACE = uuid.UUID("7b1f7c1e-3c5b-4d0e-9f6f-0b9f6a1d2c3e")


@dataclass(frozen=True)
class Names:
    """All names of one stack. `region` must be a key of `REGIONS`."""

    project: str
    environment: str
    region: str
    salt: str = ""

    @property
    def short_environment(self) -> str:
        """How names call the environment: at most ten lower-case letters and digits, one for one stack
        only."""
        if known := ENVIRONMENTS.get(self.environment):
            return known
        if self.spelt_out:
            return self.environment
        letters = re.sub(r"[^a-z0-9]", "", self.environment.lower())[:_LETTERS]
        return letters + _base36("/".join((self.project, self.environment)), _DIGITS)

    @property
    def spelt_out(self) -> bool:
        """Whether names hold the environment's own name, or the abbreviation that is kept for it."""
        if self.environment in ENVIRONMENTS:
            return True
        return bool(_SHORT.fullmatch(self.environment)) and self.environment not in ENVIRONMENTS.values()

    @property
    def digest(self) -> str:
        """Four characters that tell this stack's global names from everybody else's."""
        text = "/".join((self.project, self.environment, self.region, self.salt))
        return hashlib.sha256(text.encode()).hexdigest()[:4]

    def __call__(self, kind: str | Rule, part: str = "") -> str:
        """The name of a resource of `kind`, a key of `RULES` or a rule; `part` tells several apart.

        Raises `InvalidInput` when no legal name can be made, with the rule that it breaks.
        """
        rule = RULES[kind] if isinstance(kind, str) else kind
        tail = [self.short_environment, REGIONS[self.region]] + ([self.digest] if rule.unique else [])
        return self._fit(kind, rule, [rule.prefix], self.project, [part, *tail])

    def endpoint(self, kind: str, model: str) -> str:
        """The name of a model's endpoint: unique in a region for all customers, so it carries the digest."""
        rule = RULES[kind]
        tail = [rule.prefix, self.short_environment, self.digest]
        room = rule.longest - sum(len(p) + 1 for p in tail if p)
        if not self.spelt_out and len(model) > room:
            # Little room is left here, and models that begin alike must not share an endpoint.
            model = f"{model[: room - 5].rstrip('-')}-{hashlib.sha256(model.encode()).hexdigest()[:4]}"
        return self._fit(kind, rule, [], model, tail)

    def _fit(self, kind: str | Rule, rule: Rule, head: list[str], middle: str, tail: list[str]) -> str:
        fixed = [*head, *tail]
        used = sum(len(p) + len(rule.separator) for p in fixed if p)
        # Several of Azure's kinds allow no two hyphens in a row.
        cut = middle.replace("-", "") if not rule.separator else re.sub("-+", "-", middle)
        room = max(rule.longest - used, 0)
        parts = [*head, cut[:room].strip("-"), *tail]
        name = rule.separator.join(p for p in parts if p)
        return check(kind, name if rule.separator else name.lower().replace("-", ""))


def check(kind: str | Rule, name: str) -> str:
    """`name` itself when it is legal for `kind`; raises `InvalidInput` with the rule that it breaks."""
    rule = RULES[kind] if isinstance(kind, str) else kind
    called = kind.replace("_", " ") if isinstance(kind, str) else kind.prefix
    what = f"{called} {name!r} is no legal name in Azure: "
    size = f"it has {len(name)} characters"
    if len(name) > rule.longest:
        raise InvalidInput(f"{what}{size}, {rule.longest} may be. Shorten the name in mlops.toml")
    if len(name) < rule.shortest:
        raise InvalidInput(f"{what}{size}, {rule.shortest} must be")
    if not re.fullmatch(rule.pattern, name):
        raise InvalidInput(f"{what}it must match {rule.pattern}")
    if rule.unique and (word := _RESERVED.search(name)):
        raise InvalidInput(f"{what}Azure keeps {word[0]!r} to itself. Change the name in mlops.toml")
    return name


def check_stack(name: str) -> str:
    """`name` itself when Pulumi takes it for a stack and it is free here; raises `InvalidInput` otherwise."""
    if not _STACK.fullmatch(name):
        raise InvalidInput(
            f"{name!r} is no name of a stack: Pulumi takes 1 to 100 letters, digits, '.', '_' and '-'"
        )
    if name in NO_STACKS:
        raise InvalidInput(f"no stack may be called {name!r}: that name stands for what keeps Pulumi's state")
    return name


def check_compute(name: str) -> str:
    """`name` itself when Azure ML takes it for a compute; raises `ValueError` with the rule otherwise."""
    if not 3 <= len(name) <= 24 or not _COMPUTE.fullmatch(name) or re.search(r"-\d+$", name):
        raise ValueError(
            "must be 3 to 24 letters, digits or '-', start with a letter, "
            f"and not end in '-' and digits; got {name!r}"
        )
    return name


def _base36(text: str, length: int) -> str:
    """`length` letters and digits that stand for `text`."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    letters = ""
    for _ in range(length):
        number, rest = divmod(number, 36)
        letters += "0123456789abcdefghijklmnopqrstuvwxyz"[rest]
    return letters


def guid(*parts: str) -> str:
    """A UUID that is the same for the same parts: names of role assignments and role definitions."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))
