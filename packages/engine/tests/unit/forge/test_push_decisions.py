"""What a push starts is decided from the real workflow files by GitHub's rules. A wrong answer here trains on
every typing error in the README, or lets a change of production pass unnoticed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops.errors import InvalidInput, TargetError
from mlops.forge.pushed import patterns
from mlops.forge.pushed.act import stand_ins
from mlops.forge.pushed.decide import Event, decide
from mlops.forge.pushed.expressions import fill, truth
from mlops.forge.pushed.workflows import ACTIONS, FOLDER, Job, Workflow, read
from mlops.spec.settings import load_settings

ROOT = Path(__file__).parents[5]
MODELS = load_settings(ROOT).models
MODEL = next(iter(MODELS))
PACKAGE = MODELS[MODEL].usecase.replace(".", "/")
TRAINING = [f"train-{name}" for name in MODELS]
TRAIN = TRAINING[0]
FILES = [
    read(f"{FOLDER}/{path.name}", path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / FOLDER).glob("*.yml"))
]


def push(*changed: str, ref: str = "refs/heads/main", message: str = "A change") -> Event:
    return Event("push", ref, "a" * 40, "ann", changed, message)


def started(event: Event, off: dict[str, str] | None = None) -> set[str]:
    return {d.workflow.stem for d in decide(FILES, event, off or {}) if d.run}


def reason(event: Event, workflow: str, off: dict[str, str] | None = None) -> str:
    return next(d.why for d in decide(FILES, event, off or {}) if d.workflow.stem == workflow)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("README.md", {"ci"}),
        ("docs/ci.md", {"ci"}),
        (f"src/{PACKAGE}/features.py", {"ci", TRAIN}),
        (f"pipelines/{MODEL}/components/prep.yml", {"ci", TRAIN}),
        ("mlops.toml", {"ci", "infra", *TRAINING}),
        ("environments/prod/flights.yaml", {"ci", "release"}),
        ("environments/freeze.yaml", {"ci", "release"}),
        ("releases/flights/7.yaml", {"ci", "release"}),
        ("environments/Pulumi.prod.yaml", {"ci", "infra"}),
        ("packages/infra/src/mlops/infra/components/network.py", {"ci", "infra"}),
    ],
)
def test_a_push_to_main_starts_what_looks_at_its_files(changed: str, expected: set[str]) -> None:
    assert started(push(changed)) == expected


def test_a_file_that_is_looked_at_is_enough_and_named() -> None:
    event = push("README.md", "environments/prod/flights.yaml")
    assert started(event) == {"ci", "release"}
    assert reason(event, "release") == "environments/prod/flights.yaml changed"
    assert reason(event, TRAIN) == "nothing that it looks at changed"


def test_nothing_starts_for_another_branch_a_tag_or_an_empty_commit_but_what_asks_for_it() -> None:
    assert started(push("mlops.toml", ref="refs/heads/topic")) == set()
    assert "does not run for topic" in reason(push("mlops.toml", ref="refs/heads/topic"), TRAIN)
    assert started(push(ref="refs/tags/1")) == set()
    assert started(push(ref="refs/tags/v1")) == {"publish"}
    assert started(push()) == {"ci"}, "ci has no filter by path"


def test_paths_that_cannot_be_known_let_everything_through() -> None:
    event = Event("push", "refs/heads/main", "a" * 40, "ann", changed=None)
    assert started(event) >= {"ci", TRAIN, "release", "infra"}


@pytest.mark.parametrize("words", ["[skip ci]", "[ci skip]", "[no ci]", "[skip actions]"])
def test_a_commit_may_skip_its_workflows(words: str) -> None:
    assert started(push("mlops.toml", message=f"A change {words}")) == set()
    assert started(push("mlops.toml", message="A change\n\nskip-checks: true")) == set()
    assert TRAIN in started(push("mlops.toml", message="Do not skip ci"))


def test_a_workflow_can_be_switched_off_and_still_be_started_by_hand() -> None:
    off = {TRAIN: "no time"}
    assert started(push("mlops.toml"), off) == {"ci", "infra", *TRAINING} - {TRAIN}
    assert reason(push("mlops.toml"), TRAIN, off) == "switched off in this forge: no time"
    by_hand = Event("workflow_dispatch", "refs/heads/main", "a" * 40, "ann", workflow=TRAIN)
    assert started(by_hand, off) == {TRAIN}


def test_a_pull_request_is_checked_by_what_it_changes() -> None:
    opened = Event(
        "pull_request", "refs/pull/1/merge", "a" * 40, "ann", ("README.md",), base="main", type="opened"
    )
    assert started(opened) == {"ci"}
    infra = Event(
        "pull_request", "refs/pull/1/merge", "a" * 40, "ann", ("infra/x.py",), base="main", type="synchronize"
    )
    assert started(infra) == {"ci", "infra"}
    labelled = Event("pull_request", "refs/pull/1/merge", "a" * 40, "ann", (), base="main", type="labeled")
    assert started(labelled) == set()


def test_a_repository_dispatch_starts_what_listens_to_its_type() -> None:
    types = next(w for w in FILES if w.stem == TRAIN).on["repository_dispatch"]["types"]
    told = Event("repository_dispatch", "refs/heads/main", "a" * 40, "ann", type=types[0])
    assert TRAIN in started(told)
    other = Event("repository_dispatch", "refs/heads/main", "a" * 40, "ann", type="something-else")
    assert TRAIN not in started(other)


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        ("*", ["a", "a.b"], ["a/b"]),
        ("**", ["a", "a/b/c.md"], []),
        ("*.js", ["app.js"], ["a/app.js", "appxjs"]),
        ("**.js", ["app.js", "a/b/app.js"], ["app.jsx"]),
        ("docs/*", ["docs/a.md"], ["docs/a/b.md", "xdocs/a.md"]),
        ("**/docs/**", ["docs/a.md", "x/docs/a/b.md"], ["xdocs/a.md"]),
        ("v[12].[0-9]+", ["v1.10", "v2.0"], ["v3.0", "v1."]),
        ("*.jsx?", ["a.js", "a.jsx"], ["a.jsxx"]),
        (r"a\*b", ["a*b"], ["axb"]),
    ],
)
def test_patterns_are_those_of_githubs_cheat_sheet(pattern: str, hits: list[str], misses: list[str]) -> None:
    assert [t for t in hits if not patterns.accepts([pattern], t)] == []
    assert [t for t in misses if patterns.accepts([pattern], t)] == []


def test_the_last_pattern_that_matches_decides() -> None:
    assert not patterns.accepts(["docs/**", "!docs/private/**"], "docs/private/a")
    assert patterns.accepts(["docs/**", "!docs/private/**", "docs/private/b"], "docs/private/b")
    assert not patterns.accepts(["!docs/**"], "src/a"), "only exclusions accept nothing"


CONTEXT = {
    "github": {"ref": "refs/heads/main", "event_name": "push", "event": {"number": 7}},
    "inputs": {"stack": ""},
    "vars": {},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("train-${{ inputs.stack || 'dev' }}", "train-dev"),
        ("ci-${{ github.ref }}", "ci-refs/heads/main"),
        ("${{ github.event.number }}-${{ github.event.pull_request.head.ref }}", "7-"),
        ("${{ github.event_name == 'PUSH' && 'yes' || 'no' }}", "yes"),
        ("${{ !(vars.MISSING == '') }}", "false"),
        ("it''s", "it''s"),
    ],
)
def test_expressions_have_githubs_values(text: str, value: str) -> None:
    assert fill(text, CONTEXT) == value


def test_truth_is_a_word_or_an_expression() -> None:
    assert truth("true", {})
    assert not truth("false", {})
    assert truth("${{ github.event_name == 'push' }}", CONTEXT)
    assert not truth("${{ github.event_name == 'pull_request' }}", CONTEXT)


@pytest.mark.parametrize(
    "text", ["${{ needs.a.outputs.b }}", "${{ format('x') }}", "${{ github.ref[0] }}", "${{ (1 }}", "${{ }}"]
)
def test_what_it_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="the local forge cannot evaluate"):
        fill(text, CONTEXT)


def test_every_group_and_environment_of_what_a_push_starts_can_be_evaluated() -> None:
    github = {"ref": "refs/heads/main", "run_id": "7", "event_name": "push", "event": {}}
    context = {"github": github, "inputs": {}, "vars": {}}
    for workflow in (w for w in FILES if "push" in w.on):
        for jobs, known in [(workflow.jobs.values(), context), *_called(workflow, context)]:
            gates = [workflow.concurrency, *(job.concurrency for job in jobs)]
            texts = [g.group for g in gates if g] + [job.environment for job in jobs]
            assert all("${{" not in fill(text, known) for text in texts)


def _called(workflow: Workflow, context: dict[str, Any]) -> Iterator[tuple[Collection[Job], dict[str, Any]]]:
    """The jobs of what a workflow calls, each with the inputs that they get."""
    by_path = {w.path: w for w in FILES}
    for caller in (job for job in workflow.jobs.values() if job.calls):
        given = {name: fill(value, context) for name, value in caller.given.items()}
        other = by_path[caller.calls]
        yield other.jobs.values(), {**context, "inputs": other.called_with(given)}


def test_a_called_job_gets_the_inputs_of_its_caller_and_the_defaults_of_its_own() -> None:
    train = next(w for w in FILES if w.stem == TRAIN)
    github = {"ref": "refs/heads/main", "run_id": "7", "event_name": "push", "event": {}}
    ((jobs, context),) = _called(train, {"github": github, "inputs": {}, "vars": {}})
    assert context["inputs"] == {"model": MODEL, "stack": "dev", "window": "", "test_window": ""}
    assert {fill(job.environment, context) for job in jobs} == {"dev-train"}
    assert fill(train.concurrency.group if train.concurrency else "", context) == f"train-{MODEL}-dev"


def test_inputs_of_a_start_by_hand_are_checked() -> None:
    train = next(w for w in FILES if w.stem == TRAIN)
    assert train.inputs({"window": "2013-01..2013-02"})["stack"] == "dev"
    with pytest.raises(InvalidInput, match="is one of dev, staging, prod, not 'moon'"):
        train.inputs({"stack": "moon"})
    with pytest.raises(InvalidInput, match="not for 'colour'"):
        train.inputs({"colour": "red"})


def test_every_action_from_elsewhere_has_a_stand_in_that_knows_its_inputs() -> None:
    import yaml

    missing = []
    files = [*(ROOT / FOLDER).glob("*.yml"), *(ROOT / ACTIONS).glob("*/action.yml")]
    for path in files:
        for step in _steps(yaml.safe_load(path.read_text(encoding="utf-8"))):
            name, _, ref = step["uses"].partition("@")
            if name.startswith("./"):
                continue
            folder = stand_ins({f"{name}@{ref}": name})[f"{name}@{ref}"]
            known = yaml.safe_load((folder / "action.yml").read_text(encoding="utf-8")).get("inputs", {})
            missing += [
                f"{path.name}: {name}: {given}" for given in step.get("with", {}) if given not in known
            ]
    assert missing == [], "act would ignore these inputs without a word"


def _steps(document: dict) -> list[dict]:
    steps = [s for job in document.get("jobs", {}).values() for s in job.get("steps", [])]
    return [s for s in steps + document.get("runs", {}).get("steps", []) if "uses" in s]


def test_an_action_without_stand_in_is_refused_by_name() -> None:
    with pytest.raises(TargetError, match="no stand-in for docker/build"):
        stand_ins({"docker/build@v1": "docker/build"})


@pytest.mark.parametrize("text", ["on: push", "jobs: {}", "- a", "on: [push"])
def test_a_file_that_is_no_workflow_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"\.github/workflows/x\.yml"):
        read(".github/workflows/x.yml", text)


def test_events_are_read_in_each_of_their_spellings() -> None:
    def of(text: str) -> Workflow:
        return read("x.yml", f"{text}\njobs: {{}}")

    assert set(of("on: push").on) == set(of("on: [push]").on) == set(of("on: {push: }").on) == {"push"}
