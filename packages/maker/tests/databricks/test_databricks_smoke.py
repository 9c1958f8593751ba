"""The trial on a real workspace finds nothing wrong with the emulator, cleans up, and says what is wrong
elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from databricks.sdk.service import catalog

from mlops.errors import InvalidInput
from mlops.spec.settings import DatabricksPlace, Settings
from mlops.targets import open_target
from mlops.targets.azure import open_azure
from mlops.targets.databricks import bundle
from mlops.targets.databricks.smoke import CHECKS, smoke
from tests.databricks.bench import DatabricksBench
from tests.databricks.emulator import Answer, Emulator

PAGE = Path(__file__).parents[4] / "docs" / "databricks.md"


@pytest.fixture
def bench(tracked: Emulator, tmp_path: Path) -> DatabricksBench:
    return DatabricksBench(tracked, {}, tmp_path / "fork")


def test_all_is_as_assumed_and_nothing_stays(bench: DatabricksBench, tracked: Emulator):
    tracked.router.add("GET", r"/api/2\.2/jobs/runs/list", lambda request: Answer(200, {}))
    found = list(smoke(bench.connection))
    assert [(c.name, c.verdict) for c in found] == [(name, "as assumed") for name in CHECKS], found
    assert tracked.unity.models["dev.ml.mlops_smoke"].versions == {}
    assert not list((tracked.files.root / "Volumes/dev/ml/mlops/smoke").iterdir())


def test_a_volume_that_writes_over_what_is_there_is_told(
    bench: DatabricksBench, tracked: Emulator, monkeypatch: pytest.MonkeyPatch
):
    """Two applies would both hold the lock."""
    upload = tracked.files.upload

    def careless(request, path):  # type: ignore[no-untyped-def]
        return upload(type(request)(**{**vars(request), "query": {"overwrite": "true"}}), path)

    tracked.router.add("PUT", r"/api/2\.0/fs/files(?P<path>/.+)", careless)
    tracked.router._routes.insert(0, tracked.router._routes.pop())
    tried = smoke(bench.connection)
    next(tried)
    checked = next(tried)
    assert (checked.name, checked.verdict) == ("volume", "wrong")
    assert "was written over" in checked.found
    tried.close()


def test_the_page_lists_the_same_checks():
    text = PAGE.read_text()
    for name, assumed in CHECKS.items():
        assert f"| {name} | {assumed} |" in text


def test_the_bundle_holds_what_the_sdk_takes(bench: DatabricksBench):
    path = bundle.write(bench.root, bench.settings)
    told = yaml.safe_load(path.read_text())
    model = told["resources"]["registered_models"]["freight"]
    made = catalog.RegisteredModelInfo.from_dict(model)
    assert made.as_dict() == model
    volume = told["resources"]["volumes"]["mlops"]
    assert catalog.VolumeInfo.from_dict(volume).as_dict() == volume
    assert list(told["targets"]) == ["dev", "staging", "prod"]
    assert told["targets"]["prod"]["variables"] == {"catalog": "prod"}
    assert [name for name, target in told["targets"].items() if target.get("default")] == ["dev"]
    before = path.read_bytes()
    assert bundle.write(bench.root, bench.settings).read_bytes() == before


def _with_principals(bench: DatabricksBench, **principals: str) -> Settings:
    places = {name: DatabricksPlace(principal=principal) for name, principal in principals.items()}
    databricks = bench.settings.databricks
    databricks = databricks.model_copy(update={"environments": {**databricks.environments, **places}})
    return bench.settings.model_copy(update={"databricks": databricks})


def test_each_principal_is_granted_what_its_duty_needs_and_no_more(bench: DatabricksBench):
    told = bundle.described(bench.root, _with_principals(bench, dev="trainers", prod="apply-prod"))
    works = {"APPLY_TAG", "CREATE_MODEL", "READ_VOLUME", "USE_SCHEMA", "WRITE_VOLUME"}
    granted = {
        name: {
            assigned.principal: {privilege.value for privilege in assigned.privileges or []}
            for schema in target.get("resources", {}).get("schemas", {}).values()
            for assigned in map(catalog.PrivilegeAssignment.from_dict, schema["grants"])
        }
        for name, target in told["targets"].items()
    }
    assert granted == {
        "dev": {"trainers": works, "apply-prod": {"APPLY_TAG", "EXECUTE", "USE_SCHEMA"}},
        "staging": {},
        "prod": {"apply-prod": works},
    }
    resources = told["resources"]
    (key,) = resources["schemas"]
    assert resources["schemas"][key]["lifecycle"] == {"prevent_destroy": True}
    named = {
        row["schema_name"] for kind in ("registered_models", "volumes") for row in resources[kind].values()
    }
    assert named == {f"${{resources.schemas.{key}.name}}"}, "they are made after the schema"


def test_who_trains_and_applies_is_granted_both(bench: DatabricksBench):
    told = bundle.described(bench.root, _with_principals(bench, dev="one", prod="one"))
    (schema,) = told["targets"]["dev"]["resources"]["schemas"].values()
    (grant,) = schema["grants"]
    assert {"CREATE_MODEL", "EXECUTE"} <= set(grant["privileges"])


def test_who_applies_may_make_the_table_of_captured_traffic(bench: DatabricksBench):
    settings = _with_principals(bench, dev="trainers", prod="apply-prod")
    freight = settings.models["freight"]
    capture = freight.capture.model_copy(update={"enabled": True})
    models = {**settings.models, "freight": freight.model_copy(update={"capture": capture})}
    told = bundle.described(bench.root, settings.model_copy(update={"models": models}))
    makes = {
        (name, grant["principal"])
        for name, target in told["targets"].items()
        for schema in target.get("resources", {}).get("schemas", {}).values()
        for grant in schema["grants"]
        if "CREATE_TABLE" in grant["privileges"]
    }
    assert makes == {("prod", "apply-prod")}


def test_without_principals_the_schema_is_not_the_bundles(bench: DatabricksBench):
    told = bundle.described(bench.root, bench.settings)
    assert "schemas" not in told["resources"]
    assert all("resources" not in target for target in told["targets"].values())


@pytest.mark.parametrize("everybody", ["account users", "Account Users", "users"])
def test_nothing_is_granted_to_everybody(bench: DatabricksBench, everybody: str):
    with pytest.raises(InvalidInput, match=r"databricks\.environments\.prod\.principal"):
        bundle.described(bench.root, _with_principals(bench, prod=everybody))


def test_one_target_trains_and_another_serves(bench: DatabricksBench):
    azure = {"registry": "none"}
    settings = bench.settings.model_copy(update={"train_target": "databricks"})
    with pytest.raises(InvalidInput, match=r'azure.registry: must be "none" where databricks trains'):
        open_target("azure", bench.root, settings)
    settings = settings.model_copy(update={"azure": settings.azure.model_copy(update=azure)})
    mixed = open_target("azure", bench.root, settings)
    alone = open_azure(bench.root, settings)
    assert mixed.name == "azure" and type(mixed.endpoints) is type(alone.endpoints)
    assert type(mixed.jobs).__name__ == "DatabricksJobs" and type(mixed.data).__name__ == "DatabricksData"
    assert type(mixed.registry).__name__ == "DatabricksRegistry" and mixed.batch is None
    assert type(open_target("databricks", bench.root, settings).endpoints).__name__ == "DatabricksEndpoints"
