"""Schedules: enabled when they are made, and deleted only when they are not, as Azure ML has it."""

from __future__ import annotations

import copy
import uuid
from typing import TYPE_CHECKING

from .arm import Kind, Resource
from .http import Refused, Request

if TYPE_CHECKING:
    from .server import Emulator


def _made(resource: Resource, before: Resource | None, request: Request) -> None:
    if resource["properties"].get("isEnabled") is None:
        resource["properties"]["isEnabled"] = True


def _delete(resource: Resource) -> None:
    if resource["properties"]["isEnabled"]:
        raise Refused(400, "UserError", "an enabled schedule cannot be deleted; disable it first")


def fire(emulator: Emulator, schedule: Resource) -> str:
    """It is time: start the schedule's job; its name."""
    name = f"{schedule['name']}-{uuid.uuid4().hex[:8]}"
    workspace = schedule["id"].rsplit("/schedules/", 1)[0]
    path = f"{workspace}/jobs/{name}"
    definition = copy.deepcopy(schedule["properties"]["action"]["jobDefinition"])
    resource: Resource = {"properties": definition, "name": name, "id": path}
    emulator.jobs.submitted(resource, None, Request("PUT", path, {}, {}, host="management.azure.com"))
    emulator.arm.put(path, resource)
    return name


def install(emulator: Emulator) -> None:
    """Behaviour of schedules; their routes are those of `arm.py`."""
    emulator.arm.kind("workspaces/schedules", Kind(_made, _delete, long=True))
