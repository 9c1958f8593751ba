"""Weaker gates need more eyes where policy says so. Each way for one person to pass for two is tried."""

from __future__ import annotations

import hashlib

import pytest
from git_world import MODEL, GitWorld, git

from mlops.errors import Blocked
from mlops.forge.git import Git
from mlops.lifecycle.apply.environment import apply, diff
from mlops.lifecycle.decide.loosened import between
from mlops.lifecycle.desired.history import history
from mlops.lifecycle.propose.promote import promote

POLICY = """\
order: [staging, prod]
environments:
  staging: {auto_merge: true, synthetic_traffic: true}
  prod: {soak: 1h, synthetic_traffic: true, loosened_approvals: 2}
"""
GATES = "pipelines/freight/model.yaml"


@pytest.fixture
def world(repository: GitWorld, monkeypatch: pytest.MonkeyPatch) -> GitWorld:
    """Prod serves release 1, and release 2 came with weaker gates; its promotion is open."""
    monkeypatch.setenv("USER", "bot")
    monkeypatch.delenv("GITHUB_ACTOR", raising=False)
    repository.write("environments/policy.yaml", POLICY)
    staged(repository)
    proposed(repository, "grace")
    to_prod(repository)
    loosen(repository, 25)
    staged(repository)
    return repository


def loosen(world: GitWorld, megabytes: int) -> None:
    text = (world.root / GATES).read_text()
    world.write(GATES, text.replace("max_megabytes: ", f"max_megabytes: {megabytes}"))


def staged(world: GitWorld) -> None:
    before = world.root / "environments/staging/freight.yaml"
    version = world.released()
    world.stage(version, replaces=version - 1 if before.exists() else None)
    world.run("staging")
    world.clock.sleep(3700)


def proposed(world: GitWorld, *people: str) -> str:
    """Promoted, approved by `people` and merged; the body of the pull request."""
    request = promote(
        world.root, world.target, world.forge, "prod", MODEL, actor="ada", now=world.clock.now()
    ).pull_request
    assert request is not None
    for name in people:
        world.forge.approve(request.number, name)
    world.forge.merge(request.number)
    world.pull()
    return request.body


def to_prod(world: GitWorld) -> int:
    apply(world.root, world.target, "prod", MODEL, actor="bot", clock=world.clock, forge=lambda: world.forge)
    return world.served("prod")


def test_weaker_gates_are_named_and_two_people_let_them_in(world: GitWorld):
    body = proposed(world, "grace", "linus")
    assert "- `size.max_megabytes: was 20, is 2520`" in body
    assert "counted when it is merged" in body
    assert to_prod(world) == 2
    row = history(world.root, world.target, "prod", MODEL)[0]
    rule = "loosened_approvals: 2 where gates were loosened"
    assert sorted(one.by for one in row.approvals if one.rule == rule) == ["grace", "linus"]


@pytest.mark.parametrize(
    ("people", "found"),
    [
        ((), "nobody"),
        (("grace",), "grace"),
        (("grace", "grace"), "grace"),
        (("grace", "Ada"), "grace"),
        (("grace", "ADA"), "grace"),
        (("grace", "bot"), "grace"),
    ],
    ids=["nobody", "one", "one twice", "who wrote the gates", "in other letters", "who proposed it"],
)
def test_one_person_is_not_two(world: GitWorld, people: tuple[str, ...], found: str):
    proposed(world, *people)
    with pytest.raises(
        Blocked, match=rf"approvals: gates were loosened since release 1 .*approved by: {found}\."
    ):
        to_prod(world)
    assert world.served("prod") == 1


def test_what_was_refused_is_let_in_by_one_more_approval(world: GitWorld):
    proposed(world, "grace")
    with pytest.raises(Blocked, match="Let more people approve"):
        to_prod(world)
    world.forge.approve(2, "linus")
    assert to_prod(world) == 2


def test_what_was_approved_before_the_last_push_is_not_this(world: GitWorld):
    promote(world.root, world.target, world.forge, "prod", MODEL, actor="ada", now=world.clock.now())
    for name in ("grace", "linus"):
        world.forge.approve(2, name)
    loosen(world, 9)
    staged(world)
    proposed(world, "grace")
    with pytest.raises(Blocked, match=r"approved by: grace\."):
        to_prod(world)


def test_a_second_release_does_not_wash_the_first(world: GitWorld):
    """The next one has the gates of the refused one; what counts is what is served."""
    proposed(world)
    with pytest.raises(Blocked):
        to_prod(world)
    staged(world)
    assert "gates were loosened since release 1 (size.max_megabytes" in proposed(world)
    with pytest.raises(Blocked, match="since release 1 "):
        to_prod(world)


def test_a_push_to_main_without_a_pull_request_has_no_approvals(world: GitWorld):
    world.stage(2, "prod", replaces=1)
    with pytest.raises(Blocked, match=r"\(none is known\)"):
        to_prod(world)


def test_the_way_back_and_what_asks_for_no_less_need_nobody(world: GitWorld):
    proposed(world, "grace", "linus")
    assert to_prod(world) == 2
    world.stage(1, "prod", replaces=None)
    assert to_prod(world) == 1
    world.stage(2, "prod", replaces=1)
    assert to_prod(world) == 2, "verified here before"
    staged(world)
    proposed(world)
    assert to_prod(world) == 3


def test_who_cannot_ask_the_forge_lets_nothing_in_and_diff_says_what_will_be_asked(world: GitWorld):
    proposed(world, "grace", "linus")
    plan = diff(world.root, world.target, "prod", MODEL, clock=world.clock)
    assert [g.observed for g in plan.gates if g.name == "approvals"] == ["counted when it is merged"]
    with pytest.raises(Blocked, match="nobody compared them"):
        world.run("prod")


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def test_the_gates_that_count_are_those_that_judged_not_those_of_the_training_commit(repository: GitWorld):
    """Train with strict gates, loosen them, judge, release: the training commits are equally strict."""
    old, new = (repository.releases[repository.released()] for _ in range(2))
    strict = (repository.root / GATES).read_text()
    loosen(repository, 9)
    weak = (repository.root / GATES).read_text()
    commit = repository.commit("Loosen")
    git_ = Git(repository.root)
    old = old.model_copy(update={"gates_digest": digest(strict)})
    assert between(git_, old, new.model_copy(update={"gates_digest": digest(strict)}), commit) == []
    judged = new.model_copy(update={"gates_digest": digest(weak)})
    assert between(git_, old, judged, commit) == ["size.max_megabytes: was 20, is 920"]
    never = new.model_copy(update={"gates_digest": digest(weak + "# mine\n")})
    assert "that no commit has" in between(git_, old, never, commit)[0]


def test_gates_that_cannot_be_read_today_are_told_and_stop_no_release(repository: GitWorld):
    old, new = (repository.releases[repository.released()] for _ in range(2))
    repository.write(GATES, "metrics: [\n")
    broken = repository.commit("Break")
    git(repository.root, "revert", "--no-edit", "HEAD")
    source = old.source.model_copy(update={"commit": broken})
    assert (
        "cannot be read today"
        in between(Git(repository.root), old.model_copy(update={"source": source}), new)[0]
    )
