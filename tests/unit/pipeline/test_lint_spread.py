# ruff: noqa: E501 (a table of cases, one a line)
"""Spark and distributed steps: what Azure ML would refuse an hour later, or drop, is found with file and field."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_pipeline import SPARK_COMPONENT as COMPONENT
from tiny_pipeline import Project, on_spark

from mlops.pipeline import lint

SPARK_CASES = [
    # kind, file, old, new, field, message
    ("type of the job", "pipeline.yml", "type: spark", "type: command", "jobs.prep.type", "'components/prep_spark.yml' is a spark component"),
    ("type left out", "pipeline.yml", "    type: spark\n", "", "jobs.prep.type", "is 'command', but"),
    ("no resources", "pipeline.yml", '    resources: {instance_type: standard_e4s_v3, runtime_version: "3.5"}\n', "", "jobs.prep", "needs `resources` (serverless Spark) or `compute`"),
    ("both", "pipeline.yml", "    type: spark\n", "    type: spark\n    compute: azureml:pool\n", "jobs.prep", "one of them"),
    ("machine", "pipeline.yml", "standard_e4s_v3", "standard_ds3_v2", "jobs.prep.resources.instance_type", "must be one of standard_e4s_v3, standard_e8s_v3, standard_e16s_v3, standard_e32s_v3, standard_e64s_v3; got 'standard_ds3_v2'"),
    ("no machine", "pipeline.yml", "instance_type: standard_e4s_v3, ", "", "jobs.prep.resources.instance_type", "must be one of"),
    ("runtime", "pipeline.yml", '"3.5"', '"3.1"', "jobs.prep.resources.runtime_version", "must be one of 3.4, 3.5; got '3.1'"),
    ("number of machines", "pipeline.yml", "{instance_type: standard_e4s", "{instance_count: 3, instance_type: standard_e4s", "jobs.prep.resources.instance_count", "is not for Spark, whose executors `conf` counts"),
    ("variables", "pipeline.yml", "    type: spark\n", "    type: spark\n    environment_variables: {A: b}\n", "jobs.prep.environment_variables", "a job of type spark has no such field"),
    ("distribution", "pipeline.yml", "    type: spark\n", "    type: spark\n    distribution: {type: mpi}\n", "jobs.prep.distribution", "a job of type spark has no such field"),
    ("runtime of a command", "pipeline.yml", "resources: {instance_count: 1}", 'resources: {runtime_version: "3.5"}', "jobs.right.resources.runtime_version", "is for jobs of type spark"),
    ("input of the node", "pipeline.yml", "factor: ${{parent.inputs.factor}}", "facto: 2", "jobs.prep.inputs.facto", "did you mean 'factor'"),
    ("mode", COMPONENT, "raw: {type: uri_folder, mode: direct}", "raw: {type: uri_folder, mode: ro_mount}", "inputs.raw.mode", "must be direct, Spark opens addresses itself; got 'ro_mount'"),
    ("mode of an output", COMPONENT, "out: {type: uri_folder, mode: direct}", "out: {type: uri_folder}", "outputs.out", "must be direct"),
    ("script", COMPONENT, "steps.py", "step.py", "entry.file", "the script 'step.py' is not in '../src'"),
    ("entry class", COMPONENT, "entry: {file: steps.py}", "entry: {class_name: com.example.Prep}", "entry", "unknown field; allowed: file"),
    ("placeholder", COMPONENT, "${{inputs.factor}}", "${{inputs.factr}}", "args", "did you mean 'factor'"),
    ("unused output", COMPONENT, " --out ${{outputs.out}}", "", "outputs.out", "does not use this output"),
    ("missing size", COMPONENT, "  spark.executor.memory: 2g\n", "", "conf", "needs spark.executor.memory"),
    ("wrong size", COMPONENT, "spark.driver.memory: 2g", "spark.driver.memory: 2 GB", "conf.spark.driver.memory", "must be a size such as 28g; got '2 GB'"),
    ("no executors", COMPONENT, "spark.executor.instances: 2", "spark.executor.instances: 0", "conf.spark.executor.instances", "at least 1; got 0"),
    ("dynamic without limits", COMPONENT, "spark.executor.instances: 2", "spark.dynamicAllocation.enabled: true", "conf", "needs spark.dynamicAllocation.minExecutors"),
    ("limits upside down", COMPONENT, "spark.executor.instances: 2", "spark.dynamicAllocation.enabled: true\n  spark.dynamicAllocation.minExecutors: 4\n  spark.dynamicAllocation.maxExecutors: 2", "conf.spark.dynamicAllocation.minExecutors", "is more than spark.dynamicAllocation.maxExecutors (2)"),
    ("limits without dynamic", COMPONENT, "spark.executor.instances: 2", "spark.executor.instances: 2\n  spark.dynamicAllocation.maxExecutors: 2", "conf.spark.dynamicAllocation.maxExecutors", "counts only when"),
    ("foreign setting", COMPONENT, "spark.driver.cores", "driver.cores", "conf.driver.cores", "there is no setting of Spark 'driver.cores'"),
    ("resources in the component", COMPONENT, "code: ../src", "code: ../src\nresources: {instance_type: standard_e4s_v3}", "resources", "unknown field"),
    ("environment", "environment.yml", "train:3", "train:latest", "image", "moves; pin a tag"),
]  # fmt: skip
DISTRIBUTION_CASES = [
    # setting, field after `distribution.`, message
    ("{type: horovod}", "type", "Input should be 'pytorch', 'mpi', 'tensorflow' or 'ray'; got 'horovod'"),
    ("{type: pytorch, worker_count: 2}", "worker_count", "is for tensorflow; pytorch has process_count_per_instance"),
    ("{type: mpi, include_dashboard: true}", "include_dashboard", "is for ray; mpi has process_count_per_instance"),
    ("{type: tensorflow, process_count_per_instance: 2}", "process_count_per_instance", "is for pytorch and mpi; tensorflow has worker_count, parameter_server_count"),
    ("{type: ray, worker_count: 2}", "worker_count", "is for tensorflow; ray has port, address"),
    ("{type: pytorch, process_count_per_instance: 0}", "process_count_per_instance", "greater than or equal to 1; got 0"),
    ("{type: pytorch, process_count_per_instance: two}", "process_count_per_instance", "valid integer"),
    ("{type: pytorch, processes: 2}", "processes", "unknown field; allowed: "),
    ("{type: ray, port: 70000}", "port", "less than or equal to 65535; got 70000"),
]  # fmt: skip


@pytest.fixture
def spark(project: Project) -> Project:
    return on_spark(project)


def test_a_good_spark_step_has_no_problem(spark: Project) -> None:
    assert lint(spark.pipeline) == []
    assert lint(spark.root / COMPONENT) == []


@pytest.mark.parametrize("case", SPARK_CASES, ids=lambda c: c[0])
def test_a_wrong_edit_of_a_spark_step_is_found(spark: Project, case: tuple[str, ...]) -> None:
    _, file, old, new, field, message = case
    spark.edit(file, old, new)
    found = lint(spark.pipeline)
    assert [p for p in found if p.field.startswith(field) and message in p.message], [str(p) for p in found]


@pytest.mark.parametrize("place", ["component", "node"])
@pytest.mark.parametrize("case", DISTRIBUTION_CASES, ids=lambda c: c[0])
def test_a_wrong_distribution_is_found(project: Project, case: tuple[str, str, str], place: str) -> None:
    setting, field, message = case
    if place == "component":
        line = (
            project.edit("components/right.yml", "code: ../src", f"code: ../src\ndistribution: {setting}") + 1
        )
        file, loc = "right.yml", "distribution"
    else:
        line = project.edit(
            "pipeline.yml",
            "resources: {instance_count: 1}",
            f"distribution: {setting}\n    resources: {{instance_count: 1}}",
        )
        file, loc = "pipeline.yml", "jobs.right.distribution"
    (problem,) = lint(project.pipeline)
    assert (Path(problem.where.rpartition(":")[0]).name, problem.where.rpartition(":")[2]) == (
        file,
        str(line),
    )
    assert problem.field == f"{loc}.{field}"
    assert message in problem.message


@pytest.mark.parametrize(
    "setting",
    [
        "{type: PyTorch, process_count_per_instance: 4}",
        "{type: mpi, process_count_per_instance: 1}",
        "{type: tensorflow, worker_count: 2, parameter_server_count: 1}",
        "{type: ray, include_dashboard: true, dashboard_port: 8265, head_node_additional_args: --num-gpus=1}",
    ],
)
def test_a_good_distribution_has_no_problem(project: Project, setting: str) -> None:
    project.edit("components/right.yml", "code: ../src", f"code: ../src\ndistribution: {setting}")
    assert lint(project.root) == []
