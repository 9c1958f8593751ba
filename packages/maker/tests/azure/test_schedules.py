"""Schedules: Azure ML's monitor of what an environment serves, and a pipeline that runs by the clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.spec.online import OnlineSettings
from mlops.targets.azure.schedule import AzureSchedules
from tests.azure.conftest import ROOT
from tests.azure.emulator import Emulator
from tests.azure.online_bench import AzureBench, settings_with
from tests.contracts.endpoints import ENV, MODEL

NIGHTLY = """
$schema: https://azuremlschemas.azureedge.net/latest/schedule.schema.json
name: flights-nightly
trigger: {type: cron, expression: "0 3 * * *", time_zone: UTC}
create_job: %s
"""


@pytest.fixture
def bench(logged_in: Emulator) -> AzureBench:
    made = AzureBench(logged_in, {}, settings_with(OnlineSettings()))
    endpoint = logged_in.online.add(made.workspace.id, made.name)["id"]
    collections = {
        kind: {
            "dataCollectionMode": "Enabled",
            "dataId": f"{made.workspace.id}/data/{made.name}-green-{kind}/versions/1",
            "samplingRate": 1.0,
        }
        for kind in ("model_inputs", "model_outputs")
    }
    for collection in collections.values():
        data = {"dataType": "uri_folder", "dataUri": "azureml://datastores/x/paths/y"}
        logged_in.arm.put(str(collection["dataId"]), {"properties": {**data, "properties": {}, "tags": {}}})
    told = {
        "endpointComputeType": "Managed",
        "model": "azureml:x:1",
        "properties": {},
        "scaleSettings": {"scaleType": "Default"},
        "dataCollector": {"collections": collections, "rollingRate": "Hour"},
    }
    resource = {"properties": told, "location": "westeurope", "sku": {"name": "x", "capacity": 1}}
    logged_in.arm.put(f"{endpoint}/deployments/green", resource)
    return made


def _schedule(bench: AzureBench, name: str) -> dict[str, object]:
    found = bench.emulator.arm.get(f"{bench.workspace.id}/schedules/{name}")
    assert found is not None
    return dict(found["properties"])


def test_the_monitor_watches_what_is_live(bench: AzureBench) -> None:
    path = ROOT / "pipelines/flights/monitor.yml"
    schedules = AzureSchedules(bench.connection)
    name = schedules.apply(ENV, MODEL, path, deployment="green")
    assert name == "flights-monitor-prod"
    told = str(_schedule(bench, name)["action"])
    assert f"{bench.name}/deployments/green" in told or f"{bench.name}:green" in told
    assert f"{bench.name}-green-model_inputs" in told
    assert "flights-prod-blue" not in told, "the names in the file are those of a file"
    assert schedules.names(ENV) == {name: True}
    assert schedules.apply(ENV, MODEL, path, deployment="green") == name


def test_a_pipeline_by_the_clock(bench: AzureBench, tmp_path: Path) -> None:
    path = tmp_path / "nightly.yml"
    path.write_text(NIGHTLY % (ROOT / "pipelines/flights/training.yml"))
    name = AzureSchedules(bench.connection).apply(ENV, MODEL, path)
    told = _schedule(bench, name)
    assert "0 3 * * *" in str(told["trigger"])
    assert "Pipeline" in str(told["action"])


def test_a_wrong_schedule_is_named_before_azure_hears_of_it(bench: AzureBench, tmp_path: Path) -> None:
    path = tmp_path / "nightly.yml"
    path.write_text((NIGHTLY % "./absent.yml").replace("0 3", "61 3"))
    with pytest.raises(InvalidInput, match=r"nightly\.yml:\d+"):
        AzureSchedules(bench.connection).apply(ENV, MODEL, path)
    assert bench.emulator.calls("PUT", "/schedules/") == []
