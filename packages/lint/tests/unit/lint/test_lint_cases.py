"""Public forms that were once refused for no true reason, or passed: each has the verdict of Azure."""

from __future__ import annotations

from pathlib import Path

import pytest
from yaml_cases import CASES, write

from mlops.lint import Options, examine

EXPECTED: dict[str, list[str]] = {
    "01-null-output": [],
    "02-null-pipeline-output": [],
    "04-output-path-default-datastore": ["pipeline.yml:5 no-writer"],
    "05-inline-component": [],
    "06-pipeline-component": [],
    "07-job-from-pipeline-component": [],
    "09-spark-component-without-environment": [],
    "10-spark-node-in-place": [],
    "11-spark-job": [],
    "12-command-job-with-type": [],
    "14-deployment-without-endpoint-name": [],
    "15-batch-deployment-of-pipeline": [],
    "16-module-in-environment": [],
    "17-cd-then-script": [],
    "18-monitor-without-signals": [],
    "22-sweep-node": [],
    "23-nested-pipeline": [],
    "24-registry-component": ["pipeline.yml:5 workspace-component"],
    "27-hyphen-port-name": ["pipeline.yml:5 bad-name"],
    "29-git-code": ["comp.yml:4 git-code"],
    "30-asset-latest-data": ["pipeline.yml:4 pin-asset", "pipeline.yml:8 pin-asset"],
    "46-crash-request-settings": ["d.yml:5 wrong-type"],
    "47-crash-create-monitor-list": ["m.yml:2 wrong-type", "m.yml:3 wrong-type"],
    "50-folder-of-unread-kinds": [
        "blue.yml:1 missing-field",
        "blue.yml:2 bad-name",
        "blue.yml:3 unknown-field",
        "data.yml:3 wrong-value",
        "data.yml:4 missing-file",
        "ep.yml:2 bad-name",
        "ep.yml:3 wrong-value",
        "job.yml:1 missing-field",
        "job.yml:1 no-environment",
        "job.yml:2 unknown-field",
        "job.yml:3 unknown-field",
    ],
    "51-sweep-no-compute": ["pipeline.yml:3 no-compute"],
}


def test_every_case_is_judged_or_run() -> None:
    assert {name for name in CASES if not name.startswith("run-")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_verdict_is_the_right_one(name: str, tmp_path: Path) -> None:
    folder = write(name, tmp_path)
    found = examine([folder], Options(house=(folder,), azure=False)).findings
    said = [f"{Path(f.file).name}:{f.line} {f.id}" for f in found if f.level != "note"]
    assert said == EXPECTED[name]
