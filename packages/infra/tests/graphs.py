"""Plans of the program with edited configuration, made once a test session: a stack takes seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mlops.infra.model import Captured
from mlops.infra.plan.capture import ORGANIZATION, capture
from mlops.infra.wanted import stack_before
from mlops.spec.settings import load_settings

ROOT = Path(__file__).resolve().parents[3]
MODEL = min(load_settings(ROOT).models)
"""One of those that every stack serves."""
TAKES = [m for m in sorted(load_settings(ROOT).models) if (ROOT / f"pipelines/{m}/ingest.yml").is_file()][:1]
"""The first model that takes deliveries, if any."""
TRAINS = load_settings(ROOT).azure.train
"""The stack whose workspace trains."""
STACKS = ("shared", "dev", "staging", "prod")
ENVIRONMENTS = ("dev", "staging", "prod")
CLUSTERS: Mapping[str, Any] = {
    "cpu-cluster": {"vm_size": "Standard_D4ds_v5", "max_nodes": 2, "priority": "low_priority"},
    "gpu-cluster": {"vm_size": "Standard_NC4as_T4_v3", "max_nodes": 1, "priority": "low_priority"},
}
EVENTS: Mapping[str, Any] = {
    "retrain": {"types": ["RunStatusChanged"]},
    "registered": {"types": ["ModelRegistered"]},
}
EVERYTHING: Mapping[str, Any] = {
    "customer_managed_keys": True,
    "events": EVENTS,
    "azure_devops": {
        "issuer": "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000001/v2.0",
        "subjects": {"plan": "/eid1/c/pub/t/x/a/y/sc/1/2", "apply": "/eid1/c/pub/t/x/a/y/sc/1/3"},
    },
    "options": {
        "aks": {"inference_secret": "router-certificate"},
        "databricks": {
            "unity_catalog": {
                "account": "00000000-0000-0000-0000-000000000009",
                "metastore": "00000000-0000-0000-0000-000000000008",
                "warehouse": "2X-Small",
            }
        },
        # Data Factory has something to start only where a model takes deliveries.
        **(
            {
                "data_factory": {
                    "source": "https://example.com/new/freight.csv?v=1",
                    "model": TAKES[0],
                    "start": "2026-01-01",
                }
            }
            if TAKES
            else {}
        ),
        "container_instance": {"image": f"score@sha256:{'0' * 64}"},
    },
}
"""Every option on, for an environment."""


def plan(stack: str, *, preview: bool = False, everything: bool = False, **edits: Any) -> Captured:
    """The graph of `stack` with some keys of its file replaced (`None` removes one)."""
    wanted = {**(EVERYTHING if everything and stack != "shared" else {}), **edits}
    return _plan(stack, preview, json.dumps(wanted, sort_keys=True))


@cache
def _plan(stack: str, preview: bool, edits: str) -> Captured:
    outputs = {f"{ORGANIZATION}/mlops/{name}": exports(name) for name in _before(stack)}

    def edit(config: dict[str, str]) -> None:
        for key, value in json.loads(edits).items():
            if value is None:
                config.pop(f"mlops:{key}", None)
            else:
                config[f"mlops:{key}"] = value if isinstance(value, str) else json.dumps(value)

    return capture(ROOT, stack, outputs, preview=preview, edit=edit)


def _before(stack: str) -> tuple[str, ...]:
    """Stacks whose exports a stack may read."""
    if stack == "shared":
        return ()
    return tuple(
        dict.fromkeys(s for s in ("shared", TRAINS, stack_before(ROOT, stack)) if s not in ("", stack))
    )


@cache
def exports(stack: str) -> Mapping[str, Any]:
    """What a stack exports as its file stands."""
    return plan(stack).exports
