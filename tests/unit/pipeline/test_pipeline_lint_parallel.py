# ruff: noqa: E501 (a table of cases, one a line)
"""Each wrong edit of the repository's own batch job is found with its field; Azure ML would fail after an upload."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from mlops.pipeline import lint

ROOT = Path(__file__).parents[3]

CASES = [
    # kind, old, new, field, message
    ("unknown input of the pipeline", "parent.inputs.data", "parent.inputs.dat", "jobs.score.inputs.data", "no input of the pipeline 'dat'"),
    ("unknown output of the pipeline", "parent.outputs.predictions", "parent.outputs.prediction", "jobs.score.outputs.predictions", "no output of the pipeline 'prediction'"),
    ("malformed binding", "${{parent.inputs.digest}}", "${{inputs.digest}}", "jobs.score.inputs.digest", "not understood; allowed"),
    ("undeclared input", "--model ${{inputs.model}}", "--model ${{inputs.mdel}}", "jobs.score.task.program_arguments", "no declared input 'mdel'"),
    ("undeclared output", "append_row_to: ${{outputs.scored}}", "append_row_to: ${{outputs.rows}}", "jobs.score.task.append_row_to", "no declared output 'rows'"),
    ("unreadable expression", "${{outputs.predictions}}\n", "${{output.predictions}}\n", "jobs.score.task.program_arguments", "cannot be read"),
    ("input_data is text", "input_data: ${{inputs.data}}", "input_data: data", "jobs.score.input_data", "must be one input"),
    ("unused input", "      digest: ${{parent.inputs.digest}}\n", "      digest: none\n", "inputs.digest", "no job uses this input"),
    ("code folder", "code: ../../src", "code: ../../sources", "jobs.score.task.code", "'../../sources' does not exist"),
    ("entry script", "batch_azure.py", "batch_azur.py", "jobs.score.task.entry_script", "is not in '../../src'"),
    ("no entry functions", "serving/batch_azure.py", "errors.py", "jobs.score.task.entry_script", "has no function init and no run"),
    ("environment", "file:environment/batch.yml", "file:environment/batches.yml", "jobs.score.task.environment", "does not exist"),
    ("unpinned environment", "file:environment/batch.yml", "azureml:batch@latest", "jobs.score.task.environment", "names no version"),
    ("hidden failures", "mini_batch_error_threshold: 0", "mini_batch_error_threshold: -1", "jobs.score.mini_batch_error_threshold", "-1 hides"),
    ("size", 'mini_batch_size: "1"', 'mini_batch_size: "many"', "jobs.score.mini_batch_size", "got 'many'"),
    ("no workers", "max_concurrency_per_instance: 4", "max_concurrency_per_instance: 0", "jobs.score.max_concurrency_per_instance", "greater than or equal to 1"),
    ("unknown key", "logging_level: INFO", "loging_level: INFO", "jobs.score.loging_level", "did you mean 'logging_level'"),
    ("no compute", "  default_compute: azureml:cpu-cluster\n", "  force_rerun: false\n", "jobs.score", "has no compute"),
    ("mixed with commands", "    type: parallel", "    type: parallel\n  other: {type: command, command: ls}\n  score2:\n    type: parallel", "jobs.score.type", "'parallel' are not read here"),
]  # fmt: skip


@pytest.fixture
def job(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "pipelines" / "flights", tmp_path / "pipelines" / "flights")
    for name in ("errors.py", "serving/batch_azure.py"):
        (tmp_path / "src" / "mlops" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "src" / "mlops" / name, tmp_path / "src" / "mlops" / name)
    return tmp_path / "pipelines" / "flights" / "batch.yml"


def test_the_batch_job_has_no_problem(job: Path) -> None:
    assert lint(job) == []


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0])
def test_a_wrong_edit_is_found(job: Path, case: tuple[str, str, str, str, str]) -> None:
    kind, old, new, field, message = case
    text = job.read_text()
    assert text.count(old) >= 1, kind
    job.write_text(text.replace(old, new, 1))
    found = lint(job)
    hits = [p for p in found if p.field.startswith(field) and re.search(message, p.message)]
    assert hits, f"{kind}: not found among {[str(p) for p in found]}"
