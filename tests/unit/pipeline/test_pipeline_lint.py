# ruff: noqa: E501 (a table of cases, one a line)
"""For each kind of mistake a wrong edit of a good file, found with file, line and field.

Every case here loads without a word in `azure-ai-ml`, or only fails after the job was sent.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from tiny_pipeline import GOOD

from mlops.errors import InvalidInput
from mlops.pipeline import lint

PIPELINE_CASES = [
    # kind, file, old, new, field, message
    ("unknown job", "pipeline.yml", "jobs.left.outputs.out", "jobs.lefty.outputs.out", "jobs.join.inputs.one", "no job 'lefty'.*did you mean 'left'"),
    ("unknown output", "pipeline.yml", "jobs.left.outputs.out", "jobs.left.outputs.oot", "jobs.join.inputs.one", "no output of job 'left' 'oot'; there is: out"),
    ("unknown parent input", "pipeline.yml", "parent.inputs.factor", "parent.inputs.facter", "jobs.prep.inputs.factor", "no input of the pipeline 'facter'"),
    ("malformed binding", "pipeline.yml", "${{parent.inputs.factor}}", "${{inputs.factor}}", "jobs.prep.inputs.factor", "no binding of an input; allowed"),
    ("cycle", "pipeline.yml", "raw: ${{parent.inputs.raw}}", "raw: ${{parent.jobs.left.outputs.out}}", "jobs.", r"wait for one another: (prep -> left -> prep|left -> prep -> left)"),
    ("literal type", "pipeline.yml", "factor: ${{parent.inputs.factor}}", "factor: much", "jobs.prep.inputs.factor", "must be a number; got 'much'"),
    ("integer type", "pipeline.yml", "factor: ${{parent.inputs.factor}}", "factor: 1\n      seed: 1.5", "jobs.prep.inputs.seed", "whole number"),
    ("boolean for a number", "pipeline.yml", "factor: ${{parent.inputs.factor}}", "factor: true", "jobs.prep.inputs.factor", "must be a number; got True"),
    ("range", "pipeline.yml", "factor: 2.5", "factor: 10.5", "jobs.prep.inputs.factor", "must be at most 10; got 10.5"),
    ("lower bound", "pipeline.yml", "factor: ${{parent.inputs.factor}}", "factor: -1", "jobs.prep.inputs.factor", "must be at least 0; got -1"),
    ("enum", "pipeline.yml", "two: ${{parent.jobs.right.outputs.out}}", "two: ${{parent.jobs.right.outputs.out}}\n      mode: medium", "jobs.join.inputs.mode", "must be one of fast, slow; got 'medium'"),
    ("data type mismatch", "components/left.yml", "out: {type: uri_folder}", "out: {type: uri_file}", "jobs.join.inputs.one", "left.out is uri_file, but this input needs uri_folder"),
    ("pipeline data type mismatch", "pipeline.yml", "raw: {type: uri_folder", "raw: {type: uri_file", "jobs.prep.inputs.raw", "is uri_file, but this input needs uri_folder"),
    ("literal for data", "pipeline.yml", 'raw: {type: uri_folder, path: "azureml:raw:1"}', "raw: 3", "jobs.prep.inputs.raw", "is the literal 3, but this input needs uri_folder"),
    ("unknown node input", "pipeline.yml", "factor: ${{parent.inputs.factor}}", "factor: ${{parent.inputs.factor}}\n      sede: 1", "jobs.prep.inputs.sede", "no input of component prep 'sede'.*did you mean 'seed'"),
    ("missing required input", "pipeline.yml", "      factor: ${{parent.inputs.factor}}\n", "", "jobs.prep.inputs", "required input 'factor'"),
    ("unknown node key", "pipeline.yml", "resources: {instance_count: 1}", "resourcez: {instance_count: 1}", "jobs.right.resourcez", "unknown field; allowed: .*did you mean 'resources'"),
    ("unknown pipeline key", "pipeline.yml", "settings:", "setings:", "setings", "unknown field; .*did you mean 'settings'"),
    ("unknown settings key", "pipeline.yml", "default_compute", "default_computer", "settings.default_computer", "unknown field"),
    ("unknown resources key", "pipeline.yml", "instance_count: 1", "instances: 1", "jobs.right.resources.instances", "unknown field"),
    ("unknown component key", "components/prep.yml", 'version: "1"', 'version: "1"\ndeterministic: true', "deterministic", "unknown field"),
    ("component drops environment_variables", "components/prep.yml", 'version: "1"', 'version: "1"\nenvironment_variables: {A: b}', "environment_variables", "unknown field"),
    ("unknown environment key", "environment.yml", "image:", "imagee:", "imagee", "unknown field.*did you mean 'image'"),
    ("instance count 0", "pipeline.yml", "instance_count: 1", "instance_count: 0", "jobs.right.resources.instance_count", "greater than or equal to 1"),
    ("limits", "pipeline.yml", "resources: {instance_count: 1}", "limits: {timeout: 0}", "jobs.right.limits.timeout", "greater than or equal to 1"),
    ("job type", "pipeline.yml", "resources: {instance_count: 1}", "resources: {instance_count: 1}\n  again: {type: automl}", "jobs.again.type", "'automl' are not read here; allowed: command, spark"),
    ("missing component", "pipeline.yml", "components/left.yml", "components/lefft.yml", "jobs.left.component", "does not exist"),
    ("remote component", "pipeline.yml", "components/left.yml", "azureml:left:1", "jobs.left.component", "name a file"),
    ("missing script", "components/left.yml", "python steps.py", "python stepz.py", "command", "script 'stepz.py' is not in src"),
    ("missing module", "components/left.yml", "python steps.py", "python -m steps.left", "command", "module 'steps.left' is not in src"),
    ("missing code", "components/left.yml", "code: ../src", "code: ../source", "code", "folder '../source' does not exist"),
    ("undeclared input", "components/left.yml", "${{inputs.data}}", "${{inputs.dat}}", "command", "no declared input 'dat'"),
    ("undeclared output", "components/left.yml", "${{outputs.out}}", "${{outputs.oot}}", "command", "no declared output 'oot'"),
    ("unreadable expression", "components/left.yml", "${{inputs.data}}", "${{input.data}}", "command", "cannot be read; allowed"),
    ("unused input", "components/left.yml", "--source ${{inputs.data}} ", "", "inputs.data", "does not use this input"),
    ("unused output", "components/left.yml", " --out ${{outputs.out}}", "", "outputs.out", "does not use this output"),
    ("brackets on required", "components/left.yml", "--source ${{inputs.data}}", "$[[--source ${{inputs.data}}]]", "command", "which is not optional"),
    ("optional without brackets", "components/prep.yml", "$[[--seed ${{inputs.seed}}]]", "--seed ${{inputs.seed}}", "command", r"is optional: put its part"),
    ("image without tag", "environment.yml", "/train:3", "/train", "image", "has no tag"),
    ("image latest", "environment.yml", "/train:3", "/train:latest", "image", "moves; pin"),
    ("environment without version", "environment.yml", 'version: "1"\n', "", "", "has no `version`"),
    ("conda file", "environment.yml", "image:", "conda_file: conda.yml\nimage:", "conda_file", "does not exist"),
    ("environment reference", "components/left.yml", "file:../environment.yml", "azureml:train@latest", "environment", "names no version"),
    ("environment file", "components/left.yml", "file:../environment.yml", "file:../env.yml", "environment", "does not exist"),
    ("data asset without version", "pipeline.yml", "azureml:raw:1", "azureml:raw@latest", "inputs.raw.path", "names no version"),
    ("missing data path", "pipeline.yml", "azureml:raw:1", "./nowhere", "inputs.raw.path", "'./nowhere' does not exist"),
    ("unused pipeline input", "pipeline.yml", "factor: ${{parent.inputs.factor}}", "factor: 1", "inputs.factor", "no job uses this input"),
    ("unwritten pipeline output", "pipeline.yml", "    outputs:\n      file: ${{parent.outputs.result}}\n", "", "outputs.result", "no job writes this output"),
    ("unknown pipeline output", "pipeline.yml", "parent.outputs.result", "parent.outputs.reslt", "jobs.join.outputs.file", "no output of the pipeline 'reslt'"),
    ("unknown node output", "pipeline.yml", "file: ${{parent", "flie: ${{parent", "jobs.join.outputs.flie", "no output of component join 'flie'"),
    ("output type", "pipeline.yml", "result: {type: uri_file}", "result: {type: uri_folder}", "jobs.join.outputs.file", "is uri_file, but the pipeline's output"),
    ("duplicate key", "pipeline.yml", "name: tiny\n", "name: tiny\nname: tiny2\n", "", "given twice"),
    ("broken YAML", "pipeline.yml", "name: tiny\n", "name: [tiny\n", "", "not valid YAML"),
]  # fmt: skip


def test_a_good_pipeline_has_no_problem(project):
    assert lint(project.pipeline) == []
    assert lint(project.root) == []


@pytest.mark.parametrize("case", PIPELINE_CASES, ids=lambda c: c[0])
def test_a_wrong_edit_is_found(project, case):
    kind, file, old, new, field, message = case
    project.edit(file, old, new)
    found = lint(project.pipeline)

    hits = [p for p in found if re.search(message, p.message, re.DOTALL)]
    assert hits, f"{kind}: not found among {[str(p) for p in found]}"
    assert any(p.field.startswith(field) for p in hits), [str(p) for p in hits]
    for problem in hits:
        name, line = problem.where.rsplit(":", 1)
        text = Path(name).read_text().splitlines()
        last = problem.field.rsplit(".", 1)[-1]
        if last and not last.isdecimal():
            assert last in text[int(line) - 1], f"{problem} points at {text[int(line) - 1]!r}"


def test_the_line_is_that_of_the_mistake(project):
    line = project.edit("pipeline.yml", "jobs.left.outputs.out", "jobs.lefty.outputs.out")
    assert [p.where for p in lint(project.pipeline)] == [f"pipeline.yml:{line}"]


SWEEP = "https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json"
OTHER_CASES = [
    ("schedule.yml", "0 3 * *", "0 25 * *", "trigger.expression", "hour '25' is wrong"),
    ("schedule.yml", "0 3 * * mon-fri", "0 3 * *", "trigger.expression", "five fields"),
    ("schedule.yml", "0 3 * *", "0/0 3 * *", "trigger.expression", "minute '0/0' is wrong"),
    ("schedule.yml", "mon-fri", "fri-mon", "trigger.expression", "day of week"),
    ("schedule.yml", "0 3 * *", "0 3 1 *", "trigger.expression", "ignores day of month"),
    ("schedule.yml", "UTC", "Mars/Base", "trigger.time_zone", "no time zone"),
    ("schedule.yml", "type: cron", "type: corn", "trigger.type", "'cron' or 'recurrence'"),
    ("schedule.yml", "./pipeline.yml", "./pipelin.yml", "create_job", "does not exist"),
    ("schedule.yml", "  time_zone: UTC", "  timezone: UTC", "trigger.timezone", "unknown field"),
    ("schedule.yml", "  time_zone: UTC", "  start_time: 2026-02-01\n  end_time: 2026-01-01", "trigger.end_time", "later than start"),
    ("recurrence.yml", "interval: 1", "interval: 0", "trigger.interval", "greater than or equal to 1"),
    ("recurrence.yml", "interval: 1", "interval: 99", "trigger.interval", "more than a year"),
    ("recurrence.yml", "[3]", "[24]", "trigger.schedule.hours", "less than or equal to 23"),
    ("recurrence.yml", "minutes: 15", "minutes: 60", "trigger.schedule.minutes", "less than or equal to 59"),
    ("recurrence.yml", "[monday]", "[mondy]", "trigger.schedule.week_days", "'mondy' is no day"),
    ("recurrence.yml", "week_days: [monday]", "month_days: [32]", "trigger.schedule.month_days", "1 to 31"),
    ("recurrence.yml", "frequency: week", "frequency: hour", "trigger.schedule", "needs frequency day"),
    ("sweep.yml", "max_concurrent_trials: 2", "max_concurrent_trials: 9", "limits.max_concurrent_trials", "more than max_total_trials"),
    ("sweep.yml", "max_total_trials: 8", "max_total_trials: 0", "limits.max_total_trials", "greater than or equal to 1"),
    ("sweep.yml", "timeout: 3600", "timeout: 60, trial_timeout: 90", "limits.trial_timeout", "longer than"),
    ("sweep.yml", "type: loguniform", "type: logunifrom", "search_space.rate.type", "did you mean 'loguniform'"),
    ("sweep.yml", "max_value: 0", "max_value: -5", "search_space.rate.min_value", "less than max_value"),
    ("sweep.yml", "max_value: 0", "max_value: high", "search_space.rate.max_value", "must be a number"),
    ("sweep.yml", ", max_value: 0", "", "search_space.rate", "needs `max_value`"),
    ("sweep.yml", "values: [2, 3]", "values: []", "search_space.depth.values", "at least one"),
    ("sweep.yml", "sampling_algorithm: random", "sampling_algorithm: grid", "search_space.rate.type", "knows only choice"),
    ("sweep.yml", "sampling_algorithm: random", "sampling_algorithm: bayesian", "search_space.rate.type", "bayesian sampling knows"),
    ("sweep.yml", "goal: maximize", "goal: maximise", "objective.goal", "maximize"),
    ("sweep.yml", "type: bandit, slack_factor: 0.1", "type: bandit", "early_termination", "needs `slack_factor`"),
    ("sweep.yml", "${{search_space.rate}}", "1", "search_space.rate", "does not use it"),
    ("sweep.yml", "${{search_space.rate}}", "${{search_space.rat}}", "trial.command", "'rat'"),
    ("sweep.yml", "python steps.py", "python stepz.py", "trial.command", "not in the code"),
    ("sweep.yml", "code: ./src", "code: ./sources", "trial.code", "does not exist"),
    ("sweep.yml", "file:./environment.yml", "azureml:train", "trial.environment", "names no version"),
    ("endpoint.yml", "blue: 90", "blue: 80", "traffic", "sums to 90"),
    ("endpoint.yml", "blue: 90", "blue: 90.5", "traffic.blue", "whole percent"),
    ("endpoint.yml", "grey: 20", "grey: 60", "mirror_traffic", "at most 50"),
    ("endpoint.yml", "grey: 20", "green: 20", "mirror_traffic.green", "live or mirrored"),
    ("endpoint.yml", "auth_mode", "auth_mod", "auth_mod", "did you mean 'auth_mode'"),
    ("endpoint.yml", "freight-prod", "f", "name", "3 to 32"),
    ("deployment.yml", "instance_count: 1", "instance_count: 0", "instance_count", "from 1 to 50"),
    ("deployment.yml", "5000", "500000", "request_settings.request_timeout_ms", "from 1 to 180000"),
    ("deployment.yml", "azureml:freight:1", "./model", "model", "does not exist"),
    ("deployment.yml", "azureml:freight:1", "azureml:freight@latest", "model", "names no version"),
    ("deployment.yml", "steps.py", "score.py", "code_configuration.scoring_script", "is not in"),
    ("deployment.yml", "azureml:serve:2", "azureml:serve", "environment", "names no version"),
    ("monitor.yml", "data_drift", "data_drif", "create_monitor.monitoring_signals.drift.type", "must be one of"),
    ("monitor.yml", "0.01", "-1", "create_monitor.monitoring_signals.drift.metric_thresholds", "0 or more"),
    ("monitor.yml", "      metric_thresholds: {numerical: {jensen_shannon_distance: 0.01}}\n", "", "create_monitor.monitoring_signals.drift", "never raise"),
    ("monitor.yml", "interval: 1", "interval: 0", "trigger.interval", "greater than or equal to 1"),
    ("monitor.yml", "  compute:", "  computes:", "create_monitor.computes", "did you mean 'compute'"),
]  # fmt: skip


@pytest.fixture
def others(project):
    for name, text in GOOD.items():
        (project.root / name).write_text(text)
    return project


@pytest.mark.parametrize("name", GOOD)
def test_good_files_of_other_kinds_have_no_problem(others, name):
    assert [str(p) for p in lint(others.root / name)] == []


@pytest.mark.parametrize("case", OTHER_CASES, ids=lambda c: f"{c[0]}: {c[3]}: {c[2][:24]}")
def test_a_wrong_edit_of_another_kind_is_found(others, case):

    file, old, new, field, message = case
    others.edit(file, old, new)
    found = lint(others.root / file)
    hits = [p for p in found if p.field.startswith(field) and re.search(message, p.message)]
    assert hits, [str(p) for p in found]
    assert all(re.fullmatch(rf".*{file}:\d+", p.where) for p in hits), hits


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("pipeline.yml", "type: pipeline", "type: pipelin", "type: .*'pipeline'; got 'pipelin'"),
        ("pipeline.yml", "type: pipeline", "typ: pipeline", "typ: unknown field.*did you mean 'type'"),
        ("sweep.yml", "type: sweep", f"$schema: {SWEEP}\ntype: sweeep", "type: .*'sweep'; got 'sweeep'"),
        ("components/left.yml", "type: command", "type: comand", "type: .*'command'.*got 'comand'"),
    ],
)
def test_a_file_of_a_folder_is_not_left_unread_because_its_type_is_misspelt(others, file, old, new, says):
    others.edit(file, old, new)
    found = [str(p) for p in lint(others.root)]
    assert any(p.startswith(f"{file}:") and re.search(says, p) for p in found), found


def test_a_folder_is_linted_whole_and_only_once(others):
    others.edit("endpoint.yml", "blue: 90", "blue: 80")
    others.edit("environment.yml", "/train:3", "/train")
    (others.root / "model.yaml").write_text("gates: []\n")
    assert [p.where for p in lint(others.root)].count("environment.yml:3") == 1
    assert {p.where.split(":")[0] for p in lint(others.root)} == {"endpoint.yml", "environment.yml"}


def test_nothing_to_lint_is_said(tmp_path):
    with pytest.raises(InvalidInput, match="does not exist"):
        lint(tmp_path / "none.yml")
    with pytest.raises(InvalidInput, match="no YAML file"):
        lint(tmp_path)
    (tmp_path / "x.yml").write_text("a: 1\n")
    assert "no kind of Azure ML YAML" in lint(tmp_path / "x.yml")[0].message


def test_lint_is_quick(project):
    started = time.perf_counter()
    lint(project.pipeline)
    assert time.perf_counter() - started < 1
