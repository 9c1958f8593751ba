# ruff: noqa: E501 (tables of cases)
"""A file is what its `$schema`, its `type` and its fields say; what other programs write is left alone."""

from __future__ import annotations

import pytest
from azure_shelf import SHELF

from mlops.lint.classify import kind_of, looks_component
from mlops.lint.kinds import KINDS
from mlops.spec._yaml import Document

URL = "https://azuremlschemas.azureedge.net/latest/{}.schema.json"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        # $schema gives the family, type the kind, as `az ml` reads it
        ({"$schema": URL.format("commandJob")}, "job.command"),
        ({"$schema": URL.format("commandJob"), "type": "Pipeline"}, "job.pipeline"),
        ({"$schema": URL.format("pipelineComponent"), "type": "pipeline"}, "component.pipeline"),
        ({"$schema": URL.format("commandComponent"), "type": "comand"}, "component.command"),
        ({"$schema": URL.format("dataTransferComponent")}, "component.data_transfer.copy_data"),
        ({"$schema": URL.format("dataTransferComponent"), "task": "import_data"}, "component.data_transfer.import_data"),
        ({"$schema": URL.format("commandComponent"), "type": "data_transfer", "task": "x"}, "component.data_transfer.copy_data"),
        ({"$schema": URL.format("dataTransferComponent"), "type": "command"}, "component.command"),
        ({"$schema": URL.format("autoMLJob"), "type": "automl", "task": "Regression"}, "job.automl.regression"),
        ({"$schema": URL.format("autoMLImageClassificationJob"), "task": "image_classification"}, "job.automl.image_classification"),
        ({"$schema": URL.format("autoMLJob"), "task": "magic"}, "job.automl"),
        ({"$schema": URL.format("managedOnlineDeployment"), "type": "kubernetes"}, "deployment.kubernetes"),
        ({"$schema": URL.format("managedOnlineDeployment"), "type": "pipeline"}, "deployment.managed"),
        ({"$schema": URL.format("batchDeployment"), "type": "model"}, "deployment.batch.model"),
        ({"$schema": URL.format("batchDeployment"), "type": "managed"}, "deployment.batch"),
        ({"$schema": URL.format("compute"), "type": "computeinstance"}, "compute.computeinstance"),
        ({"$schema": URL.format("schedule"), "create_monitor": {}}, "schedule.monitor"),
        ({"$schema": URL.format("schedule"), "import_data": "x"}, "schedule.import"),
        ({"$schema": URL.format("monitorSchedule")}, "schedule.job"),
        ({"$schema": URL.format("model"), "type": "uri_folder"}, "data"),
        ({"$schema": URL.format("model"), "type": "mlflow_model"}, "model"),
        # older addresses, trailing marks, other machines
        ({"$schema": "http://azureml/sdk-2-0/CommandComponent.json"}, "component.command"),
        ({"$schema": "https://azuremlsdk2.blob.core.windows.net/preview/0.0.1/commandJob.schema.json#"}, "job.command"),
        ({"$schema": "https://json.schemastore.org/commandJob.schema.json"}, ""),
        ({"$schema": "https://azuremlschemas.azureedge.net/promptflow/latest/Flow.schema.json"}, "?flow"),
        ({"$schema": URL.format("serverlessEndpoint")}, "?serverlessendpoint"),
        ({"$schema": 3, "type": 3}, ""),
        ({"$schema": "https://learn.microsoft.com/azure/machine-learning/reference-yaml-endpoint-online?view=azureml-api-2", "name": "e", "auth_mode": "key"}, "endpoint.managed"),
        ({"$schema": "https://learn.microsoft.com/azure/machine-learning/reference-yaml-x"}, "?reference-yaml-x"),
        # by fields
        ({"type": "finetuning"}, "?finetuningjob"),
        ({"name": "e", "model_id": "azureml://registries/r/models/m"}, "?serverlessendpoint"),
        ({"name": "e", "model_id": "m"}, ""),
        ({"model_id": "azureml://registries/r/models/m"}, ""),
        ({"type": "CommandComponent@1"}, "?commandcomponent@1"),
        ({"create_job": "x"}, "schedule.job"),
        ({"trigger": {}, "create_monitor": {}}, "schedule.monitor"),
        ({"trigger": {}, "import_data": {}}, "schedule.import"),
        ({"import_data": {}}, ""),
        ({"trigger": {}, "type": "schedule"}, "schedule.job"),
        ({"trigger": {}, "type": "monitor"}, "schedule.monitor"),
        ({"trigger": {}, "stages": []}, ""),
        ({"endpoint_name": "e", "model": "m"}, "deployment.managed"),
        ({"endpoint_name": "e", "model": "m", "type": "kubernetes"}, "deployment.kubernetes"),
        ({"endpoint_name": "e", "model": "m", "mini_batch_size": 1}, "deployment.batch"),
        ({"endpoint_name": "e", "model": "m", "type": "model"}, "deployment.batch.model"),
        ({"endpoint_name": "e", "component": "c"}, "deployment.batch.pipeline"),
        ({"endpoint_name": "e", "model": "m", "type": "pipeline"}, "deployment.batch.pipeline"),
        ({"endpoint_name": "e"}, ""),
        ({"name": "blue", "code_configuration": {}}, "deployment.managed"),
        ({"name": "blue", "code_configuration": {}, "mini_batch_size": 3}, "deployment.batch"),
        ({"code_configuration": {}}, ""),
        ({"name": "e", "auth_mode": "key"}, "endpoint.managed"),
        ({"name": "e", "traffic": {}, "compute": "c"}, "endpoint.kubernetes"),
        ({"auth_mode": "key"}, ""),
        ({"name": "c", "type": "AmlCompute"}, "compute.amlcompute"),
        ({"type": "amlcompute"}, ""),
        ({"name": "s", "type": "azure_file"}, "datastore.azure_file"),
        ({"type": "uri_file", "path": "p"}, "data"),
        ({"type": "uri_file"}, ""),
        ({"type": "mlflow_model", "path": "p"}, "model"),
        ({"type": "pipeline", "jobs": {}}, "job.pipeline"),
        ({"type": "pipeline", "jobs": {}, "name": "n", "version": 1}, "component.pipeline"),
        ({"type": "pipeline", "stages": []}, ""),
        ({"type": "command", "command": "x", "compute": "c"}, "job.command"),
        ({"type": "command", "command": "x", "name": "n"}, "component.command"),
        ({"type": "command"}, ""),
        ({"type": "sweep", "trial": {}, "name": "n"}, "job.sweep"),
        ({"type": "parallel", "task": {}}, "component.parallel"),
        ({"type": "spark", "entry": {}}, "job.spark"),
        ({"type": "automl", "task": "regression"}, "job.automl.regression"),
        ({"type": "data_transfer", "task": "export_data"}, "component.data_transfer.export_data"),
        ({"command": "x", "environment": "e"}, "job.command"),
        ({"command": "x", "environment": "e", "services": {}}, ""),
        ({"command": "x", "environment": "e", "version": 1}, "component.command"),
        ({"command": "x"}, ""),
        ({"name": "e", "conda_file": "c"}, "environment"),
        ({"name": "e", "image": "i", "version": 1}, "environment"),
        ({"name": "e", "image": "i"}, ""),
        ({"name": "e", "image": "i", "version": 1, "type": "x"}, ""),
        ({"conda_file": "c"}, ""),
        ({"version": "3", "services": {}}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_what_a_file_is(fields, kind):
    assert kind_of(fields) == kind


@pytest.mark.parametrize(
    ("fields", "is_component"),
    [
        ({"name": "n", "settings": {}}, False),
        ({"version": 1}, True),
        ({"is_deterministic": True, "inputs": {"a": 3}}, True),
        ({"name": "n", "inputs": {"a": 3}}, False),
        ({"name": "n", "inputs": {"a": {"type": "uri_file", "path": "p"}}}, False),
        ({"name": "n", "inputs": {"a": {"value": 3}}}, False),
        ({"inputs": {"a": {"type": "string", "default": "x"}}}, True),
        ({"inputs": {"a": {"type": "string"}}}, False),
        ({"name": "n", "inputs": {"a": {"type": "string"}}}, True),
        ({"inputs": []}, False),
    ],
)
def test_a_component_declares_and_a_job_gives(fields, is_component):
    assert looks_component(fields) is is_component


def test_every_file_of_the_shelf_is_of_a_kind_that_is_read(shelf):
    kinds = {kind_of(Document.read(shelf.root / name).value) for name in SHELF}
    assert kinds <= KINDS.keys()
    assert len(kinds) >= 27
