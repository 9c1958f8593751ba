"""What Data Factory starts is the ingestion step that `az ml job create` starts from the file, and no more.

Nothing here asks Azure: the bodies are held to its official types, and the calls to what the role allows.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from arm_oracle import check
from graphs import ROOT, plan
from mlops.errors import InvalidInput
from mlops.infra import roles
from mlops.infra.arm_types import ARM_TYPES
from mlops.infra.model import Captured
from mlops.infra.options.ingestion import API, NODE, Ingestion, read_ingestion

_ML = "Microsoft.MachineLearningServices/workspaces"
_TYPES = os.environ.get("ARM_TYPES")
FILE = yaml.safe_load((ROOT / "pipelines/flights/ingest.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def graph() -> Captured:
    return plan("prod", everything=True)


@pytest.fixture(scope="module")
def activities(graph: Captured) -> list[dict[str, Any]]:
    return list(graph.named("ingest").inputs["activities"])


def every(activities: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """All activities by name, those inside others too."""
    found = {}
    for activity in activities:
        found[activity["name"]] = activity
        for inner in ("activities", "ifTrueActivities", "ifFalseActivities"):
            found |= every(activity.get(inner) or [])
    return found


def body(activity: dict[str, Any]) -> dict[str, Any]:
    assert activity["body"]["type"] == "Expression"
    made: dict[str, Any] = json.loads(activity["body"]["value"])
    return made


def calls(activities: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: a for name, a in every(activities).items() if a["type"] == "WebActivity"}


def test_copy_then_start_then_wait_then_publish_or_refuse(activities: list[dict[str, Any]]) -> None:
    names = [a["name"] for a in activities]
    assert names == ["copy", "newest", "start", "wait", "ended", "judge"]
    for before, activity in zip(names, activities[1:], strict=False):
        (needed,) = activity["dependsOn"]
        assert (needed["activity"], needed["dependencyConditions"]) == (before, ["Succeeded"])
    judge = activities[-1]
    assert judge["expression"]["value"] == "@equals(activity('ended').output.properties.status, 'Completed')"
    assert [a["name"] for a in judge["ifTrueActivities"]] == ["publish"]
    assert [a["type"] for a in judge["ifFalseActivities"]] == ["Fail"]


def test_every_call_is_of_resource_manager_by_the_factorys_own_identity(
    graph: Captured, activities: list[dict[str, Any]]
) -> None:
    workspace = graph.named("workspace").id
    assert graph.named("data-factory").get("identity.type") == "SystemAssigned"
    found = calls(activities)
    assert set(found) == {"newest", "start", "status", "ended", "publish"}
    for call in found.values():
        assert call["authentication"] == {"type": "MSI", "resource": "https://management.azure.com/"}
        url = urlsplit(call["url"]["value"])
        assert (url.scheme, url.netloc) == ("https", "management.azure.com")
        assert url.path.startswith(f"{workspace}/")
        assert url.query == f"api-version={API}"
    assert ARM_TYPES["machinelearningservices:Workspace"].version == API


def test_the_job_is_the_file_that_people_submit(graph: Captured, activities: list[dict[str, Any]]) -> None:
    job = body(calls(activities)["start"])["properties"]
    assert set(job["inputs"]) == set(FILE["inputs"])
    assert set(job["outputs"]) == set(FILE["outputs"])
    for name in ("usecase", "name", "max_rejected"):
        assert job["inputs"][name]["value"] == str(FILE["inputs"][name])
    step, written = job["jobs"][NODE], FILE["jobs"][NODE]
    assert {n: i["value"] for n, i in step["inputs"].items()} == written["inputs"]
    assert {n: o["value"] for n, o in step["outputs"].items()} == written["outputs"]
    component = yaml.safe_load((ROOT / "pipelines/flights" / written["component"]).read_text())
    assert step["componentId"].endswith(f"/components/{component['name']}/versions/{component['version']}")
    assert "python -m mlops.steps.ingest" in component["command"]
    assert job["identity"] == {"identityType": "Managed"}
    cluster = job["settings"]["default_compute"].rsplit("/", 1)[1]
    assert cluster == graph.named("compute-cpu-cluster").inputs["computeName"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_step_is_sent_as_the_client_sends_it(activities: list[dict[str, Any]]) -> None:
    """The official types leave the steps of a pipeline open; azure-ai-ml is what Azure is tested with."""
    entities = pytest.importorskip("azure.ai.ml")
    job = body(calls(activities)["start"])["properties"]
    loaded = entities.load_job(ROOT / "pipelines/flights/ingest.yml")
    # As if it were registered; otherwise the client would upload the code first.
    loaded.jobs[NODE]._component = job["jobs"][NODE]["componentId"]
    sent = loaded._to_rest_object().as_dict()["properties"]
    step = {key: value for key, value in sent["jobs"][NODE].items() if not key.startswith("_")}
    assert job["jobs"][NODE] == step
    assert job["jobType"] == sent["jobType"]
    assert {n: i["jobInputType"] for n, i in job["inputs"].items()} == {
        n: i["jobInputType"] for n, i in sent["inputs"].items()
    }
    assert {n: o["jobOutputType"] for n, o in job["outputs"].items()} == {
        n: o["jobOutputType"] for n, o in sent["outputs"].items()
    }
    assert set(job["settings"]) == {key for key in sent["settings"] if not key.startswith("_")}


def test_the_job_reads_what_was_copied_and_publishes_what_it_wrote(
    graph: Captured, activities: list[dict[str, Any]]
) -> None:
    (sink,) = every(activities)["copy"]["outputs"]
    assert sink["parameters"]["delivery"]["value"] == "@pipeline().RunId"
    location = graph.named("ingest-target-files").get("properties.location")
    assert location["folderPath"]["value"] == "@concat('ingested/', dataset().delivery)"
    assert location["fileName"] == "freight.csv", "the use case knows its files by name"
    job = body(calls(activities)["start"])["properties"]
    store = graph.named("datastore-data").inputs
    assert store["properties"]["containerName"] == location["container"]
    source = job["inputs"]["source"]["uri"]
    assert source == f"azureml://datastores/{store['name']}/paths/ingested/@{{pipeline().RunId}}/"
    version = body(calls(activities)["publish"])["properties"]
    assert version["dataUri"] == job["outputs"]["output"]["uri"]
    assert (
        calls(activities)["publish"]["url"]["value"]
        .partition("?")[0]
        .endswith(f"/data/nycflights/versions/{job['inputs']['asset_version']['value']}")
    )


def test_expressions_name_what_is_there(graph: Captured, activities: list[dict[str, Any]]) -> None:
    """A misspelt name is told by Azure at night, and by no type before."""
    text = json.dumps(activities)
    assert set(re.findall(r"activity\('(\w+)'\)", text)) <= set(every(activities))
    parameters = set(graph.named("ingest").inputs["parameters"])
    assert set(re.findall(r"pipeline\(\)\.parameters\.(\w+)", text)) == parameters
    (started,) = graph.named("ingest-daily").get("properties.pipelines")
    assert set(started["parameters"]) == parameters
    assert text.count("@{") == len(re.findall(r"@\{[^{}]+\}", text))


@pytest.mark.skipif(not _TYPES, reason="ARM_TYPES does not name a folder with Azure's official types")
@pytest.mark.parametrize("broken", [False, True], ids=["as planned", "a wrong edit"])
@pytest.mark.parametrize(("call", "kind"), [("start", "jobs"), ("publish", "data/versions")])
def test_bodies_fit_the_official_types(
    activities: list[dict[str, Any]], call: str, kind: str, broken: bool
) -> None:
    assert _TYPES
    found = json.loads((Path(_TYPES) / "ml" / f"{API}.json").read_text(encoding="utf-8"))
    types = {str(index): entry for index, entry in enumerate(found)}
    (resource,) = [t for t in found if t.get("name") == f"{_ML}/{kind}@{API}"]
    sent = body(calls(activities)[call])
    if broken:
        sent["properties"]["jobType" if call == "start" else "dataType"] = "folder"
    envelope = frozenset({"id", "name", "type", "apiVersion", "systemData"})
    problems = list(check(types, resource["body"], sent, "", skip=envelope))
    assert bool(problems) is broken, problems


def test_the_role_allows_these_calls_and_little_else(activities: list[dict[str, Any]]) -> None:
    role = roles.custom(roles.INGESTION_STARTER)
    assert role is not None
    needed = set()
    for call in calls(activities).values():
        path = call["url"]["value"].partition("/workspaces/")[2].partition("?")[0].split("/")[1:]
        if call["method"] == "PUT":
            needed.add(f"{_ML}/{'/'.join(path[0::2])}/write")
    assert needed == {f"{_ML}/jobs/write", f"{_ML}/data/versions/write"}
    assert needed <= set(role.actions)
    # A job needs these besides (learn.microsoft.com, "Manage access to Azure Machine Learning workspaces").
    rest = {a for a in role.actions if not a.endswith("/read")} - needed
    assert rest == {f"{_ML}/metadata/artifacts/write", f"{_ML}/environments/build/action"}
    held = {(g.role, g.scope) for g in roles.GRANTS if g.identity == "data factory"}
    assert held == {
        ("Storage Blob Data Contributor", "data container"),
        (roles.INGESTION_STARTER, "workspace"),
    }


def test_the_pipeline_waits_for_its_permissions(graph: Captured) -> None:
    needs = set(graph.named("ingest").dependencies)
    granted = [r for r in graph.of("authorization:RoleAssignment") if r.name.startswith("grant-data-factory")]
    assert len(granted) == 2
    assert {r.urn for r in granted} <= needs


# What is refused


@pytest.fixture
def files(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines")
    return tmp_path


def test_the_file_is_read(files: Path) -> None:
    assert read_ingestion(files, "flights", "dev") == Ingestion(
        model="flights", asset="nycflights", usecase="flights", max_rejected="0.1",
        component="ingest/versions/1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("  max_rejected: 0.1\n", "", "ingest.yml.*inputs: Data Factory fills in source"),
        ("  usecase: flights\n", "  usecase: flights\n  extra: 1\n", "inputs: Data Factory fills in"),
        ("component: components/ingest.yml", "component: components/none.yml", "must be a file beside"),
        ("  ingest:\n    type: command", "  take:\n    type: command", "jobs.ingest: required"),
    ],
)
def test_a_file_that_cannot_be_started_is_told(files: Path, old: str, new: str, sentence: str) -> None:
    path = files / "pipelines/flights/ingest.yml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InvalidInput, match=sentence):
        read_ingestion(files, "flights", "dev")


def test_a_model_that_takes_no_deliveries_is_told(files: Path) -> None:
    with pytest.raises(InvalidInput, match=r"there is no pipelines/prices/ingest\.yml"):
        read_ingestion(files, "prices", "dev")
