"""JSON Schemas of the files in git, generated from the models that read them, for editors and other tools.

`python -m mlops.spec.jsonschema` writes them to docs/schemas; a test keeps them current.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mlops.spec._base import Spec
from mlops.spec.desired import DesiredState
from mlops.spec.events import FACTS
from mlops.spec.gatepolicy import GatePolicy
from mlops.spec.policy import Freeze, Policy
from mlops.spec.release import Release
from mlops.spec.settings import Settings

FOLDER = "docs/schemas"
_WORDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}

MODELS: dict[str, type[Spec]] = {
    "desired": DesiredState,
    "freeze": Freeze,
    "gates": GatePolicy,
    "policy": Policy,
    "release": Release,
    "settings": Settings,
    **{name.replace("mlops.", "event.", 1): fact for name, fact in FACTS.items()},
}
"""By file name: environments/<env>/<model>.yaml, environments/freeze.yaml, pipelines/<model>/model.yaml,
environments/policy.yaml, releases/<model>/<n>.yaml, mlops.toml, the data of each CloudEvent."""


def schema_text(name: str) -> str:
    """The schema's file, ending in a newline; the same for the same models."""
    schema = _standard(MODELS[name].model_json_schema())
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _standard(value: Any) -> Any:
    """pydantic leaves its own words where a type is a union; these are JSON Schema's."""
    if isinstance(value, dict):
        return {_WORDS.get(k, k) if not isinstance(v, dict) else k: _standard(v) for k, v in value.items()}
    return [_standard(v) for v in value] if isinstance(value, list) else value


def stale(root: Path) -> list[str]:
    """Schema files, relative to `root`, that are missing or say something else than the models."""
    outdated = []
    for name in MODELS:
        path = root / FOLDER / f"{name}.json"
        if not path.is_file() or path.read_text(encoding="utf-8") != schema_text(name):
            outdated.append(f"{FOLDER}/{name}.json")
    return outdated


def write(root: Path) -> list[str]:
    """Bring every schema file up to date; answers those that changed."""
    changed = stale(root)
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    for name in changed:
        (root / name).write_text(schema_text(Path(name).stem), encoding="utf-8")
    return changed


if __name__ == "__main__":
    for name in write(Path.cwd()):
        sys.stdout.write(f"{name}\n")
