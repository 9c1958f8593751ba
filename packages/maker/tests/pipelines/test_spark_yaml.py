"""docs/scaling.md says which lines send the step prep to Spark: they must work as they stand there, here and
on Azure."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from mlops.pipeline import lint, load_pipeline
from mlops.pipeline.spark import INSTANCE_TYPES

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "scaling.md"
HERE = "  prep:\n    type: command\n    component: components/prep.yml\n"

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The training pipeline with the lines of the page in place of its own."""
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path / "azure"))
    folder = tmp_path / "pipelines" / "flights"
    shutil.copytree(ROOT / "pipelines" / "flights", folder)
    for taken in ("src", ".mlops"):
        (tmp_path / taken).symlink_to(ROOT / taken)
    block = re.search(r"^```yaml\n(  prep:\n.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert block, f"{PAGE.name} does not show the job prep"
    path = folder / "training.yml"
    text = path.read_text()
    assert text.count(HERE) == 1
    path.write_text(text.replace(HERE, block[1]))
    return path


def test_the_lines_of_the_page_are_good_and_choose_spark(variant: Path) -> None:
    assert lint(variant) == []
    before, after = load_pipeline(ROOT / "pipelines/flights/training.yml"), load_pipeline(variant)
    assert set(before.steps) == set(after.steps)
    assert after.steps["prep"].part.kind == "spark"
    assert after.steps["prep"].component.command.startswith(
        "python on_spark.py mlops.steps.prep --engine spark "
    )
    for name, step in before.steps.items():
        other = after.steps[name].component
        # Spark splits by time only; the component has no input that the step would refuse.
        alike = step.component.inputs.keys() - ({"split"} if name == "prep" else set())
        assert alike == other.inputs.keys(), f"{name} takes other inputs"
        assert step.component.outputs.keys() == other.outputs.keys(), f"{name} writes other outputs"


def test_azure_mls_own_client_sends_them_unchanged(variant: Path) -> None:
    from azure.ai.ml import load_job

    job = load_job(variant)
    result = job._validate()
    assert result.passed, result.error_messages
    sent = job._to_rest_object().properties.jobs["prep"]
    component = yaml.safe_load((ROOT / "pipelines/flights/components/prep_spark.yml").read_text())
    assert sent["type"] == "spark"
    assert sent["resources"] == {"instance_type": "standard_e8s_v3", "runtime_version": "3.5"}
    assert sent["entry"]["file"] == "on_spark.py"
    assert component["conf"].items() <= sent["conf"].items()
    assert sent["args"] == component["args"]


def test_a_wrong_edit_is_refused_by_us_where_azure_mls_client_is_silent(variant: Path) -> None:
    from azure.ai.ml import load_job

    component = variant.parent / "components" / "prep_spark.yml"
    good = component.read_text()
    component.write_text(good.replace("spark.executor.memory: 28g", "spark.executor.memory: plenty"))
    assert load_job(variant)._validate().passed
    (problem,) = lint(variant)
    assert (problem.field, problem.message) == (
        "conf.spark.executor.memory",
        "must be a size such as 28g; got 'plenty'",
    )


def test_machines_are_those_that_azure_mls_client_knows() -> None:
    from azure.ai.ml.entities import SparkResourceConfiguration

    assert tuple(SparkResourceConfiguration.instance_type_list) == INSTANCE_TYPES


def test_versions_of_spark_agree() -> None:
    """The test of both engines runs the minor version that the page and the job name."""
    wanted = re.search(
        r"pyspark==(\d+\.\d+)\.", (Path(__file__).with_name("spark-requirements.in")).read_text()
    )
    assert wanted
    assert f'runtime_version: "{wanted[1]}"' in PAGE.read_text()
