"""`mlops register <path>`: take a model that was trained elsewhere into the registry."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlops.errors import IntegrityError, InvalidInput, Problem
from mlops.events import publish
from mlops.lifecycle.train import facts
from mlops.lifecycle.train.lineage import checkout
from mlops.serving.formats.elsewhere import code_in
from mlops.spec._yaml import Document, problems_of
from mlops.spec.artifact import artifact_files, inside, leads_outside
from mlops.spec.digest import tree_digest
from mlops.spec.schema import FILE, Column, ColumnType, ModelSchema, Task
from mlops.targets.base import ModelVersion, Registry

MLMODEL = "MLmodel"
SAMPLE = "sample.json"
SAMPLE_ROWS = 50
EXTERNAL = {"mlops.source": "external"}
"""The tag of a version that was trained elsewhere."""
Examine = Callable[[Path, Path], Mapping[str, str]]
"""(model folder, folder to write to) -> tags; see `mlops.lifecycle.train.examine`."""
_TYPES: dict[str, ColumnType] = {
    "string": "string",
    "integer": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "boolean": "boolean",
}


def register_external(
    root: Path,
    registry: Registry,
    path: Path,
    model: str,
    *,
    task: Task | None = None,
    classes: Sequence[str] = (),
    allow_pickle: bool = False,
    trusted: Collection[str] = (),
    examine: Examine | None = None,
) -> ModelVersion:
    """Register a copy of the MLflow model folder `path`; the folder itself is not changed.

    `examine` makes what the gates look at, before anything is registered; without it they block. `task` and
    `classes` (in the order of the probabilities) are needed when the folder has no `serving.json`. Raises
    `InvalidInput` for a folder that is no MLflow model, has no column signature, would run code when it is
    loaded (unless `allow_pickle`), or is of another model, and what `examine` raises.
    """
    described = _mlmodel(path)
    _refuse_outside(path, described)
    runs = code_in(path, described, trusted)
    if runs and not allow_pickle:
        raise _code_refused(path, runs)
    signature = _inputs(path, described)
    tags = {**checkout(root).as_tags(), **EXTERNAL}
    with tempfile.TemporaryDirectory() as scratch:
        folder, evidence = Path(scratch) / "model", Path(scratch) / "evidence"
        shutil.copytree(path, folder)
        schema = _schema(path, model, signature, task, classes, trusted=trusted, runs=", ".join(runs))
        _complete(folder, described, schema)
        evidence_tags = examine(folder, evidence) if examine else {}
        made = registry.register(model, folder, tree_digest(folder), {**tags, **evidence_tags})
        # The same artifact may be there already: one that was trained here has evidence of its own.
        if examine and EXTERNAL.items() <= made.tags.items():
            for part in sorted(evidence.iterdir()):
                registry.add_artifacts(made.run_id, part, part.name)
            registry.tag(model, made.version, evidence_tags)
    publish(root, facts.registered(made), made.created)
    return made


def _mlmodel(path: Path) -> dict[str, Any]:
    if not (path / MLMODEL).is_file():
        raise InvalidInput(f"{path} is no MLflow model: it has no file {MLMODEL}; save it by save_model")
    value = Document.read(path / MLMODEL).value
    if not isinstance(value, dict) or not isinstance(value.get("flavors"), dict):
        raise InvalidInput(Problem(str(path / MLMODEL), "names no flavors; save the model by save_model"))
    return value


def _refuse_outside(path: Path, described: dict[str, Any]) -> None:
    """What is not in the folder itself would be in no digest, and missing elsewhere."""
    try:
        artifact_files(path)
    except IntegrityError as error:
        raise InvalidInput(str(error)) from None
    if outside := leads_outside(described):
        raise InvalidInput(
            Problem(
                str(path / MLMODEL),
                f"names files outside of the model ({'; '.join(outside)}); save it with all its files inside",
            )
        )


def _code_refused(path: Path, found: Sequence[str]) -> InvalidInput:
    """A pickle, Python files, or a type that the model asks for and nobody vouches for."""
    return InvalidInput(
        f"{path} can run code when it is loaded ({', '.join(found)}); save it with "
        "serialization_format='skops' or as ONNX, of types that are vouched for (trusted_types of the use "
        "case), or pass --allow-pickle if you trust its maker; the gates then ask for allow_code"
    )


def _inputs(path: Path, described: dict[str, Any]) -> list[dict[str, Any]]:
    where = str(path / MLMODEL)
    signature = described.get("signature")
    if not isinstance(signature, dict) or not signature.get("inputs"):
        raise InvalidInput(
            Problem(where, "the model has no signature; save it with signature=infer_signature(…)")
        )
    try:
        columns = json.loads(signature["inputs"])
    except (TypeError, ValueError):
        columns = None
    if not isinstance(columns, list) or not all(isinstance(c, dict) and c.get("name") for c in columns):
        raise InvalidInput(Problem(where, "must name its input columns, one by one", "signature.inputs"))
    if foreign := [f"{c['name']} ({c.get('type')})" for c in columns if c.get("type") not in _TYPES]:
        raise InvalidInput(
            Problem(
                where,
                f"columns of types that cannot be served: {', '.join(foreign)}; allowed: {', '.join(_TYPES)}",
                "signature.inputs",
            )
        )
    return columns


def _schema(
    path: Path,
    model: str,
    inputs: list[dict[str, Any]],
    task: Task | None,
    classes: Sequence[str],
    *,
    trusted: Collection[str],
    runs: str,
) -> ModelSchema | None:
    """None when the folder brings its own `serving.json`, which is then checked and stays as it is."""
    given = path / FILE
    if given.is_file():
        try:
            brought = ModelSchema.model_validate_json(given.read_bytes())
        except ValidationError as error:
            raise InvalidInput(problems_of(error, ModelSchema, str(given))) from None
        if brought.library is not None and (extra := set(brought.library.trusted) - set(trusted)):
            raise InvalidInput(
                Problem(
                    str(given),
                    f"trusts types that this repository does not ({', '.join(sorted(extra))}): name "
                    "them in `trusted_types` of the use case once somebody has read them",
                    "library.trusted",
                )
            )
        if brought.model != model:
            raise InvalidInput(
                Problem(str(given), f"is of the model {brought.model!r}; register it as that", "model")
            )
        # Whoever writes a model writes what it says of itself.
        return brought.model_copy(update={"runs_code": runs}) if runs else None
    if task is None:
        raise InvalidInput(f"{path} has no {FILE}; say what the model predicts with --task")
    if (task == "regression") == bool(classes):
        raise InvalidInput(
            "give the class labels of a classifier with --classes, in the order of its probabilities; "
            "a regression has none"
        )
    columns = [
        Column(name=c["name"], type=_TYPES[c["type"]], nullable=not c.get("required", True)) for c in inputs
    ]
    try:
        return ModelSchema(model=model, task=task, columns=columns, classes=list(classes), runs_code=runs)
    except ValidationError as error:
        raise InvalidInput(problems_of(error, ModelSchema, FILE)) from None


def _complete(folder: Path, described: dict[str, Any], schema: ModelSchema | None) -> None:
    if schema is not None:
        (folder / FILE).write_text(schema.model_dump_json(indent=2) + "\n", encoding="utf-8")
    info = described.get("saved_input_example_info")
    if (folder / SAMPLE).exists() or not isinstance(info, dict):
        return
    name = str(info.get("artifact_path", ""))
    example = _example(folder / name) if inside(name) else None
    if example is not None:
        (folder / SAMPLE).write_text(json.dumps({"input_data": example}) + "\n", encoding="utf-8")


def _example(path: Path) -> dict[str, Any] | None:
    """MLflow's input example, when it is a table with named columns."""
    try:
        example = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(example, dict) or not {"columns", "data"} <= example.keys():
        return None
    rows = example["data"][:SAMPLE_ROWS]
    return {"columns": example["columns"], "index": list(range(len(rows))), "data": rows}
