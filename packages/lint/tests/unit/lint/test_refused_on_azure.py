# ruff: noqa: E501 (a table of cases, one a line)
"""What loads without a word and fails on Azure: addresses, images, identities, networks, names. Each wrong form stands with the right one."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from mlops.lint import oracle
from tests.unit.lint.one_edit import GONE, Case, differing, in_tens

_WS = "azureml://subscriptions/s/resourcegroups/r/workspaces/w"
_RULE = "managed_network.outbound_rules"
CASES: list[Case] = [
    # -- addresses
    ("data.yml", {"path": "wasbs://rows@account.blob.core.windows.net/a"}, []),
    ("data.yml", {"path": "abfss://fs@account.dfs.core.chinacloudapi.cn"}, []),
    ("data.yml", {"path": "wasbs://rows@account/a"}, ["bad-reference path"]),
    ("data.yml", {"path": "wasbs://account.blob.core.windows.net/rows/a"}, []),
    ("data.yml", {"path": "wasbs://<container>@<account>/a"}, []),
    ("data.yml", {"path": "azureml:rows:1"}, ["bad-reference path"]),
    ("data.yml", {"path": f"{_WS}/datastores/d/paths/a/b"}, []),
    ("data.yml", {"path": f"{_WS}/datastore/d/paths/a"}, ["bad-reference path"]),
    ("data.yml", {"path": f"{_WS}/datastores/d/path/a"}, ["bad-reference path"]),
    ("data.yml", {"path": f"{_WS}/data/rows/versions/1"}, []),
    ("data.yml", {"path": "azureml://subscriptions/s/resourcegroups/r"}, []),
    ("model.yml", {"path": "azureml://jobs/j/outputs/model/paths/m"}, []),
    ("model.yml", {"path": "azureml://jobs/j/outputs/artifacts/paths/m"}, []),
    ("model.yml", {"path": "azureml://jobs/j/output/model/paths/m"}, ["bad-reference path"]),
    ("model.yml", {"path": "azureml://job/j/outputs/model"}, ["bad-reference path"]),
    ("model.yml", {"path": "runs:/abc/model"}, []),
    ("model.yml", {"path": "runs:/abc"}, ["bad-reference path"]),
    ("model.yml", {"path": "runs:/"}, ["bad-reference path"]),
    ("train.yml", {"code": "azureml:code:1"}, []),
    ("train.yml", {"code": "azureml:code"}, ["bad-reference code"]),
    ("data.yml", {"name": GONE}, ["missing-field version"]),
    ("data.yml", {"name": GONE, "version": GONE}, []),
    # -- images and what conda is given
    ("environment.yml", {"image": "example.azurecr.io/Tools:3"}, ["wrong-value image"]),
    ("environment.yml", {"image": "Tools:3"}, ["wrong-value image"]),
    ("environment.yml", {"image": "Example.azurecr.io/tools:V3"}, []),
    ("environment.yml", {"image": "tools@sha256:ABC"}, []),
    ("environment.yml", {"image": "localhost:5000/Tools/x:1"}, ["wrong-value image"]),
    ("environment.yml", {"image": "https://example.azurecr.io/tools:3"}, ["wrong-value image"]),
    ("environment.yml", {"image": "<Registry>/tools:3"}, []),
    ("environment.yml", {"conda_file": {"channels": ["a"], "dependencies": ["python", {"pip": ["x"]}]}}, []),
    ("environment.yml", {"conda_file": {"dependencies": ["python", {"pip": "x"}]}}, ["asset conda_file"]),
    ("environment.yml", {"conda_file": {"dependencies": ["python", {"pips": ["x"]}]}}, ["asset conda_file"]),
    ("environment.yml", {"conda_file": {"channels": "a", "dependencies": ["python"]}}, ["asset conda_file"]),
    # -- who it runs as, and where
    ("cluster.yml", {"identity": {"type": "user_assigned"}}, ["missing-field identity"]),
    ("cluster.yml", {"identity": {"type": "user_assigned", "user_assigned_identities": [{"resource_id": "/subscriptions/s"}]}}, []),
    ("cluster.yml", {"identity": {"type": "system_assigned"}}, []),
    ("workspace.yml", {"identity": {"type": "user_assigned"}}, ["missing-field identity"]),
    ("batch-endpoint.yml", {"identity": {"type": "user_assigned"}}, ["missing-field identity"]),
    ("cluster.yml", {"network_settings": {"subnet": "default"}}, ["missing-field network_settings.subnet"]),
    ("cluster.yml", {"network_settings": {"subnet": "/subscriptions/s/x"}}, []),
    ("cluster.yml", {"network_settings": {"vnet_name": "v", "subnet": "default"}}, []),
    ("cluster.yml", {"network_settings": {"vnet_name": "v"}}, ["missing-field network_settings.vnet_name"]),
    ("instance.yml", {"network_settings": {"subnet": "default"}}, ["missing-field network_settings.subnet"]),
    ("cluster.yml", {"type": "AmlCompute"}, []),
    ("cluster.yml", {"type": "aml_compute"}, ["wrong-value type"]),
    ("instance.yml", {"name": "abc"}, []),
    ("instance.yml", {"name": "ab"}, ["bad-name name"]),
    ("cluster.yml", {"name": "ab"}, []),
    ("store.yml", {"endpoint": "core.windows.net"}, []),
    ("store.yml", {"endpoint": "https://core.windows.net"}, ["wrong-value endpoint"]),
    ("connection.yml", {"name": "my-search_1"}, []),
    ("connection.yml", {"name": "my search"}, ["bad-name name"]),
    ("connection.yml", {"name": "<NAME>"}, []),
    ("registry.yml", {"name": "my registry"}, ["bad-name name"]),
    ("workspace.yml", {"customer_managed_key": {"key_vault": "/subscriptions/s/x"}}, ["missing-field customer_managed_key"]),
    ("workspace.yml", {"customer_managed_key": {"key_uri": "https://v.vault.azure.net/keys/k/1"}}, ["missing-field customer_managed_key"]),
    ("workspace.yml", {"customer_managed_key": {"key_vault": "/subscriptions/s/x", "key_uri": "https://v.vault.azure.net/keys/k/1"}}, []),
    ("network.yml", {f"{_RULE}.0.name": "stores"}, [f"wrong-value {_RULE}.1.name"]),
    ("network.yml", {"managed_network.isolation_mode": "allow_internet_outbound"}, [f"wrong-value {_RULE}.0.type", f"wrong-value {_RULE}.1.type"]),
    ("network.yml", {"managed_network.isolation_mode": "allow_internet_outbound", _RULE: [{"name": "own", "type": "private_endpoint", "destination": {"service_resource_id": "/subscriptions/s/x", "subresource_target": "blob", "spark_enabled": True}}]}, []),
    # -- what a job is given, and gives
    ("pipeline.yml", {"jobs.train.inputs.rows": "x${{parent.inputs.rows}}"}, ["bad-binding jobs.train.inputs.rows"]),
    ("pipeline.yml", {"jobs.train.inputs.rows": "azureml://datastores/d/paths/${{parent.inputs.where}}"}, []),
    ("pipeline.yml", {"jobs.shell.inputs.report": "a ${{parent.inputs.rate}}"}, []),
    ("pipeline.yml", {"jobs.train.inputs.rows": {"type": "mltable", "path": "./table"}}, []),
    ("pipeline.yml", {"jobs.train.inputs.rows": {"type": "mltable", "path": "./folder"}}, ["asset jobs.train.inputs.rows.path"]),
    ("pipeline.yml", {"jobs.train.inputs.rows": {"path": "./rows.csv"}}, []),
    ("pipeline.yml", {"jobs.learn.outputs": {"best": {"type": "mlflow_model"}}}, ["unknown-output jobs.learn.outputs.best"]),
    ("pipeline.yml", {"jobs.learn.outputs.best_model.type": "uri_folder"}, ["type-mismatch jobs.learn.outputs.best_model.type"]),
    ("pipeline.yml", {"outputs.best.name": "best_model-1"}, []),
    ("pipeline.yml", {"outputs.best.name": "best model"}, ["bad-name outputs.best.name"]),
    ("pipeline.yml", {"jobs.train.outputs.model": {"name": "a/b"}}, ["bad-name jobs.train.outputs.model.name"]),
    ("pipeline.yml", {"jobs.shell.distribution": {"type": "tensorflow", "parameter_server_count": 0}}, []),
    ("pipeline.yml", {"jobs.shell.distribution": {"type": "tensorflow", "parameter_server_count": -1}}, ["instances jobs.shell.distribution.parameter_server_count"]),
    ("train.yml", {"inputs.depth.min": 1.0}, []),
    ("train.yml", {"inputs.depth.min": 1.5}, ["bad-literal inputs.depth.min"]),
    ("train.yml", {"inputs.rate.min": 0.5, "inputs.rate.default": 0.7}, []),
    ("train.yml", {"inputs.how.max": 3}, ["bad-literal inputs.how.max"]),
    ("train.yml", {"inputs.rows.min": 1}, ["bad-literal inputs.rows.min"]),
    ("automl.yml", {"forecasting.frequency": "W-SUN"}, []),
    ("automl.yml", {"forecasting.frequency": "15min"}, []),
    ("automl.yml", {"forecasting.frequency": "QS-JAN"}, []),
    ("automl.yml", {"forecasting.frequency": "Hourly"}, ["task forecasting.frequency"]),
    ("automl.yml", {"forecasting.country_or_region_for_holidays": "US"}, []),
    ("automl.yml", {"forecasting.country_or_region_for_holidays": "USA"}, ["task forecasting.country_or_region_for_holidays"]),
    ("automl.yml", {"featurization": {"mode": "custom", "column_name_and_types": {"a": "Numeric", "b": "CategoricalHash", "c": "date_time"}}}, []),
    ("automl.yml", {"featurization": {"mode": "custom", "column_name_and_types": {"a": "Numbers"}}}, ["wrong-value featurization.column_name_and_types.a"]),
    ("automl.yml", {"test_data_size": 0}, ["task test_data_size"]),
    ("automl.yml", {"test_data_size": 0.2}, []),
    ("spark.yml", {"conf/spark.driver.memory": 2}, ["spark conf.spark.driver.memory"]),
    ("spark.yml", {"conf/spark.executor.instances": 9}, ["spark conf.spark.executor.instances"]),
    ("spark.yml", {"conf/spark.executor.instances": 4}, []),
    ("count.yml", {"conf/spark.executor.instances": 9}, []),
    ("spark.yml", {"py_files": ["none.zip"]}, ["missing-file py_files.0"]),
    ("spark.yml", {"code": GONE, "py_files": ["none.zip"]}, []),
    ("spark.yml", {"conf": "none"}, ["wrong-type conf"]),
    ("data.yml", {"type": 3}, ["wrong-type type"]),
    # -- what is started
    ("schedule.yml", {"create_job": {"type": "pipeline", "job": "./pipeline.yml", "inputs": {"a": 1, "b": 2}}}, ["unknown-input create_job.inputs.a", "unknown-input create_job.inputs.b"]),
    ("schedule.yml", {"create_job": {"type": "pipeline", "job": "./pipeline.yml", "inputs": {"rate": None, "b": 2}}}, ["unknown-input create_job.inputs.b", "wrong-type create_job.inputs.rate"]),
    ("schedule.yml", {"create_job": {"type": "pipeline", "job": "./pipeline.yml", "inputs": {"rate": {"value": 2}, "b": 2}}}, ["unknown-input create_job.inputs.b"]),
    ("schedule.yml", {"create_job": {"type": "pipeline", "job": "./pipeline.yml", "inputs": {"rate": 2, "b": 2}}}, ["bad-literal create_job.inputs.rate", "unknown-input create_job.inputs.b"]),
    ("schedule.yml", {"create_job": {"type": "pipeline", "job": "./pipeline.yml", "inputs": {"rows": 3}}}, []),
    ("schedule.yml", {"create_job": "azureml:x:1"}, []),
    ("schedule.yml", {"create_job": "azureml:x"}, ["pin-asset create_job"]),
    ("flow.yml", {"jobs.again.condition": "bad"}, ["preview jobs.again.type", "preview jobs.choose.type", "unknown-output jobs.again.condition"]),
    ("schedule.yml", {"create_job": "./endpoint.yml"}, ["bad-reference create_job"]),
    ("schedule.yml", {"create_job": {"type": "pipeline", "job": "./data.yml"}}, ["bad-reference create_job.job"]),
    ("schedule.yml", {"create_job": "./job.yml"}, []),
    ("pipeline-deployment.yml", {"component": "./train.yml"}, ["type-mismatch component"]),
    ("batch-deployment.yml", {"settings.output_file_name": " "}, ["wrong-value settings.output_file_name"]),
    ("batch-deployment.yml", {"settings.output_file_name": GONE}, []),
]  # fmt: skip


@pytest.mark.parametrize("cases", in_tens(CASES), ids=lambda cases: f"{cases[0][0]} {cases[0][1]}")
def test_what_is_said_of_one_change(stand, cases):
    assert differing(stand, cases) == {}


def test_what_azure_says_is_one_line_without_colours():
    said = "\x1b[37m\n\x1b[30m\n1) It is missing\x1b[39m\n\nDetails: \x1b[31m\n\n(x) Name it.\x1b[39m\n\nResolutions: \n1) Look"
    assert oracle._short(said) == "Name it"
    assert oracle._short("plain\n text.") == "plain text"


def test_a_module_that_is_called_azure_is_not_the_package(monkeypatch):
    """Somebody's own `azure.py`, in the folder that the lint is called from."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "azure"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "azure", ModuleType("azure"))
    assert oracle.installed() == ""
