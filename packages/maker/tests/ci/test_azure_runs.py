"""The real Azure Pipelines files do what they say: run by the interpreter on a small real repository.

The tools are stand-ins that write down their calls: what is tested is the YAML and the scripts behind it.
A file that passes its schema can still skip a stage that matters, apply an old commit, or go on after a
failure.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from azure_pipelines import triggers
from azure_world import World, file_of
from ci_model import MODELS, NAMES, TRAINING

MODEL, PACKAGE = next(iter(MODELS.items()))
TRAIN = TRAINING[MODEL]
MONITOR = ["mlops monitor --env prod", "mlops retrain --env prod --all", "mlops board --out site/board"]
GATE, RELEASE = "mlops gate --markdown gate.md", "mlops release --propose"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    ("changed", "started"),
    [
        (f"src/{PACKAGE}/model.py", ["ci", TRAIN]),
        (f"pipelines/{MODEL}/training.yml", ["ci", TRAIN]),
        ("mlops.toml", ["ci", *TRAINING.values(), "infra"]),
        ("packages/runtime/src/mlops/steps/train.py", ["ci"]),
        ("environments/prod/flights.yaml", ["ci", "release"]),
        ("releases/flights/7.yaml", ["ci", "release"]),
        ("environments/Pulumi.prod.yaml", ["ci", "infra"]),
        ("infra/environment.py", ["ci", "infra"]),
        ("docs/ci.md", ["ci"]),
        ("packages/engine/src/mlops/lifecycle/apply/environment.py", ["ci"]),
    ],
)
def test_a_push_starts_what_it_concerns(world: World, changed: str, started: list[str]) -> None:
    assert world.started_by(changed) == started


def test_what_else_starts_a_pipeline(world: World) -> None:
    """Pull requests, the clock and events."""
    root, file = world.root, file_of
    pulled = [n for n in NAMES if triggers.by_pull_request(root, file(n), "main", ["infra/environment.py"])]
    assert pulled == ["ci", "infra"]
    assert [n for n in NAMES if triggers.by_schedule(root, file(n))] == ["monitor", "destroy"]
    for event, model, names in (
        ("mlops.model.registered", MODEL, [TRAIN]),
        ("mlops.model.registered", "another", []),
        ("mlops.drift.detected", MODEL, ["monitor"]),
    ):
        told = {"type": event, "data": {"model": model}}
        assert [n for n in NAMES if triggers.by_event(root, file(n), told)] == names


def test_a_change_of_the_model_trains_and_judges(world: World) -> None:
    """Without kept state nothing is released: the model is gone with the agent."""
    commit = world.commit(f"src/{PACKAGE}/model.py", "more trees")
    result = world.run(TRAIN)
    assert result.stages == {"submit": "Skipped", "train": "Succeeded"}
    assert world.calls == ["mlops train", GATE]
    assert {c for _, c in world.calls_and_commits} == {commit}
    assert result.deployments == ["dev-train"]
    assert result.log.connections == [], "the local target needs no credential"


def test_a_model_that_passed_is_proposed_where_the_state_is_kept(world: World) -> None:
    world.settings(MLOPS_STATE="kept")
    world.run(TRAIN)
    assert world.calls == ["mlops train", GATE, RELEASE]


def test_a_blocked_model_is_not_proposed_and_the_summary_says_why(world: World) -> None:
    world.settings(MLOPS_STATE="kept")
    world.answer("mlops gate", code=3, says="roc_auc 0.61 is below 0.65")
    result = world.run(TRAIN)
    assert result.stages["train"] == "Failed"
    assert world.calls == ["mlops train", GATE]
    (summary,) = result.log.summaries
    commit = world.git("rev-parse", "HEAD")
    for line in (
        "### Failed: `mlops gate --markdown gate.md`",
        "Exit code 3: blocked: a gate, a policy or an analysis said no.",
        "roc_auc 0.61 is below 0.65",
        f"git fetch origin {commit} && git checkout {commit}",
        "make setup && source .venv/bin/activate",
        "export MLOPS_TARGET=local",
        f"export MLOPS_MODEL={MODEL}",
        "mlops gate --markdown gate.md",
    ):
        assert f"\n{line}\n" in f"\n{summary}", line
    blocked = "blocked: a gate, a policy or an analysis said no"
    assert result.log.issues == [f"error: mlops gate failed, exit code 3: {blocked}"]


def test_months_that_a_person_types_reach_the_verb_as_one_word(world: World) -> None:
    typed = '2013-01"; touch pwned; $(touch pwned) `touch pwned` '
    world.run(TRAIN, "Manual", parameters={"window": typed, "stack": "staging"})
    assert world.calls[0] == f"mlops train --window {typed.strip()}"
    assert not (world.work / "s" / "pwned").exists()


def test_an_environment_that_does_not_exist_is_refused_before_anything_runs(world: World) -> None:
    from azure_pipelines import Refused

    with pytest.raises(Refused, match=r"'stack' must be one of dev, staging, prod; got 'moon'"):
        world.run(TRAIN, "Manual", parameters={"stack": "moon"})
    assert world.calls == []


def test_a_long_job_is_submitted_and_waited_for_with_fresh_logins(world: World) -> None:
    world.settings(MLOPS_TARGET="azure")
    world.answer("mlops train --detach", says="flights-20260102-030405-6f7a")
    result = world.run(TRAIN)
    assert result.stages == {"submit": "Succeeded", "train": "Succeeded"}
    wait = "mlops train --resume flights-20260102-030405-6f7a"
    assert world.calls == ["mlops train --detach", *[f"{wait} --for 50m"] * 3, wait, GATE, RELEASE]
    assert result.log.connections == ["dev-train"] * 7, "every step logs in anew"


def test_a_job_that_failed_ends_the_waiting(world: World) -> None:
    world.settings(MLOPS_TARGET="azure")
    world.answer("mlops train --detach", says="flights-1")
    world.answer("mlops train --resume", code=8, says="step 'train' failed")
    result = world.run(TRAIN)
    assert result.stages["train"] == "Failed"
    assert world.calls == ["mlops train --detach", "mlops train --resume flights-1 --for 50m"]
    assert "Exit code 8: a pipeline step failed" in result.log.summaries[0]


def test_what_cannot_be_submitted_is_not_waited_for(world: World) -> None:
    world.settings(MLOPS_TARGET="azure")
    world.answer("mlops train --detach", code=6, says="the workspace is unreachable")
    result = world.run(TRAIN)
    assert result.stages == {"submit": "Failed", "train": "Skipped"}


def test_a_registered_model_goes_through_the_gates_without_training(world: World) -> None:
    world.settings(MLOPS_STATE="kept")
    event = {"type": "mlops.model.registered", "data": {"model": MODEL, "version": "7"}}
    result = world.run(TRAIN, "ResourceTrigger", payload=event)
    assert result.outcome == "Succeeded"
    assert world.calls == ["mlops gate 7 --markdown gate.md", "mlops release 7 --propose"]


def test_only_the_environment_that_changed_is_applied(world: World) -> None:
    world.settings(MLOPS_STATE="kept")
    world.commit("environments/staging/flights.yaml", "release: 7")
    result = world.run("release")
    assert result.stages == {"changed": "Succeeded", "staging": "Succeeded", "prod": "Skipped"}
    assert world.calls == ["mlops apply staging --all"]
    assert result.deployments == ["staging-promote"]


def test_nothing_relevant_ends_with_every_environment_skipped(world: World) -> None:
    world.settings(MLOPS_STATE="kept")
    world.commit("releases/flights/7.yaml", "version: 7")
    result = world.run("release")
    assert result.stages == {"changed": "Succeeded", "staging": "Skipped", "prod": "Skipped"}
    assert (world.calls, result.deployments) == ([], []), "nobody is asked to approve a deployment of nothing"


def test_without_state_no_release_is_looked_for(world: World) -> None:
    world.commit("environments/staging/flights.yaml", "release: 7")
    assert set(world.run("release").stages.values()) == {"Skipped"}


def test_a_release_by_hand_looks_at_every_environment(world: World) -> None:
    world.settings(MLOPS_STATE="kept")
    world.run("release", "Manual")
    assert world.calls == ["mlops apply staging --all", "mlops apply prod --all"]


def test_a_release_that_waited_applies_the_head_of_main(world: World) -> None:
    """An approval takes a day; meanwhile somebody rolled back."""
    world.settings(MLOPS_STATE="kept")
    old = world.commit("environments/prod/flights.yaml", "release: 8")
    new = world.commit("environments/prod/flights.yaml", "release: 7")
    world.run("release", commit=old)
    assert ("mlops apply prod --all", new) in world.calls_and_commits


def test_a_broken_staging_does_not_hold_production_back(world: World) -> None:
    world.settings(MLOPS_STATE="kept")
    world.commit("environments/freeze.yaml", "[]")
    world.answer("mlops apply staging", code=6)
    result = world.run("release")
    assert result.stages == {"changed": "Succeeded", "staging": "Failed", "prod": "Succeeded"}


def test_a_cancelled_release_applies_nothing_more(world: World) -> None:
    world.settings(MLOPS_STATE="kept")
    world.commit("environments/freeze.yaml", "[]")
    result = world.run("release", cancelled_after="changed")
    assert result.stages == {"changed": "Succeeded", "staging": "Canceled", "prod": "Canceled"}
    assert world.calls == []


def test_infrastructure_is_applied_stack_by_stack_as_it_was_planned(world: World) -> None:
    world.settings(PULUMI_BACKEND_URL="azblob://state")
    result = world.run("infra")
    assert set(result.stages.values()) == {"Succeeded"}
    asked = [call for call in world.calls if call.startswith("mlops infra outdated")]
    verbs = [call.split()[1] + " " + call.split()[3] for call in world.calls if call not in asked]
    assert verbs == [f"{verb} {stack}" for stack in ("dev", "staging", "prod") for verb in ("preview", "up")]
    assert len(asked) == len(verbs), "before each of them, whether a newer commit was applied"
    assert result.deployments == ["dev-plan", "dev", "staging-plan", "staging", "prod-plan", "prod"]
    plan = world.work / "s" / "plan.json"
    assert plan.read_text(encoding="utf-8") == "the plan of prod\n", (
        "the last job applied its own stack's plan"
    )


def test_a_pull_request_plans_every_stack_and_applies_none(world: World) -> None:
    world.settings(PULUMI_BACKEND_URL="azblob://state")
    result = world.run("infra", "PullRequest")
    assert [call.split()[1] for call in world.calls if call.startswith("pulumi")] == ["preview"] * 3
    assert [name for name, outcome in result.stages.items() if outcome == "Skipped"] == [
        "dev_apply",
        "staging_apply",
        "prod_apply",
    ]


def test_an_old_run_that_is_run_again_applies_nothing(world: World) -> None:
    world.settings(PULUMI_BACKEND_URL="azblob://state")
    world.answer("mlops infra outdated --stack dev", code=3, says="error commit 1234 is newer than this one")
    result = world.run("infra")
    assert result.stages["dev_plan"] == "Failed"
    assert not [call for call in world.calls if call.startswith("pulumi")]
    assert "is newer than this one" in result.log.summaries[-1]


def test_a_stack_that_cannot_be_planned_stops_those_after_it(world: World) -> None:
    world.settings(PULUMI_BACKEND_URL="azblob://state")
    world.answer("pulumi preview --stack staging", code=1, says="policy violation")
    result = world.run("infra")
    assert result.stages["dev_apply"] == "Succeeded"
    assert [n for n, o in result.stages.items() if o == "Skipped"] == [
        "staging_apply",
        "prod_plan",
        "prod_apply",
    ]
    assert "policy violation" in result.log.summaries[-1]
    assert "pulumi preview --stack staging" in result.log.summaries[-1]


def test_without_a_backend_nothing_is_provisioned(world: World) -> None:
    assert set(world.run("infra").stages.values()) == {"Skipped"}


@pytest.mark.parametrize("typed", [" ", "prd", "dev", "$(touch pwned)"])
def test_a_wrong_name_destroys_nothing_and_says_so(world: World, typed: str) -> None:
    world.settings(PULUMI_BACKEND_URL="azblob://state")
    result = world.run("destroy", "Manual", parameters={"stack": "prod", "confirm": typed})
    skipped = dict.fromkeys(("expired", "dev", "staging", "prod"), "Skipped")
    assert result.stages == {"confirm": "Failed", **skipped}
    assert (world.calls, result.deployments) == ([], [])
    assert f"you asked to delete 'prod' and typed '{typed}': nothing was deleted" in result.log.summaries[0]
    assert not (world.work / "s" / "pwned").exists()


def test_the_right_name_destroys_that_environment_only(world: World) -> None:
    result = world.run("destroy", "Manual", parameters={"stack": "staging", "confirm": "staging"})
    assert [n for n, o in result.stages.items() if o == "Succeeded"] == ["confirm", "staging"]
    assert world.calls == [
        "mlops infra purge --stack staging",
        "pulumi destroy --stack staging --yes --refresh",
    ]
    assert result.deployments == ["staging"]


def test_at_night_what_has_expired_is_destroyed(world: World) -> None:
    world.settings(PULUMI_BACKEND_URL="azblob://state")
    listed = [{"stack": "dev", "ttl": "14d", "updated": "x", "expires": "y"}]
    world.answer("mlops infra expired", says=json.dumps(listed, indent=2))
    result = world.run("destroy", "Schedule")
    assert [n for n, o in result.stages.items() if o == "Succeeded"] == ["expired", "dev"]
    assert world.calls[-1] == "pulumi destroy --stack dev --yes --refresh"
    assert result.deployments == ["dev-plan", "dev"]


@pytest.mark.parametrize(("code", "says"), [(0, "[]"), (6, "pulumi stack ls failed")])
def test_at_night_nothing_is_destroyed_without_a_clear_answer(world: World, code: int, says: str) -> None:
    world.settings(PULUMI_BACKEND_URL="azblob://state")
    world.answer("mlops infra expired", code=code, says=says)
    result = world.run("destroy", "Schedule")
    assert {result.stages[name] for name in ("confirm", "dev", "staging", "prod")} == {"Skipped"}
    assert world.calls == ["mlops infra expired --json"]


def test_a_breach_is_shown_and_answered(world: World) -> None:
    world.settings(MLOPS_TARGET="azure")
    world.answer("mlops monitor", code=3, says="dep_delay drifts: PSI 0.31, limit 0.2")
    result = world.run("monitor", "Schedule")
    assert result.outcome == "Succeeded"
    assert world.calls == MONITOR
    assert result.log.summaries[0].startswith("### Verdict: `mlops monitor --env prod`")
    assert "dep_delay drifts: PSI 0.31, limit 0.2" in result.log.summaries[0]
    assert result.stages == {"monitor": "Succeeded", "site": "Succeeded"}
    assert (world.work / "artifacts" / "board").is_dir()
    assert (world.work / "artifacts" / "site" / "board").is_dir()


def test_the_documentation_is_built_where_nothing_is_logged_in_to(world: World) -> None:
    world.settings(MLOPS_TARGET="azure")
    result = world.run("monitor", "Schedule")
    assert [step for step in result.log.steps if "make docs" in step] == ["site: make docs"]
    assert result.deployments == ["prod-train"], "the job `monitor` alone has an environment"
    assert result.log.connections == ["prod-train"] * len(MONITOR)


def test_without_a_look_at_production_there_is_no_site(world: World) -> None:
    result = world.run("monitor", "Schedule")
    assert result.stages == {"monitor": "Skipped", "site": "Skipped"}
    assert world.calls_and_commits == []


def test_no_verdict_is_a_failure_and_what_was_found_before_is_still_answered(world: World) -> None:
    """One model without traffic must not hide the breach of another; whether there is one, retrain says."""
    world.settings(MLOPS_TARGET="azure")
    world.answer("mlops monitor", code=4, says="no credential")
    result = world.run("monitor", "Schedule")
    assert result.outcome == "Failed"
    assert world.calls == MONITOR


def test_drift_that_somebody_else_found_is_answered_without_looking_again(world: World) -> None:
    world.settings(MLOPS_TARGET="azure")
    world.run("monitor", "ResourceTrigger", payload={"type": "mlops.drift.detected", "data": {}})
    assert world.calls == MONITOR[1:]


def test_every_check_of_a_pull_request_runs_whatever_another_one_says(world: World) -> None:
    world.answer("make lint", code=1, says="E501 line too long")
    result = world.run("ci", "PullRequest")
    others = ("test", "check", "audit", "plan")
    assert result.stages == {"lint": "Failed", "proof": "Skipped"} | dict.fromkeys(others, "Succeeded")
    assert world.calls == [
        "mlops check --base origin/main",
        "mlops pipeline lint",
        "mlops audit --if-reachable",
        "mlops infra plan --against origin/main --markdown",
    ]
    assert "E501 line too long" in result.log.summaries[0]


def test_a_pull_request_asks_the_registry_on_azure_and_a_push_does_not(world: World) -> None:
    """As the connection that only reads."""
    world.settings(MLOPS_TARGET="azure")
    assert world.run("ci", "PullRequest").stages["proof"] == "Succeeded"
    assert "mlops check --registry --base origin/main" in world.calls
    assert world.run("ci", "IndividualCI").stages["proof"] == "Skipped"
