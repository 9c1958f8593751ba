"""Promote and roll back, as decisions: what is proposed, to whom, and what is refused before that."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from engine_world import MODEL, START, World, make_release, policy
from memory_git import MemoryForge, MemoryGit

from mlops.errors import Blocked, IntegrityError, InvalidInput, NotFound
from mlops.lifecycle.decide import transitions
from mlops.lifecycle.desired import provenance
from mlops.lifecycle.propose import promote as module
from mlops.lifecycle.propose.promote import Promotion, Tip, proposed, way_back
from mlops.spec._yaml import Document
from mlops.spec.desired import Bypass, DesiredState
from mlops.spec.files import FREEZE, POLICY, desired_path, release_path
from mlops.spec.policy import EnvironmentPolicy, Freeze, Policy
from mlops.targets.base import JournalEntry

ORDER = (
    "order: [staging, prod]\nenvironments:\n  staging: {auto_merge: true}\n"
    "  prod: {soak: 1h, approvers: [grace, org/team]}\n"
)


class Repository:
    """Releases 1 and 2; staging serves 2 since two hours, prod 1."""

    def __init__(self, artifact: Path) -> None:
        self.git, self.forge, self.world = MemoryGit(), MemoryForge(), World(artifact)
        trained = self.git.commit({POLICY: ORDER})
        for version in (1, 2):
            made = make_release(version)
            made = made.model_copy(update={"source": made.source.model_copy(update={"commit": trained})})
            self.world.registry.add(made, artifact)
            self.write(release_path(MODEL, version), yaml.safe_dump(made.model_dump(mode="json")))
        self.ask("staging", 1, None)
        self.ask("staging", 2, 1)
        self.ask("prod", 1, None)
        self.finished("staging", 1, 9000)
        self.finished("staging", 2, 7200)
        self.finished("prod", 1, 8000)

    def write(self, name: str, text: str | None) -> None:
        self.git.commit({name: text})

    def ask(self, env: str, release: int, replaces: int | None, more: str = "") -> None:
        text = f"release: {release}\nreplaces: {replaces or 'null'}\n{more}"
        self.write(desired_path(env, MODEL), text)

    def finished(self, env: str, release: int, ago: float) -> None:
        self.happened("apply.finished", env, release, ago)

    def happened(self, kind: str, env: str, release: int, ago: float, **data: Any) -> None:
        at = START - timedelta(seconds=ago)
        self.world.store.append(env, JournalEntry(at, kind, MODEL, release, "bot", "c" * 40, data))

    def promote(self, env: str = "prod", **options: Any) -> Promotion:
        forge: Any = self.forge
        return module.promote(Path(), self.world.target, forge, env, MODEL, actor="ada", now=START, **options)

    def rollback(self, env: str = "prod", **options: Any) -> Promotion:
        forge: Any = self.forge
        options = {"reason": "wrong for JFK", **options}
        return module.rollback(
            Path(), self.world.target, forge, env, MODEL, actor="ada", now=START, **options
        )

    def asked(self) -> DesiredState:
        """What the one proposal makes the file say."""
        (proposal,) = self.forge.proposals
        ((path, text),) = proposal.files.items()
        assert text is not None
        return Document(text, path).parse(DesiredState)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    made, scales = Repository(tmp_path), module.Scales

    def here(root: Path) -> Path:
        assert root == Path(), "the repository that was named is the one that is asked"
        return root

    for room in (module, provenance):
        monkeypatch.setattr(room, "Git", lambda root: here(root) and made.git)
    monkeypatch.setattr(module, "Scales", lambda root: scales(here(root)))
    monkeypatch.setattr(module, "propose", made.forge.propose)
    return made


# --- promote ------------------------------------------------------------------------------------------------


def test_what_the_environment_before_serves_is_proposed(repository: Repository):
    made = repository.promote()
    assert (made.env, made.model, made.release, made.replaces) == ("prod", MODEL, 2, 1)
    assert {rule.verdict for rule in made.rules} <= {"pass", "skipped"}
    state = repository.asked()
    assert (state.release, state.replaces, state.bypass, state.hold) == (2, 1, None, None)
    (proposal,) = repository.forge.proposals
    assert list(proposal.files) == [desired_path("prod", MODEL)]
    assert proposal.branch == f"promote/prod/{MODEL}"
    assert proposal.supersedes == (f"rollback/prod/{MODEL}",)
    assert proposal.reviewers == ("grace", "org/team")
    assert "from 0001 to 0001 in src, packages, pipelines, uv.lock" in proposal.body
    assert "compare 0001 0001" in proposal.body
    assert repository.forge.done == [], "prod does not merge by itself"


def test_a_policy_may_merge_by_itself(repository: Repository):
    repository.ask("staging", 1, 2)
    repository.finished("staging", 1, 3600)
    made = repository.promote("staging", release=2)
    assert repository.forge.done == ["auto-merge"]
    assert made.pull_request is not None
    assert made.pull_request.state == "merged"


def test_what_is_asked_for_already_is_not_proposed(repository: Repository):
    made = repository.promote(release=1)
    assert (made.release, made.replaces, made.rules, made.pull_request) == (1, None, (), None)
    assert (made.env, made.model) == ("prod", MODEL)
    repository.ask("prod", 2, 1)
    made = repository.promote()
    assert (made.release, made.replaces, made.pull_request) == (2, 1, None)
    assert repository.forge.proposals == []


def test_the_first_promotion_replaces_nothing(repository: Repository):
    repository.write(desired_path("prod", MODEL), None)
    repository.world.store._entries["prod"].clear()
    assert repository.promote().replaces is None
    (proposal,) = repository.forge.proposals
    assert repository.asked().replaces is None
    assert "compare" not in proposal.body


def test_a_rule_that_refuses_proposes_nothing(repository: Repository):
    repository.finished("staging", 2, 3599)
    with pytest.raises(Blocked, match="soak:"):
        repository.promote()
    repository.ask("prod", 1, None, 'hold: {reason: wait, since: "2026-01-01T00:00:00Z", by: ann}\n')
    with pytest.raises(Blocked, match=r"hold:.*soak:"):
        repository.promote()
    assert repository.forge.proposals == []


def test_a_freeze_of_the_base_branch_counts(repository: Repository):
    window = "start: 2026-01-01T00:00, end: 2027-01-01T00:00, timezone: UTC, reason: audit, by: ann"
    repository.write(FREEZE, f"windows: [{{environments: [prod], {window}}}]\n")
    with pytest.raises(Blocked, match="freeze:"):
        repository.promote()


@pytest.mark.parametrize("source", [{"dirty": True}, {"commit": "f" * 40}])
def test_the_source_is_verified(repository: Repository, source: dict[str, object]):
    made = make_release(3)
    changes = {"commit": repository.git.id(0), **source}
    made = made.model_copy(update={"source": made.source.model_copy(update=changes)})
    repository.world.registry.add(made, repository.world.artifact)
    repository.write(release_path(MODEL, 3), yaml.safe_dump(made.model_dump(mode="json")))
    repository.finished("staging", 3, 7200)
    with pytest.raises(IntegrityError):
        repository.promote()
    assert repository.forge.proposals == []


def test_an_edited_release_is_not_proposed(repository: Repository):
    path = release_path(MODEL, 2)
    repository.write(path, repository.git.show("HEAD", path).replace("0.72", "0.99"))  # type: ignore[union-attr]
    with pytest.raises(IntegrityError, match="never edited"):
        repository.promote()


@pytest.mark.parametrize("tag", ["mlops.digest", "mlops.commit"])
def test_the_registry_must_agree(repository: Repository, tag: str):
    repository.world.registry.tag(MODEL, 2, {tag: None})
    with pytest.raises(IntegrityError):
        repository.promote()
    assert repository.forge.proposals == []


def test_a_bypass_is_for_what_may_be_skipped(repository: Repository):
    def bypass(*gates: str) -> Bypass:
        return Bypass(gates=list(gates), reason="login is broken", approver="grace")

    repository.finished("staging", 2, 10)
    for wrong in ("freeze", "hold", "digest", "replaces"):
        with pytest.raises(InvalidInput) as caught:
            repository.promote(bypass=bypass("soak", wrong))
        assert repr(wrong) in str(caught.value) and "allowed: order, soak, absolute" in str(caught.value)
    with pytest.raises(Blocked, match="soak:"):
        repository.promote(bypass=bypass("order"))
    made = repository.promote(bypass=bypass("soak", "absolute"))
    assert {rule.name for rule in made.rules if rule.verdict == "bypassed"} == {"soak"}
    assert repository.asked().bypass == bypass("soak", "absolute")
    assert repository.forge.done == [], "who bypasses a rule does not merge by that"


def test_where_there_is_nothing_to_promote(repository: Repository):
    with pytest.raises(InvalidInput, match="first environment"):
        repository.promote("staging")
    with pytest.raises(InvalidInput, match="no environment 'moon'"):
        repository.promote("moon")
    with pytest.raises(NotFound):
        repository.promote(release=9)
    repository.world = World(repository.world.artifact)
    with pytest.raises(Blocked, match="has not served"):
        repository.promote()


def test_a_reviewer_reads_who_proposes_what_and_who_may_approve(repository: Repository):
    bypass = Bypass(gates=["absolute"], reason="login is broken", approver="grace")
    repository.promote(bypass=bypass)
    body = repository.forge.proposals[0].body
    for words in ("release 1 → **release 2**", "Proposed by ada", "@grace, @org/team", "login is broken",
                  "| soak | ✅ pass |", f"`{MODEL}` in **prod**"):  # fmt: skip
        assert words in body, words


@pytest.mark.parametrize("served", [True, False])
def test_gates_are_compared_with_those_of_what_is_served(
    repository: Repository, served: bool, monkeypatch: pytest.MonkeyPatch
):
    """What the file asked for meanwhile may have been refused for the same gates."""
    made = make_release(3)
    made = made.model_copy(update={"source": made.source.model_copy(update={"commit": repository.git.id(0)})})
    repository.world.registry.add(made, repository.world.artifact)
    repository.write(release_path(MODEL, 3), yaml.safe_dump(made.model_dump(mode="json")))
    repository.finished("staging", 3, 7200)
    repository.ask("prod", 2, 1)
    if not served:
        repository.world.store._entries["prod"].clear()
    asked: list[tuple[int | None, int, str]] = []

    def between(_: object, before: Any, release: Any, rev: str) -> list[str]:
        asked.append((before.version if before else None, release.version, rev))
        return ["limit roc_auc: 0.6 to 0.5"]

    monkeypatch.setattr(module, "between", between)
    repository.promote(release=3)
    assert asked == [(1 if served else 2, 3, repository.git.head())]
    assert "limit roc_auc: 0.6 to 0.5" in repository.forge.proposals[0].body
    assert "release 2 → **release 3**" in repository.forge.proposals[0].body


def test_a_release_whose_gates_were_loosened_does_not_merge_by_itself(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
):
    repository.ask("staging", 1, 2)
    repository.finished("staging", 1, 3600)
    monkeypatch.setattr(module, "between", lambda *_: ["limit roc_auc: 0.6 to 0.5"])
    repository.promote("staging", release=2)
    assert repository.forge.done == []


def test_the_branch_that_pull_requests_go_to_says_what_there_is(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
):
    """The user's own checkout may be ahead of it."""
    there = repository.git.head()
    repository.ask("prod", 2, 1)
    assert repository.promote().pull_request is None
    monkeypatch.setattr(repository.git, "fetch", lambda _: there)
    assert repository.promote().replaces == 1
    assert repository.asked().release == 2


def test_what_another_model_serves_is_not_proposed(repository: Repository):
    other = JournalEntry(START, "apply.finished", "other", 1, "bot", "c" * 40, {})
    repository.world.store.append("staging", other)
    assert repository.promote().release == 2


@pytest.mark.parametrize(("name", "text"), [(POLICY, "order: 1\n"), (FREEZE, "windows: 7\n"), (POLICY, None)])
def test_a_file_of_the_base_that_is_not_valid_is_named(repository: Repository, name: str, text: str | None):
    repository.write(name, text)
    for verb in (repository.promote, repository.rollback):
        with pytest.raises(InvalidInput) as caught:
            verb()
        assert {problem.where.partition(":")[0] for problem in caught.value.problems} == {name}


def test_what_was_here_before_and_is_served_upstream_is_proposed_again(repository: Repository):
    repository.finished("prod", 2, 7500)
    repository.finished("prod", 1, 7000)
    assert repository.promote().release == 2


# --- rollback -----------------------------------------------------------------------------------------------


def in_prod(repository: Repository) -> None:
    """Prod serves 2 after 1."""
    repository.ask("prod", 2, 1)
    repository.finished("prod", 2, 100)


def test_a_rollback_is_the_way_back_with_a_hold(repository: Repository):
    in_prod(repository)
    made = repository.rollback()
    assert (made.release, made.replaces, made.rules) == (1, 2, ())
    state = repository.asked()
    assert (state.release, state.replaces, state.bypass) == (1, None, None)
    assert state.hold is not None
    assert (state.hold.reason, state.hold.since, state.hold.by) == ("wrong for JFK", START, "ada")
    (proposal,) = repository.forge.proposals
    assert (proposal.branch, proposal.supersedes) == (f"rollback/prod/{MODEL}", (f"promote/prod/{MODEL}",))
    assert proposal.reviewers == ("grace", "org/team")
    for words in (f"`{MODEL}` in **prod**: release 2 → back to **release 1**", "Reason: wrong for JFK",
                  "Proposed by ada"):  # fmt: skip
        assert words in proposal.body, words
    assert (made.env, made.model) == ("prod", MODEL)
    assert made.pull_request is not None
    assert list(proposal.files) == [desired_path("prod", MODEL)]
    assert repository.forge.done == []


def test_a_rollback_never_merges_by_itself(repository: Repository):
    """Also where promotions do: a person who rolls back is there to look."""
    repository.rollback("staging")
    assert repository.forge.done == []


def test_a_rollback_to_one_that_is_named(repository: Repository):
    repository.ask("prod", 2, 1)
    repository.ask("prod", 3, 2)
    for release, ago in ((2, 100), (3, 50)):
        repository.finished("prod", release, ago)
    assert repository.rollback(to=1).release == 1
    assert (repository.asked().release, repository.asked().replaces) == (1, None)
    repository.forge.proposals.clear()
    assert repository.rollback().release == 2
    assert (repository.asked().release, repository.asked().replaces) == (2, 1), "as git revert makes it"


def test_a_rollback_keeps_all_else_that_the_file_says(repository: Repository):
    repository.ask("prod", 2, 1, "# canary by ann\nstrategy: {canary: [7, 100]}\n")
    repository.finished("prod", 2, 100)
    repository.rollback()
    (text,) = repository.forge.proposals[0].files.values()
    assert text is not None and "# canary by ann" in text
    assert repository.asked().strategy.canary == [7, 100]


def test_what_another_model_verified_is_no_way_back(repository: Repository):
    in_prod(repository)
    repository.world.store._entries["prod"].clear()
    other = JournalEntry(START, "apply.finished", "other", 1, "bot", "c" * 40, {})
    repository.world.store.append("prod", other)
    with pytest.raises(Blocked):
        repository.rollback()


def test_where_nothing_was_asked_for_there_is_no_way_back():
    tip = Tip("prod", MODEL, "c" * 40, None, [], policy(), Freeze())
    with pytest.raises(Blocked):
        way_back(tip, {1}, None)


def test_what_was_bypassed_to_get_there_is_bypassed_to_get_back(repository: Repository):
    bypass = "bypass: {gates: [absolute], reason: login is broken, approver: grace}\n"
    repository.ask("prod", 1, None, bypass)
    in_prod(repository)
    repository.rollback()
    found = repository.asked().bypass
    assert found is not None
    assert found.gates == ["absolute"]


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_rollback_says_why(repository: Repository, reason: str):
    in_prod(repository)
    with pytest.raises(InvalidInput, match="--reason is empty"):
        repository.rollback(reason=reason)


def test_a_rollback_of_nothing(repository: Repository):
    repository.write(desired_path("prod", MODEL), None)
    with pytest.raises(NotFound):
        repository.rollback()


def test_a_rollback_goes_only_to_what_was_verified_here(repository: Repository):
    in_prod(repository)
    repository.happened("analysis.failed", "prod", 1, 50, reason="slow", file_commit="c" * 40)
    with pytest.raises(Blocked, match="never verified"):
        repository.rollback()
    with pytest.raises(Blocked, match="never verified"):
        repository.rollback(to=1)
    assert repository.forge.proposals == []


HISTORIES = [[3, 2, 1], [2, 3, 1], [3, 1], [1], [2, 1, 2, 1], [1, 2, 3, 2, 1]]


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("verified", [set(), {1}, {2}, {1, 2}, {1, 2, 3}, {3}])
@pytest.mark.parametrize("to", [None, 1, 2, 3, 4])
def test_every_way_back(history: list[int], verified: set[int], to: int | None):
    """Against an oracle: the newest older release of the file's history, if it is the one that is meant."""
    states = [DesiredState(release=release) for release in history]
    policy = Policy(order=["prod"], environments={"prod": EnvironmentPolicy()})
    tip = Tip("prod", MODEL, "c" * 40, "", states, policy, Freeze())
    older = [release for release in history if release < history[0] and (to is None or release == to)]
    if older and older[0] in verified:
        assert way_back(tip, verified, to) == DesiredState(release=older[0])
        return
    with pytest.raises(Blocked) as caught:
        way_back(tip, verified, to)
    known = sorted(release for release in verified if release < history[0])
    assert f": {', '.join(map(str, known)) or 'none'}" in str(caught.value)
    never = "was never asked for" if to else "never had an older one"
    said = "never verified" if older else "not older" if to and to >= history[0] else never
    assert said in str(caught.value)


def test_what_would_be_asked_for_knows_all_that_the_file_said():
    """Without it a way back would look like a release that was never here."""
    said = [DesiredState(release=version, replaces=version - 1 or None) for version in (3, 2, 1)]
    text = "release: 3\nreplaces: 2\n"
    tip = Tip("prod", MODEL, "c" * 40, text, said, policy(), Freeze())
    _, intent = proposed(tip, make_release(2), None)
    assert (intent.env, intent.model, intent.release.version) == ("prod", MODEL, 2)
    assert (intent.commit, intent.file_commit) == ("c" * 40, ""), "the merge is yet to come"
    assert (intent.policy, intent.freeze) == (tip.policy, tip.freeze)
    assert intent.lineage == transitions.lineage([intent.desired, *said])
    assert intent.lineage != transitions.lineage([intent.desired])


def test_what_would_be_asked_for_may_be_what_is_served():
    """The newest change of the file told no truth: what came before it does not count, the release does."""
    tip = Tip(
        "prod", MODEL, "c" * 40, "release: 3\nreplaces: 9\n",
        [DesiredState(release=3, replaces=9), DesiredState(release=1)], policy(), Freeze(),
    )  # fmt: skip
    _, intent = proposed(tip, make_release(2), None)
    assert intent.lineage == {2, 3, 9}


@pytest.mark.parametrize("kind", [Promotion, Tip])
def test_what_decides_is_changed_by_nobody(kind: type):
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
