"""The runs of the real files notice a wrong edit: each here does the damage that `test_azure_runs` forbids.

Without these a run that is green for another reason would pass for one that proves something.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from azure_pipelines import Refused
from azure_world import World
from ci_model import TRAINING

TEMPLATES = "pipelines/azure-devops/templates"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.settings(MLOPS_STATE="kept", PULUMI_BACKEND_URL="azblob://state")
    return made


def test_without_the_head_of_main_an_old_commit_is_applied(world: World) -> None:
    world.edit(f"{TEMPLATES}/apply.yml", 'head: "true"', 'head: "false"')
    old = world.commit("environments/prod/freight.yaml", "release: 8")
    world.commit("environments/prod/freight.yaml", "release: 7")
    world.run("release", commit=old)
    assert ("mlops apply prod --all", old) in world.calls_and_commits


def test_without_its_status_a_stage_runs_in_a_cancelled_run(world: World) -> None:
    world.edit(f"{TEMPLATES}/apply.yml", "and(succeeded(), eq(", "and(true, eq(")
    world.commit("environments/freeze.yaml", "[]")
    assert world.run("release", cancelled_after="changed").stages["prod"] == "Succeeded"


def test_without_the_confirmation_a_typing_error_destroys(world: World) -> None:
    world.edit(f"{TEMPLATES}/destroy-stack.yml", "not(failed()), ", "")
    world.run("destroy", "Manual", parameters={"stack": "prod", "confirm": "prd"})
    assert "pulumi destroy --stack prod --yes --refresh" in world.calls


def test_a_stack_named_inside_another_is_why_the_name_is_quoted(world: World) -> None:
    world.answer("mlops infra expired", says='[{"stack": "prodlike"}]')
    assert world.run("destroy", "Schedule").stages["prod"] == "Skipped"
    world.edit(f"{TEMPLATES}/destroy-stack.yml", "'\"${{ parameters.stack }}\"'", "'${{ parameters.stack }}'")
    assert world.run("destroy", "Schedule").stages["prod"] == "Succeeded"


def test_a_condition_without_status_releases_a_blocked_model(world: World) -> None:
    world.edit(f"{TEMPLATES}/train.yml", "and(succeeded(), or(eq(", "and(true, or(eq(")
    world.answer("mlops gate", code=3)
    world.run(next(iter(TRAINING.values())))
    assert "mlops release --propose" in world.calls


@pytest.mark.parametrize(
    "edit",
    [
        ("apply.yml", "outputs['changed.changed", "outputs['changed.chanced", "release", "has no output"),
        ("apply.yml", "dependsOn: changed", "dependsOn: []", "release", "cannot ask for 'changed'"),
        (
            "apply.yml",
            "parameters.environment }}-promote",
            "parameters.environ }}",
            "release",
            "no parameter 'envir",
        ),
        ("verb.yml", "AzureCLI@2", "AzureCLI@3", "infra", "knows no task 'AzureCLI@3'"),
        ("verb.yml", "default: succeeded()", "default: suceeded()", "ci", "no function suceeded"),
        ("stack.yml", "lockBehavior", "lockBehaviour", "infra", "no key 'lockBehaviour' of a stage"),
    ],
)
def test_what_would_be_skipped_in_silence_is_refused(
    world: World, edit: tuple[str, str, str, str, str]
) -> None:
    file, right, wrong, pipeline, sentence = edit
    world.edit(f"{TEMPLATES}/{file}", right, wrong)
    with pytest.raises(Refused, match=rf"{file}:\d+: .*{sentence}"):
        world.run(pipeline, "Manual")
