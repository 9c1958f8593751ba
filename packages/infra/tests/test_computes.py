"""A job runs on a cluster that is there: files of the pipelines and stack files name the same ones.

Seen before: every pipeline of the template ran on `cpu-cluster`, and no stack made one of that name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from graphs import CLUSTERS, ENVIRONMENTS, ROOT, TRAINS, plan
from mlops.infra.computes import absent, named
from mlops.infra.plan.api import WITHOUT_COMPUTE, _without_compute
from mlops.spec.settings import load_settings

JOB: dict[str, Any] = {"type": "pipeline", "settings": {"default_compute": "azureml:small"}, "jobs": {}}


def _write(root: Path, name: str, value: Any) -> None:
    path = root / "pipelines/prices" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(value, sort_keys=False))


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_every_pipeline_of_this_repository_has_its_cluster(stack: str) -> None:
    assert _without_compute(ROOT, plan(stack)) == []


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("training.yml", JOB, [("small", 3, False)]),
        ("batch.yml", JOB, [("small", 3, True)]),
        ("sweep.yml", {"type": "sweep", "compute": "azureml:big"}, [("big", 2, False)]),
        ("a.yml", {"jobs": {"fit": {"compute": "azureml:big"}, "test": {}}}, [("big", 3, False)]),
        ("b.yml", {"create_job": {"type": "command", "compute": "azureml:big"}}, [("big", 3, False)]),
        ("c.yml", {**JOB, "settings": {"default_compute": "azureml:serverless"}}, []),
        ("d.yml", {"compute": {"instance_type": "standard_e4s_v3"}}, []),
        ("e.yml", {"compute": "azureml:/subscriptions/x/computes/y"}, []),
        ("f.yml", {"jobs": {"fit": {"inputs": {"compute": "azureml:data"}}}}, []),
        ("g.yml", ["a list"], []),
    ],
)
def test_what_a_file_runs_on_is_found_with_its_line(
    tmp_path: Path, name: str, value: Any, found: list[Any]
) -> None:
    _write(tmp_path, name, value)
    assert [(n.compute, n.line, n.everywhere) for n in named(tmp_path)] == found
    assert all(n.file == f"pipelines/prices/{name}" and n.model == "prices" for n in named(tmp_path))


def test_azure_asks_without_regard_to_case(tmp_path: Path) -> None:
    _write(tmp_path, "training.yml", JOB)
    assert absent(named(tmp_path), ["Small"]) == []
    assert [n.compute for n in absent(named(tmp_path), ["smaller"])] == ["small"]


def test_a_stack_without_the_cluster_is_a_violation() -> None:
    """All files where training is, elsewhere only what is deployed behind a batch endpoint."""
    other = {"mine": CLUSTERS["cpu-cluster"]}
    files = {n.file for n in named(ROOT) if n.model in load_settings(ROOT).models}
    found = _without_compute(ROOT, plan(TRAINS, clusters=other))
    assert {f.message.split(":")[0] for f in found} == files
    assert {f.check for f in found} == {WITHOUT_COMPUTE}
    assert all("(mine)" in f.message and "add it to mlops:clusters" in f.message for f in found)
    elsewhere = _without_compute(ROOT, plan("prod", clusters=other, image_builds=None))
    assert {f.message.split(":")[0] for f in elsewhere} == {f for f in files if f.endswith("/batch.yml")}
