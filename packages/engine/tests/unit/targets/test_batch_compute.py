"""Jobs of a batch deployment run where the model's `batch.yml` does: one name, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.targets.azure.batch import COMPUTE, compute_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("settings: {default_compute: azureml:nodes}\n", "nodes"),
        ("settings: {default_compute: nodes}\n", "nodes"),
        ("settings: {default_compute: serverless}\n", "serverless"),
        ("settings: {}\n", COMPUTE),
        ("settings: none\n", COMPUTE),
        ("type: pipeline\n", COMPUTE),
        ("", COMPUTE),
    ],
)
def test_the_file_says_where(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "pipelines/prices/batch.yml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert compute_of(tmp_path, "prices") == expected


def test_a_model_without_the_file_has_the_default(tmp_path: Path) -> None:
    assert compute_of(tmp_path, "prices") == COMPUTE
