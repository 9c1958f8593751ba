"""Names that live in several files mean the same thing: identities, environments, models, verbs.

A workflow that runs in an environment which no identity trusts cannot log in, and one that calls a verb which
was renamed fails on the day that it is needed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import ci_azure as azure
import ci_github as github
import pytest
import typer
import yaml
from ci_model import MODELS, NAMES, ROOT, TRAINING, Unit, without_options

from mlops.forge.pushed import patterns
from mlops.infra.config import EnvironmentStack
from mlops.scaffold.new_model import callers
from mlops.spec import files

STACKS = ("dev", "staging", "prod")
DUTIES = {
    "train": "train",
    "ci_proof": "plan",
    "release": "promote",
    "infra_plan": "plan",
    "infra_apply": "apply",
    "monitor": "train",
    "destroy_expired": "plan",
    "destroy": "apply",
}
PAGES = "github-pages"
"""GitHub makes this environment itself; no identity of Azure trusts it."""
PULUMI = {
    "preview": {"--stack", "--refresh", "--policy-pack", "--save-plan"},
    "up": {"--stack", "--refresh", "--policy-pack", "--plan", "--yes", "--skip-preview"},
    "destroy": {"--stack", "--refresh", "--yes"},
}
"""Verbs and options of the Pulumi CLI that workflows use; the test marked `engine` asks the CLI itself."""


def _units() -> list[tuple[str, Unit]]:
    return [(f"{n}_{u}", unit) for n in NAMES for s in (github, azure) for u, unit in s.load(n).units.items()]


def _commands() -> list[str]:
    return sorted({command for _, unit in _units() for command, _ in unit.commands})


def _trusted(stack: str) -> dict[str, str]:
    """Duty to GitHub environment, as the stack file says."""
    raw = yaml.safe_load((ROOT / f"environments/Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
    fields = {k.removeprefix("mlops:"): v for k, v in raw.items()}
    config = EnvironmentStack.model_validate(fields)
    assert config.github is not None, f"stack {stack} trusts no workflow"
    return dict(config.github.environments)


def _used(system: Any) -> set[tuple[str, str]]:
    """(duty, environment) of every job that has an environment."""
    found = set()
    for name in NAMES:
        for unit_name, unit in system.load(name).units.items():
            kind = f"{name}_{unit_name.rpartition('_')[2]}"
            duty = DUTIES.get(kind) or DUTIES.get(name.partition("-")[0])
            found |= {(str(duty), e) for e in unit.environments if e != PAGES}
    return found


@pytest.mark.parametrize("system", [github, azure])
def test_jobs_run_in_the_environments_that_identities_trust(system: Any) -> None:
    """Each duty in its own environment, none of them missing, none too many."""
    assert _used(system) == {pair for stack in STACKS for pair in _trusted(stack).items()}


def test_a_renamed_environment_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    document = github.read(github.FOLDER / "release.yml")
    document["jobs"]["prod"]["environment"] = "production"
    changed = github.load("release", document)
    original = github.load
    monkeypatch.setattr(github, "load", lambda name: changed if name == "release" else original(name))
    with pytest.raises(AssertionError):
        test_jobs_run_in_the_environments_that_identities_trust(github)


def test_every_environment_of_the_policy_is_applied() -> None:
    """An environment that is added to the policy needs its job, in the order of the policy."""
    wanted = ["changed", *files.load_policy(ROOT).order]
    assert list(github.load("release").units) == wanted
    assert list(azure.load("release").units) == wanted
    ((changed, _),) = github.load("release").units["changed"].commands
    assert changed.split()[3:] == wanted[1:]


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_trained_by_its_own_changes_and_by_no_other_models(model: str) -> None:
    """Its code, its pipeline and the steps that all share start its training."""
    paths = set(github.load(TRAINING[model]).paths)
    assert {f"src/{MODELS[model]}/**", f"pipelines/{model}/**", "mlops.toml"} <= paths
    others = MODELS.keys() - {model}
    assert not paths & {f"pipelines/{other}/**" for other in others}
    assert not [p for p in paths if patterns.accepts([p], "packages/engine/src/mlops/cli/_app.py")]


def test_what_calls_the_training_is_what_new_model_writes() -> None:
    """A fork's files and those of its next model must not drift apart."""
    for model, package in MODELS.items():
        for path, text in callers(ROOT, model, package.replace("/", ".")).items():
            assert (ROOT / path).read_text(encoding="utf-8") == text, (
                f"{path}: mlops new-model writes it otherwise"
            )


@pytest.mark.parametrize("name", NAMES)
def test_path_filters_name_what_exists(name: str) -> None:
    """A filter on a folder that was moved would never start anything."""
    # The first release, and who renews a table, make it.
    coming = {"releases", "environments/prices.yaml", "environments/vm_sizes.yaml"}
    if not any((ROOT / f"pipelines/{model}/ingest.yml").is_file() for model in MODELS):
        # The first model that takes deliveries brings them; a scaffold has none.
        coming |= {"pipelines/*/ingest.yml", "pipelines/*/components/ingest.yml"}
    for pattern in github.load(name).paths:
        place = pattern.removeprefix("!").removesuffix("/**")
        assert place in coming or list(ROOT.glob(place)), f"{name}: nothing matches {pattern}"


def _words(command: str) -> list[str]:
    """The words of a command; an optional `${VALUE:+--option "$VALUE"}` counts as given."""
    return shlex.split(re.sub(r"\$\{\w+:\+(.*?)\}", r"\1", command))


def _check_mlops(words: list[str]) -> None:
    from mlops.cli import _verbs  # noqa: F401  registers the commands
    from mlops.cli._app import app
    from mlops.cli._help import positional

    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        verb = words.pop(0)
        assert verb in command.commands, f"mlops has no verb {verb!r}"
        command = command.commands[verb]
    known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    words = positional(command, words)  # `--env prod` is `prod` where a verb takes an environment
    assert {w for w in words if w.startswith("-")} <= known, f"{command.name} has no such option: {words}"


def _check(command: str) -> None:
    tool, *words = _words(without_options(command))
    if tool == "mlops":
        _check_mlops(words)
    elif tool == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert words[0] in targets, f"the Makefile has no target {words[0]!r}"
    elif tool == "pulumi":
        assert {w for w in words[1:] if w.startswith("-")} <= PULUMI[words[0]]
    else:
        assert os.access(ROOT / tool, os.X_OK), f"{tool} is no verb and no script that can run"


@pytest.mark.parametrize("command", _commands())
def test_every_command_exists(command: str) -> None:
    _check(command)


@pytest.mark.parametrize(
    "command",
    [
        "mlops moniter",
        "--verdict mlops moniter",
        "mlops apply --forse prod",
        "mlops check --env prod",
        "mlops infra up",
        "make ship",
        "pulumi up --force",
        "./ship",
    ],
)
def test_a_command_that_does_not_exist_is_found(command: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        _check(command)


@pytest.mark.engine
@pytest.mark.skipif(shutil.which("pulumi") is None, reason="the Pulumi CLI is not on PATH")
@pytest.mark.parametrize("verb", sorted(PULUMI))
def test_pulumi_knows_the_options(verb: str) -> None:
    # `up` takes --plan always, and shows it only with this; test_engine.py of infra uses it without.
    shown = subprocess.run(
        ["pulumi", verb, "--help"],
        env={**os.environ, "PULUMI_EXPERIMENTAL": "true"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [o for o in PULUMI[verb] if o not in shown] == []


def test_both_systems_take_the_python_of_the_repository() -> None:
    wanted = (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    setup = (azure.FOLDER / "templates/setup.yml").read_text(encoding="utf-8")
    assert f'versionSpec: "{wanted}"' in setup


def test_every_azure_verb_goes_through_the_wrapper_and_the_connection() -> None:
    """With and without a service connection the same happens, or local rehearsals prove nothing."""
    template: dict[str, Any] = azure.read(azure.FOLDER / "templates/verb.yml")
    with_login, without = [next(iter(step.values()))[0] for step in template["steps"]]
    assert (
        with_login["inputs"]["inlineScript"] == without["bash"] == ".github/scripts/run ${{ parameters.run }}"
    )
    for key in ("condition", "env", "displayName"):
        assert with_login[key] == without[key], key


def test_azure_scripts_hold_no_value_that_a_person_or_an_event_gives() -> None:
    """Template expressions are pasted into scripts; only names that the files themselves choose may be."""
    given = {"window", "test_window", "confirm", "told", "version"}
    for path in [ROOT / "azure-pipelines.yml", *azure.FOLDER.rglob("*.yml")]:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            if re.match(r"\s*(- )?(run|bash|inlineScript):", line):
                found = set(re.findall(r"parameters\.(\w+)", line)) & given
                assert not found, f"{path.name}: {line.strip()}"
