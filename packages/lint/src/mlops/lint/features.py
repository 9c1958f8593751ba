"""Feature stores, sets of features and their entities."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.machine import check_size
from mlops.lint.monitor import check_told
from mlops.lint.node import At, is_file, is_folder
from mlops.lint.references import check_asset, check_path, is_placeholder, is_remote
from mlops.lint.schedule import check_trigger
from mlops.lint.spark import check_runtime

_ENTITY = re.compile(r"azureml:(?:[^:/]+:[^:/]+|/.+)", re.IGNORECASE)
_COLUMN_TYPES = ("string", "integer", "long", "float", "double", "binary", "datetime", "boolean")


def check_feature_store(store: At) -> Iterator[Finding]:
    """Each half of a feature store has the one kind of storage that Azure ML has for it."""
    yield from check_runtime(store.at("compute_runtime", "spark_runtime_version"))
    for half, wanted in (("offline_store", "azure_data_lake_gen2"), ("online_store", "redis")):
        kind = store[half]["type"]
        if kind.text is not None and kind.word != wanted:
            yield kind.says("wrong-value", f"must be {wanted}; got {kind.value!r}")


def check_entity(entity: At) -> Iterator[Finding]:
    """Columns that rows of features are found by."""
    if entity["index_columns"].value == []:
        yield entity["index_columns"].says("missing-field", "needs at least one column")
    for column in entity["index_columns"].elements():
        kind = column["type"]
        if kind.text is not None and kind.word not in _COLUMN_TYPES:
            yield kind.says("wrong-value", f"must be one of {', '.join(_COLUMN_TYPES)}; got {kind.value!r}")


def check_feature_set(feature_set: At, files: Files) -> Iterator[Finding]:
    """The specification is a folder of this repository; entities are pinned; the size exists."""
    path = feature_set.at("specification", "path")
    yield from check_path(path, what="specification")
    settings = feature_set["materialization_settings"]
    yield from check_size(settings.at("resource", "instance_type"), files)
    yield from check_told(settings["notification"])
    yield from check_trigger(settings["schedule"])
    if feature_set["entities"].value == []:
        yield feature_set["entities"].says("missing-field", "needs at least one entity")
    for entity in feature_set["entities"].elements():
        if entity.text is None or is_placeholder(entity.text):
            continue
        if _ENTITY.fullmatch(entity.text):
            yield from check_asset(entity)
        else:
            yield entity.says("bad-reference", f"must be azureml:<name>:<version>; got {entity.value!r}")
    if path.text is not None and not is_remote(path.text):
        folder = path.beside(path.text)
        if is_folder(folder) and not any(
            is_file(folder / f"FeatureSetSpec.{end}") for end in ("yaml", "yml")
        ):
            yield path.says("asset", f"there is no file FeatureSetSpec.yaml in {path.value!r}")
