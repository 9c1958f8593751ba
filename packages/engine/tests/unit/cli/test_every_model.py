"""A repository with two models: every verb that is about one can be told which; those that are not say why.

A verb that works on "the" model breaks on the day that a fork gets its second one, which nobody has tried.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from mlops.cli import _app, _promote, _verbs  # noqa: F401  registers the commands
from mlops.errors import Blocked, Inconclusive, MlopsError, NotFound, TargetError
from mlops.forge.base import PullRequest
from mlops.lifecycle.apply import environment as lifecycle_apply
from mlops.lifecycle.apply import sign as lifecycle_sign
from mlops.lifecycle.apply.environment import Outcome
from mlops.lifecycle.propose import release as lifecycle_release
from mlops.lifecycle.propose.release import Proposed
from mlops.lifecycle.watch import monitor as lifecycle_monitor
from mlops.lifecycle.watch import retrain as lifecycle_retrain
from mlops.lifecycle.watch import status as lifecycle_status
from mlops.lifecycle.watch.retrain import Retrained
from mlops.spec.monitoring import MonitorReport, TimeSpan

ROOT = Path(__file__).parents[5]
TWO = '[project]\nname = "two"\n[models.trains]\nusecase = "trains"\n[models.ships]\nusecase = "ships"\n'

ONE: dict[str, tuple[str, ...]] = {
    "train": (),
    "gate": (),
    "release": (),
    "register": ("model",),
    "tune": (),
    "ingest": ("--source", "x", "--window", "2013-07"),
    "sign": ("1",),
    "diff": ("prod",),
    "apply": ("prod",),
    "score": ("--env", "prod", "--input", "rows.json"),
    "batch": ("--input", "a", "--output", "b"),
    "batch-job": ("--data", "azureml:x:1"),
    "profile": ("--env", "prod"),
    "promote": ("prod",),
    "rollback": ("prod", "--reason", "x"),
    "keys rotate": ("prod",),
    "history": ("prod",),
    "retrain": ("--env", "prod"),
    "replay": ("2013-06", "--env", "prod", "--labels", "x"),
    "backtest": ("1", "--window", "2013-06"),
    "card": (),
    "data push": (),
    "smoke": (),
    "versions list": (),
    "runs": (),
    "compare": ("1",),
    "params": (),
    "add": (),
    "notebook": ("--no-open",),
    "versions delete": ("1",),
    "schedule apply": ("prod", "monitor.yml"),
    "labels add": ("x.csv", "--env", "prod"),
}
"""Verbs that are about one model, with the words that each needs besides."""
EVERY = ("endpoints", "start", "stop", "status", "monitor", "board", "pipeline lint")
"""Verbs that take all models when none is named."""
NONE = {
    # <example>
    "demo": "it tells its story in a clone of its own, of the example's model",  # <example/>
    # </example>
    "init": "its --model names the model that a fork begins with, which is not there yet",
    "update": "it takes a newer template, which holds no model of the fork",
    "doctor": "it looks at machine, forge and subscription",
    "audit": "packages are locked for all models together",
    "new-model": "the name is its argument",
    "ui": "one tracking server has the runs of all models",
    "check": "files are checked as a whole, because one that is wrong blocks the merge, whoever's it is",
    "pipeline run": "a job's file is the argument; it need not belong to a model",
    "schedule list": "schedules belong to an environment; each has its name",
    "schedule remove": "schedules belong to an environment; each has its name",
    "pr list": "pull requests belong to the repository; each says its model",
    "pr merge": "pull requests have numbers",
    "forge init": "a forge serves the repository",
    "forge runs": "runs of workflows belong to the repository",
    "forge log": "runs have numbers",
    "forge watch": "runs have numbers",
    "forge approve": "runs have numbers",
    "forge review": "pull requests have numbers",
    "forge cancel": "runs have numbers",
    "forge start": "a workflow is named; each model has its own: train-<model>",
    "forge off": "a workflow is named",
    "forge on": "a workflow is named",
    "events list": "the newest of all; each line names its subject",
    "events flush": "sinks belong to the repository",
    "events replay": "sinks belong to the repository",
    "events handle": "an event names its own model",
    "bootstrap azure": "identities and state belong to stacks, which all models share",
    "infra plan": "infrastructure belongs to stacks, which all models share",
    "infra sizes": "sizes of machines belong to Azure",
    "infra cost": "infrastructure belongs to stacks, which all models share",
    "infra outdated": "infrastructure belongs to stacks, which all models share",
    "infra purge": "infrastructure belongs to stacks, which all models share",
    "infra expired": "infrastructure belongs to stacks, which all models share",
    "target databricks bundle": "a bundle holds all models of the repository",
}
"""Verbs without a model, each with the reason."""


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, list[str]]]:
    """Every verb, with its options."""
    if not hasattr(command, "commands"):
        yield " ".join(path), [option for parameter in command.params for option in parameter.opts]
        return
    for name, inner in command.commands.items():
        yield from leaves(inner, (*path, name))


VERBS = dict(leaves(typer.main.get_command(_app.app)))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models and no data; of the target nothing but its name may be needed."""
    monkeypatch.delenv("MLOPS_MODEL", raising=False)
    monkeypatch.setenv("GITHUB_ACTOR", "ada")  # so that git is not asked
    monkeypatch.setattr(_app.State, "target", SimpleNamespace(name="azure"))
    (tmp_path / "mlops.toml").write_text(TWO)
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    for env in ("staging", "prod"):
        for model in ("trains", "ships"):
            file = tmp_path / f"environments/{env}/{model}.yaml"
            file.parent.mkdir(exist_ok=True)
            file.write_text("release: 1\n")
    return tmp_path


def call(folder: Path, *words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(_app.app, ["-C", str(folder), *words], env=env)


def test_every_verb_is_in_one_of_the_three_lists() -> None:
    """A new verb about a model takes --model; one that is not about a model says here why."""
    known = [*ONE, *EVERY, *NONE]
    assert sorted(known) == sorted(set(known)), "a verb is in two lists"
    assert set(VERBS) == set(known)
    assert all(len(reason) > 15 for reason in NONE.values())


@pytest.mark.parametrize("verb", [*ONE, *EVERY])
def test_a_verb_about_models_takes_the_option(verb: str) -> None:
    assert {"--model", "-m"} <= set(VERBS[verb])


@pytest.mark.parametrize("verb", ONE)
def test_without_it_the_sentence_lists_the_models_and_says_what_to_add(repository: Path, verb: str) -> None:
    done = call(repository, *verb.split(), *ONE[verb])
    assert done.exit_code == 5, done.output
    assert "several models; say which one: --model ships, --model trains" in done.stderr
    assert ("--all" in done.stderr) == ("--all" in VERBS[verb])


@pytest.mark.parametrize("verb", [v for v in ONE if "--all" in VERBS[v]])
def test_all_and_one_at_once_are_refused(repository: Path, verb: str) -> None:
    for words, env in ((("--model", "ships"), None), ((), {"MLOPS_MODEL": "ships"})):
        done = call(repository, *verb.split(), *ONE[verb], "--all", *words, env=env)
        assert done.exit_code == 5
        assert "--all takes every model, and --model (or MLOPS_MODEL) names 'ships'" in done.stderr


def test_the_environment_names_the_model_as_the_option_does(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a job of a CI system is about one model without saying so in every step."""
    asked: list[str] = []
    monkeypatch.setattr(lifecycle_status, "status", lambda root, target, model: asked.append(model) or [])
    call(repository, "status", env={"MLOPS_MODEL": "trains"})
    call(repository, "status", "--model", "ships", env={"MLOPS_MODEL": "trains"})
    call(repository, "status")
    assert asked == ["trains", "ships", "ships", "trains"]


Answers = dict[str, Outcome | MlopsError]


def outcome(model: str) -> Outcome:
    return Outcome("prod", model, 1, None, "first", True, (), "http://x")


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answers], list[str]]:
    """`apply` answers as told; the list says which models had their turn."""

    def prepare(answers: Answers) -> list[str]:
        asked: list[str] = []

        def carry_out(root: Path, target: object, env: str, model: str, **_: object) -> Outcome:
            asked.append(model)
            answer = answers[model]
            if isinstance(answer, MlopsError):
                raise answer
            return answer

        monkeypatch.setattr(lifecycle_apply, "apply", carry_out)
        return asked

    return prepare


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (Blocked("a gate"), None, 3),
        (None, Blocked("a gate"), 3),
        (Blocked("a gate"), Inconclusive("no metrics"), 4),
        (TargetError("no disk"), Blocked("a gate"), 6),
        (Inconclusive("no metrics"), NotFound("no release"), 6),
    ],
)
def test_a_model_that_fails_hides_no_other(
    repository: Path,
    applied: Callable[[Answers], list[str]],
    first: MlopsError | None,
    second: MlopsError | None,
    code: int,
) -> None:
    """Two models in one push: both have their turn, each refusal is told, the worst one is the exit code."""
    asked = applied({"ships": first or outcome("ships"), "trains": second or outcome("trains")})
    done = call(repository, "apply", "prod", "--all")
    assert (asked, done.exit_code) == (["ships", "trains"], code)
    for model, error in (("ships", first), ("trains", second)):
        if error is None:
            assert f"{model} in prod serves release 1" in done.stdout
        else:
            assert f"error {model}: {error}" in done.stderr
    told = call(repository, "apply", "prod", "--all", "--json")
    assert told.exit_code == code
    assert [o["model"] for o in json.loads(told.stdout)] == [
        m for m, e in (("ships", first), ("trains", second)) if e is None
    ]


def test_a_model_that_no_file_asks_for_is_left_out(
    repository: Path, applied: Callable[[Answers], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlops.forge.git.Git.show", lambda *_: None)  # not in the last commit either
    asked = applied({"ships": outcome("ships"), "trains": outcome("trains")})
    (repository / "environments/prod/ships.yaml").unlink()
    assert call(repository, "apply", "prod", "--all").exit_code == 0
    assert asked == ["trains"]
    (repository / "environments/prod/trains.yaml").unlink()
    done = call(repository, "apply", "prod", "--all")
    assert (done.exit_code, asked) == (0, ["trains"])
    assert "no file in environments/prod asks for a release" in done.stderr


def test_a_hold_is_cleared_for_one_model(repository: Path) -> None:
    done = call(repository, "apply", "prod", "--all", "--clear-hold", "looked at it")
    assert done.exit_code == 5 and "--clear-hold is about one release" in done.stderr


def report(model: str, verdict: str) -> MonitorReport:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    return MonitorReport.model_validate(
        {
            "id": "20261121T000000000000Z",
            "environment": "prod",
            "model": model,
            "made": now,
            "window": TimeSpan(start=now - timedelta(days=1), end=now),
            "release": 1,
            "digest": None,
            "rows": 5,
            "outcome": verdict,
            "reason": f"{model} {verdict}",
            "signals": [],
        }
    )


@pytest.mark.parametrize(
    ("ships", "trains", "code"),
    [
        ("pass", "pass", 0),
        ("breach", "pass", 3),
        ("breach", "inconclusive", 4),
        ("inconclusive", "breach", 4),
    ],
)
def test_every_model_is_monitored(
    repository: Path, monkeypatch: pytest.MonkeyPatch, ships: str, trains: str, code: int
) -> None:
    wanted = {"ships": ships, "trains": trains}
    monkeypatch.setattr(
        lifecycle_monitor, "monitor", lambda root, target, env, model, **_: report(model, wanted[model])
    )
    done = call(repository, "monitor", "--env", "prod")
    assert done.exit_code == code
    for model, verdict in wanted.items():
        assert f"{model} {verdict}" in done.output
    told = json.loads(call(repository, "monitor", "--env", "prod", "--json").stdout)
    assert {r["model"]: r["outcome"] for r in told} == wanted
    one = json.loads(call(repository, "monitor", "--env", "prod", "--model", "ships", "--json").stdout)
    assert one["outcome"] == ships
    page = call(repository, "monitor", "--env", "prod", "--report", "x.html")
    assert page.exit_code == 5 and "--report writes the page of one model" in page.stderr
    page = call(repository, "monitor", "-e", "prod", "-m", "ships", "--report", "nowhere/x.html")
    assert page.exit_code == 5 and "there is no folder nowhere" in page.stderr


def test_every_breach_is_answered(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(root: Path, target: object, forge: object, env: str, model: str, **_: object) -> Retrained:
        return Retrained("blocked" if model == "ships" else "released", f"as told of {model}")

    monkeypatch.setattr(lifecycle_retrain, "retrain", answer)
    done = call(repository, "retrain", "--env", "prod", "--all")
    assert done.exit_code == 3
    assert "ships: blocked: as told of ships" in done.stdout
    assert "trains: released: as told of trains" in done.stdout


@pytest.mark.parametrize(
    ("kind", "runs", "says"),
    [
        ("local", False, "then: git pull, and mlops apply ENV"),
        ("local", True, "what it starts: mlops forge runs"),
        ("github", True, "the forge's workflows go on from here"),
    ],
)
def test_after_a_merge_it_is_said_who_applies_it(
    repository: Path, monkeypatch: pytest.MonkeyPatch, kind: str, runs: bool, says: str
) -> None:
    forge = SimpleNamespace(runs_workflows=runs, merge=lambda number, approver: "a" * 40)
    monkeypatch.setattr(_promote, "_forge", lambda: forge)
    with (repository / "mlops.toml").open("a") as stream:
        stream.write(f'[forge]\nkind = "{kind}"\nrepository = "owner/name"\n')
    done = call(repository, "pr", "merge", "3")
    assert done.exit_code == 0 and says in done.stdout
    assert ("mlops apply" in done.stdout) == (not runs)


@pytest.mark.parametrize(
    ("proposed", "says"),
    [
        (
            Proposed(None, "main asks for it already"),
            "nothing to do for release 7 of ships in staging: main asks",
        ),
        (Proposed(PullRequest(4, "b", "main", "T", "open", "c", "u")), "pull request 4 (open): T, u"),
        (Proposed(PullRequest(4, "b", "main", "T", "merged", "c", "u")), "pull request 4 (merged): T, u"),
        (
            Proposed(
                PullRequest(4, "b", "main", "T", "open", "c", "u"), "pull request 4 asks for it already"
            ),
            "nothing to do for release 7 of ships in staging: pull request 4 asks for it already, u",
        ),
    ],
)
def test_a_proposal_tells_what_became_of_it(
    repository: Path, monkeypatch: pytest.MonkeyPatch, proposed: Proposed, says: str
) -> None:
    made = lifecycle_release.ReleaseResult(SimpleNamespace(version=7), "staging", None, ())  # type: ignore[arg-type]
    monkeypatch.setattr(_app.State, "target", SimpleNamespace(name="none", registry=None))
    monkeypatch.setattr(lifecycle_release, "release", lambda *_: made)
    monkeypatch.setattr(lifecycle_release, "propose_release", lambda *_: proposed)
    monkeypatch.setattr(lifecycle_sign, "sign_release", lambda *_: None)
    monkeypatch.setattr("mlops.forge.open_forge", lambda *_: None)
    done = call(repository, "release", "7", "--model", "ships", "--propose")
    assert done.exit_code == 0 and says in done.stdout
    told = json.loads(call(repository, "release", "7", "--model", "ships", "--propose", "--json").stdout)
    assert (told["pull_request"], told["already"]) == (proposed.request and "u", proposed.already)
