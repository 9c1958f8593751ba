"""Data assets and models: paths that are what their type says."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops.lint.finding import Finding
from mlops.lint.node import At, exists, is_file, is_folder
from mlops.lint.references import check_path, is_placeholder, is_remote, lacks
from mlops.lint.values import DATA

_ASSET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,254}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-+]{0,254}")
_OUTPUT_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
"""Under which an output is registered."""
_PUBLISHED = "asset.yaml"
"""Of the tool that publishes to a registry."""


def check_names(
    top: At, name: re.Pattern[str] = _ASSET_NAME, allowed: str = "letters, digits, '-', '_' and '.'"
) -> Iterator[Finding]:
    """`name` and `version` of what is registered."""
    for place, pattern, words in (
        (top["name"], name, allowed),
        (top["version"], _VERSION, "letters, digits, '-', '_' and '.'"),
    ):
        text = place.text
        if (
            text is not None
            and "${{" not in text
            and "<" not in text
            and not is_placeholder(text)
            and not pattern.fullmatch(text)
        ):
            yield place.says("bad-name", f"{text!r} must be {words}")


def check_input(data: At) -> Iterator[Finding]:
    """Data that a job is given; what has no path yet is left to the command line."""
    if data["type"].word in DATA and data["path"].value is None:
        option = f"--set inputs.{data.loc[-1]}.path=…"
        yield data.says("given-later", f"has no `path`; the command line has to give it ({option})")
    yield from check_data(data)


def check_output(output: At) -> Iterator[Finding]:
    """Where an output is written: an address of a datastore, never a path of this machine."""
    path = output["path"]
    name = output["name"]
    if name.text is not None and "${{" not in name.text and not _OUTPUT_NAME.fullmatch(name.text):
        yield name.says("bad-name", f"must be letters, digits, '-' and '_', at most 255; got {name.value!r}")
    if path.text is None:
        return
    if is_remote(path.text):
        yield from check_path(path)
    else:
        message = f"an output is written to azureml://datastores/<name>/paths/<path>; got {path.value!r}"
        yield path.says("bad-reference", message)


def check_data(data: At) -> Iterator[Finding]:
    """A data asset's path: a file, a folder, or a folder with an MLTable file."""
    path, kind = data["path"], data["type"].word
    yield from check_path(path, what="data")
    if path.text is None or is_remote(path.text):
        return
    there = path.beside(path.text)
    if kind == "uri_file" and is_folder(there):
        yield path.says("asset", f"{path.value!r} is a folder; uri_file needs a file")
    if kind in ("uri_folder", "") and is_file(there) and (kind or "type" not in data):
        yield path.says("asset", f"{path.value!r} is a file; uri_folder needs a folder")
    if kind == "mltable" and is_folder(there) and not is_file(there / "MLTable"):
        yield path.says("asset", f"there is no file MLTable in {path.value!r}")


def check_data_asset(data: At) -> Iterator[Finding]:
    """What a data asset is made from: a file, a folder or an address, no other asset."""
    path = data["path"]
    if path.text is not None and re.fullmatch(r"(?i)azureml:[^/].*", path.text):
        message = f"a data asset is made from files; {path.value!r} is an asset already"
        yield path.says("bad-reference", message)
    if "version" in data and "name" not in data:
        yield data["version"].says("missing-field", "needs `name`, whose version it is")
    yield from check_data(data)


def check_registered(model: At) -> Iterator[Finding]:
    """A model that is registered: from somewhere."""
    if "path" not in model and exists(model.beside(_PUBLISHED)):
        yield model.says("given-later", f"has no `path`; what {_PUBLISHED} publishes has it elsewhere")
    elif "path" not in model:
        yield from lacks(model, "path", "missing-field", "needs `path`: what is registered")
    yield from check_model(model)


def check_model(model: At) -> Iterator[Finding]:
    """A model's path; a model of MLflow is a folder with an MLmodel file."""
    path = model["path"]
    yield from check_path(path, what="model")
    if path.text is not None and re.fullmatch(r"runs:/[^/]*/?", path.text):
        yield path.says("bad-reference", f"{path.value!r} names a run only; write runs:/<run id>/<path>")
    if path.text is None or is_remote(path.text):
        return
    there = path.beside(path.text)
    if model["type"].word == "mlflow_model" and exists(there) and not is_file(there / "MLmodel"):
        yield path.says("asset", f"there is no file MLmodel in {path.value!r}; an mlflow_model has one")


def check_import(data: At) -> Iterator[Finding]:
    """What a data import reads."""
    source = data["source"]
    if source["type"].word == "database" and not {"query", "stored_procedure"} & set(source.names()):
        yield source.says("missing-field", "needs `query` or `stored_procedure`")
    if source["type"].word == "file_system" and "path" not in source:
        yield source.says("missing-field", "needs `path`: what is imported")
