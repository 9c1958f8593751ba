"""Files that our lint finds good must load in `azure-ai-ml`, and that must see what we see in them.

Otherwise the lint would describe a format of its own, and a laptop would accept what Azure ML refuses.
"""

from __future__ import annotations

import pytest
from tiny_pipeline import GOOD, write_project

from mlops.pipeline import lint, load_pipeline

pytestmark = pytest.mark.slow


def test_a_good_pipeline_loads_and_means_the_same(tmp_path, monkeypatch):
    from azure.ai.ml import load_job

    monkeypatch.chdir(tmp_path)
    write_project(tmp_path)
    path = tmp_path / "pipeline.yml"
    assert lint(path) == []
    job = load_job(path)
    assert job._validate().passed, job._validate().error_messages
    ours = load_pipeline(path)
    assert set(job.jobs) == set(ours.steps)
    for name, step in ours.steps.items():
        theirs = job.jobs[name].component
        assert theirs.command == step.component.command
        assert theirs.is_deterministic == step.component.is_deterministic
        assert {k: i.type for k, i in theirs.inputs.items()} == {
            k: p.type for k, p in step.component.inputs.items()
        }
        assert {k: o.type for k, o in theirs.outputs.items()} == {
            k: o.type for k, o in step.component.outputs.items()
        }


def test_good_files_of_the_other_kinds_load(tmp_path, monkeypatch):
    from azure.ai.ml import load_job, load_online_deployment, load_online_endpoint
    from azure.ai.ml.entities._load_functions import load_schedule

    monkeypatch.chdir(tmp_path)
    write_project(tmp_path)
    for name, text in GOOD.items():
        (tmp_path / name).write_text(text)
    assert load_job(tmp_path / "sweep.yml").limits.max_total_trials == 8
    assert load_schedule(tmp_path / "schedule.yml").trigger.expression == "0 3 * * mon-fri"
    assert load_schedule(tmp_path / "recurrence.yml").trigger.interval == 1
    assert "drift" in load_schedule(tmp_path / "monitor.yml").create_monitor.monitoring_signals
    assert load_online_endpoint(tmp_path / "endpoint.yml").traffic == {"blue": 90, "green": 10}
    assert load_online_deployment(tmp_path / "deployment.yml").instance_count == 1


def test_every_good_file_of_the_shelf_is_good_for_azure_ai_ml_too(tmp_path, monkeypatch):
    """What the lint finds good in any kind, `azure-ai-ml` takes: the two are asked together."""
    from azure_shelf import put_on_shelf

    from mlops.lint import Options, examine

    monkeypatch.chdir(tmp_path)
    put_on_shelf(tmp_path)
    verdict = examine([tmp_path], Options(house=(tmp_path,)))
    assert verdict.azure
    assert [str(f) for f in verdict.blocking] == []


def test_what_only_azure_ai_ml_refuses_is_told_with_its_place(tmp_path, monkeypatch):
    from azure_shelf import put_on_shelf

    from mlops.lint import examine

    monkeypatch.chdir(tmp_path)
    put_on_shelf(tmp_path)
    job = tmp_path / "spark.yml"
    job.write_text(job.read_text().replace("type: user_identity", "type: useridentity"))
    (found,) = examine([job]).blocking
    assert (found.id, found.field) == ("refused", "identity.type")
    assert job.read_text().splitlines()[found.line - 1].startswith("identity:")
    assert "user_identity" in found.message


def test_the_shapes_are_those_of_the_azure_ai_ml_that_is_installed():
    from mlops.lint.derive import TARGET, derive, text

    assert TARGET.read_text(encoding="utf-8") == text(derive()), "python -m mlops.lint.derive"
