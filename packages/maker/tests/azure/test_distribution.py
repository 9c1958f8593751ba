"""Distributed training by settings of the component: they reach Azure ML as the file has them.
A setting that is lost on the way is a cluster of one machine, at the price of eight."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops.errors import InvalidInput
from mlops.spec.settings import load_settings
from mlops.targets.azure import open_azure
from mlops.targets.base import Target
from tests.azure import tiny
from tests.azure.emulator import Emulator

CASES = {
    "pytorch": (
        {"type": "pytorch", "process_count_per_instance": 4},
        {"instance_count": 2, "shm_size": "16g"},
    ),
    "mpi": ({"type": "mpi", "process_count_per_instance": 2}, {"instance_count": 3}),
    "tensorflow": (
        {"type": "tensorflow", "worker_count": 2, "parameter_server_count": 1},
        {"instance_count": 3},
    ),
    "ray": ({"type": "ray", "include_dashboard": True, "port": 6379}, {"instance_count": 2}),
}


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    return tiny.make(tmp_path / "repository")


@pytest.fixture
def target(pipeline: Path, tracked: Emulator) -> Target:
    root = pipeline.parents[2]
    made = open_azure(root, load_settings(root))
    made.data.push("tiny")
    return made


def flow(value: dict[str, Any]) -> str:
    """As one line of YAML."""
    return (
        "{"
        + ", ".join(f"{k}: {str(v).lower() if isinstance(v, bool) else v}" for k, v in value.items())
        + "}"
    )


def in_component(pipeline: Path, distribution: dict[str, Any], resources: dict[str, Any]) -> None:
    file = pipeline.parent / "make.yml"
    extra = f"distribution: {flow(distribution)}\nresources: {flow(resources)}\n"
    file.write_text(file.read_text() + extra)


def in_job(pipeline: Path, distribution: dict[str, Any], resources: dict[str, Any]) -> None:
    extra = f"    distribution: {flow(distribution)}\n    resources: {flow(resources)}\n"
    pipeline.write_text(
        pipeline.read_text().replace("    component: make.yml\n", f"    component: make.yml\n{extra}")
    )


def snake(sent: dict[str, Any]) -> dict[str, Any]:
    """In the words of the file, without what the client fills in. A job's Ray is sent in camel case."""
    told = {re.sub("([A-Z])", r"_\1", k).lower(): v for k, v in sent.items() if v not in (None, {}, 0)}
    return {"type" if k == "distribution_type" else k: v for k, v in told.items()}


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("pytorch", in_component),
        ("pytorch", in_job),
        ("mpi", in_component),
        ("tensorflow", in_job),
        ("ray", in_job),
    ],
)
def test_the_settings_are_in_the_request(
    target: Target, pipeline: Path, tracked: Emulator, kind: str, place: Callable[..., None]
) -> None:
    distribution, resources = CASES[kind]
    place(pipeline, distribution, resources)
    tracked.jobs.hold()
    target.jobs.submit(pipeline, {}, {})

    arm = [e.request for e in tracked.exchanges if "/Microsoft.MachineLearningServices/" in e.request.path]
    bodies = [request.json for request in arm if request.method == "PUT"]
    jobs = [b["properties"]["jobs"]["make"] for b in bodies if "jobs" in b.get("properties", {})]
    specs = [
        b["properties"]["componentSpec"]
        for b in bodies
        if b.get("properties", {}).get("componentSpec", {}).get("inputs", {}).keys()
        == {"raw", "word", "count"}
    ]
    (sent,) = jobs if place is in_job else specs
    told = snake(sent["distribution"])
    assert str(told.pop("type")).lower() == kind
    assert told == {k: v for k, v in distribution.items() if k != "type"}
    assert resources.items() <= sent["resources"].items()


def test_a_setting_of_another_type_is_refused_before_anything_is_sent(
    target: Target, pipeline: Path, tracked: Emulator
) -> None:
    in_component(pipeline, {"type": "pytorch", "worker_count": 2}, {"instance_count": 2})
    before = len(tracked.exchanges)
    with pytest.raises(
        InvalidInput, match=r"distribution\.worker_count: is for another type of distribution"
    ):
        target.jobs.submit(pipeline, {}, {})
    assert len(tracked.exchanges) == before
