"""Captured stacks as text, from one process to another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..model import Captured, Resource, Skip


def dumps(captured: Sequence[Captured]) -> str:
    return json.dumps([asdict(c) for c in captured], default=sorted)


def loads(text: str) -> list[Captured]:
    return [_captured(raw) for raw in json.loads(text)]


def _captured(raw: dict[str, Any]) -> Captured:
    resources = []
    for item in raw["resources"]:
        item["dependencies"] = tuple(item["dependencies"])
        item["property_dependencies"] = {k: tuple(v) for k, v in item["property_dependencies"].items()}
        item["secret"] = frozenset(item["secret"])
        resources.append(Resource(**item))
    skips = tuple(Skip(**s) for s in raw["skips"])
    return Captured(raw["project"], raw["stack"], tuple(resources), raw["exports"], skips)
