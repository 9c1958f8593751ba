"""Azure's official types of Microsoft.MachineLearningServices, for the bodies that clients send.

They are read from `$ARM_TYPES/ml/<api-version>.json` (Azure/bicep-types-az); without that nothing is checked.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.arm_oracle import Oracle, check

_ENVELOPE = frozenset({"id", "name", "type", "apiVersion", "systemData"})

QUIRKS = {
    "hash_version": "azure-ai-ml sends the version of its snapshot hash as a number, the type says text",
    "properties.objective.goal": "azure-ai-ml sends `maximize` as the YAML has it, the type says `Maximize`",
    "properties.system_metadata is no property": "azure-ai-ml sends it empty with a version of the registry",
}
"""What unmodified clients send although the official types forbid it, by a part of the sentence."""

SPELLED = {
    "authMode": ("aadToken",),
    "dataCollectionMode": ("enabled",),
    "frequency": ("day",),
    "metric": ("nullValueRate", "dataTypeErrorRate", "outOfBoundsRate", "populationStabilityIndex"),
    "modelType": ("classification",),
    "taskType": ("classification",),
}
"""Fields of schedules, monitors, endpoints and data collectors whose values azure-ai-ml writes in another
case (`day`) than the types have (`Day`). Every other value must be spelled as in the types."""

NEXT = {"2023-02-01-preview": "2023-04-01-preview", "2021-10-01-dataplanepreview": "2023-04-01-preview"}
"""Api-versions without published types or that the copy lacks (azure-ai-ml deploys pipeline components by the
first and writes to registries by the second), and the next one, by whose types they are judged."""

_NAMED = os.environ.get("ARM_TYPES")
"""Read when tests are collected: each of them starts with a clean environment."""


def folder() -> Path | None:
    """Where the official types are, if they are."""
    return Path(_NAMED) if _NAMED and (Path(_NAMED) / "ml").is_dir() else None


def versions() -> frozenset[str]:
    """The api-versions that can be checked."""
    there = folder()
    return frozenset(p.stem for p in (there / "ml").glob("*.json")) if there else frozenset()


@functools.cache
def _types(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    found = json.loads(path.read_text(encoding="utf-8"))
    types = {str(index): entry for index, entry in enumerate(found)}
    resources = {
        entry["name"].partition("@")[0].lower(): entry["body"]
        for entry in found
        if entry["$type"] == "ResourceType"
    }
    return types, resources


def problems(kind: str, api_version: str, body: Mapping[str, Any]) -> list[str]:
    """What the official type of `kind` (`Microsoft.MachineLearningServices/…`) forbids in a PUT's body.

    A version or a type that is not there is a problem too: nothing passes for want of a judge.
    """
    there = folder()
    if there is None:
        return []
    api_version = NEXT.get(api_version, api_version)
    path = there / "ml" / f"{api_version}.json"
    if not path.is_file():
        path = there / "ml" / f"{api_version}-preview.json"
    if not path.is_file():
        return [f"no official types of the api-version {api_version}"]
    types, resources = _types(path)
    if kind.lower() not in resources:
        return [f"{kind} is no type of the api-version {api_version}"]
    found: Iterable[str] = check(types, resources[kind.lower()], body, "", skip=_ENVELOPE)
    return [s for s in found if not any(part in s for part in QUIRKS) and not _spelled(s)]


_SPELLED = re.compile(
    r"properties\.(?:[\w.\[\]]+\.)?(?P<field>\w+) must be one of \[.*\], got '(?P<value>.*)'$"
)


def _spelled(sentence: str) -> bool:
    """Whether it is one of `SPELLED`, whose values Azure compares without case."""
    found = _SPELLED.match(sentence)
    return found is not None and found["value"] in SPELLED.get(found["field"], ())


@functools.cache
def _oracle(path: Path) -> tuple[Oracle, dict[str, str]]:
    entries = json.loads((path / "infra.json").read_text(encoding="utf-8"))
    return Oracle(path), {entry["type"].lower(): token for token, entry in entries.items()}


def platform_problems(kind: str, api_version: str, path: str, body: Mapping[str, Any]) -> list[str]:
    """The same for types of other providers, which are judged at the version that `infra/` uses.

    `path` gives the name; one that is no legal name is a problem too.
    """
    there = folder()
    if there is None or not (there / "infra.json").is_file():
        return []
    oracle, tokens = _oracle(there)
    whole = "Microsoft.Resources/resourceGroups" if kind == "/subscriptions/resourceGroups" else kind
    if whole.lower() not in tokens:
        return [f"there is no official type of {whole} to judge this by"]
    about = {"type": whole, "apiVersion": api_version, "name": path.rsplit("/", 1)[-1]}
    return oracle.problems(tokens[whole.lower()], {**body, **about})
