"""Where a release comes from is never skipped: each way in which it may be another is refused by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_world import MODEL, make_release
from memory_git import MemoryGit

from mlops.errors import IntegrityError, InvalidInput, NotFound
from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.desired import provenance
from mlops.lifecycle.desired.proven import recorded
from mlops.spec._emit import dump
from mlops.spec.files import FREEZE, POLICY, desired_path, release_path
from mlops.spec.policy import Freeze
from mlops.spec.proof import differences
from mlops.spec.release import Release
from mlops.targets.base import Target
from mlops.targets.memory import MemoryRegistry, MemoryStore

ENV = "prod"
FILE = desired_path(ENV, MODEL)
ORDER = "order: [staging, prod]\nenvironments: {staging: {}, prod: {soak: 1h}}\n"
WINDOW = (
    "windows: [{environments: [prod], start: 2026-01-01T00:00, end: 2027-01-01T00:00, timezone: UTC, "
    "reason: audit, by: ann}]\n"
)


def record(version: int, **source: object) -> Release:
    made = make_release(version)
    return made.model_copy(update={"source": made.source.model_copy(update=source)})


def text_of(release: Release) -> str:
    return dump(release.model_dump(mode="json"))


def asks(release: int, replaces: int | None = None) -> str:
    return f"release: {release}\nreplaces: {replaces or 'null'}\n"


@pytest.fixture
def git(monkeypatch: pytest.MonkeyPatch) -> MemoryGit:
    """Release 1 was trained from the first commit; prod asks for it."""
    made = MemoryGit()

    def git_of(root: Path) -> MemoryGit:
        assert root == Path(), "the repository that was named is the one that is asked"
        return made

    monkeypatch.setattr(provenance, "Git", git_of)
    trained = made.commit({POLICY: ORDER})
    made.commit({release_path(MODEL, 1): text_of(record(1, commit=trained))})
    made.commit({FILE: asks(1)})
    return made


def intent(rev: str = "HEAD") -> Intent:
    return provenance.read_intent(Path(), ENV, MODEL, rev)


# --- what a commit wants ------------------------------------------------------------------------------------


def test_the_files_of_a_commit_are_what_is_wanted(git: MemoryGit):
    asked = git.head()
    git.commit({"README.md": "other"})
    found = intent()
    assert (found.env, found.model, found.desired.release) == (ENV, MODEL, 1)
    assert (found.commit, found.file_commit) == (git.head(), asked)
    assert found.release.version == 1
    assert found.policy.order == ["staging", "prod"]
    assert found.freeze == Freeze()
    assert found.lineage == {1}
    assert provenance.read_intent(Path(), ENV, MODEL) == found, "of HEAD, where no commit is named"
    git.commit({FREEZE: WINDOW})
    assert len(intent().freeze.windows) == 1
    assert intent(asked).freeze == Freeze(), "of the commit that was asked, not of the newest"


def test_what_the_file_said_before_may_be_served(git: MemoryGit):
    git.commit({FILE: asks(2, 1), release_path(MODEL, 2): text_of(record(2))})
    assert intent().lineage == {1, 2}
    git.commit({FILE: asks(3, 7), release_path(MODEL, 3): text_of(record(3))})
    assert intent().lineage == {3, 7}, "it was written against another release"


def test_a_shallow_clone_is_refused(git: MemoryGit):
    git.is_shallow = True
    with pytest.raises(InvalidInput, match="--unshallow"):
        intent()


@pytest.mark.parametrize("name", [FILE, release_path(MODEL, 1), POLICY, FREEZE])
def test_what_is_not_committed_is_refused(git: MemoryGit, name: str):
    git.changed = ["README.md"]
    assert intent().desired.release == 1
    git.changed = [name]
    with pytest.raises(InvalidInput) as caught:
        intent()
    assert name in str(caught.value)


def test_a_file_that_was_never_committed_or_is_gone(git: MemoryGit):
    git.commit({FILE: None})
    with pytest.raises(NotFound):
        intent()
    git.changed = [FILE]
    with pytest.raises(InvalidInput, match="not committed"):
        intent()


def test_what_was_never_there(git: MemoryGit):
    with pytest.raises(NotFound):
        provenance.read_intent(Path(), ENV, "nobody")
    assert provenance.desired_history(git, "environments/prod/nobody.yaml", "HEAD") == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "field"),
    [
        (POLICY, "order: 1\n", "order"),
        (POLICY, None, ""),
        (FREEZE, "windows: 7\n", "windows"),
        (FILE, "releese: 1\n", "releese"),
        (release_path(MODEL, 1), "version: one\n", "version"),
    ],
)
def test_a_file_that_is_not_valid_is_named(git: MemoryGit, name: str, text: str | None, field: str):
    git.commit({name: text})
    with pytest.raises(InvalidInput) as caught:
        intent()
    assert {problem.where.partition(":")[0] for problem in caught.value.problems} == {name}
    assert not field or field in {problem.field for problem in caught.value.problems}


def test_an_environment_that_the_policy_does_not_know(git: MemoryGit):
    git.commit({POLICY: "order: [staging]\nenvironments: {staging: {}}\n"})
    with pytest.raises(InvalidInput, match="no environment 'prod'"):
        intent()


def test_history_has_no_end(git: MemoryGit):
    """Fifty changes were read once: what was asked for before them was never asked for."""
    for version in range(2, 130):
        git.commit({FILE: asks(version, version - 1)})
    git.commit({release_path(MODEL, 129): text_of(record(129))})
    history = provenance.desired_history(git, FILE, "HEAD")  # type: ignore[arg-type]
    assert [state.release for _, state in history] == list(range(129, 0, -1))
    assert 1 in intent().lineage


def test_history_ends_where_the_file_was_not_there_or_not_valid(git: MemoryGit):
    git.commit({FILE: None})
    git.commit({FILE: asks(2)})
    git.commit({FILE: asks(3, 2)})
    found = provenance.desired_history(git, FILE, "HEAD")  # type: ignore[arg-type]
    assert [state.release for _, state in found] == [3, 2]
    git.commit({FILE: "releese: 4\n"})
    with pytest.raises(InvalidInput) as caught:
        provenance.desired_history(git, FILE, "HEAD")  # type: ignore[arg-type]
    assert "releese" in {problem.field for problem in caught.value.problems}
    assert {problem.where.partition(":")[0] for problem in caught.value.problems} == {FILE}
    git.commit({FILE: asks(5, 3)})
    found = provenance.desired_history(git, FILE, "HEAD")  # type: ignore[arg-type]
    assert [state.release for _, state in found] == [5]


def test_a_release_that_is_about_another_is_refused(git: MemoryGit):
    git.commit({release_path(MODEL, 2): text_of(record(3))})
    with pytest.raises(InvalidInput) as caught:
        provenance.release_at(git, MODEL, 2, "HEAD")  # type: ignore[arg-type]
    assert caught.value.problems[0].field == "version"
    git.commit({"releases/other/3.yaml": text_of(record(3))})
    with pytest.raises(InvalidInput) as caught:
        provenance.release_at(git, "other", 3, "HEAD")  # type: ignore[arg-type]
    assert caught.value.problems[0].field == "model"
    assert caught.value.problems[0].where.startswith("releases/other/3.yaml")
    with pytest.raises(NotFound):
        provenance.release_at(git, MODEL, 9, "HEAD")  # type: ignore[arg-type]


def test_a_release_that_was_deleted_says_by_whom(git: MemoryGit):
    git.commit({release_path(MODEL, 1): None})
    with pytest.raises(NotFound) as caught:
        intent()
    assert f"was deleted by {git.id(3)[:8]}" in str(caught.value)
    assert f"git checkout {git.id(1)[:8]} -- {release_path(MODEL, 1)}" in str(caught.value)
    with pytest.raises(NotFound) as caught:
        provenance.release_at(git, MODEL, 9, "HEAD")  # type: ignore[arg-type]
    assert f"there is no release 9 of {MODEL}" in str(caught.value)
    assert "is not in commit" in str(caught.value)


OTHER = "other"


def for_two(git: MemoryGit) -> provenance.Wanted:
    return provenance.Wanted(Path(), ENV, [MODEL, OTHER])


@pytest.fixture
def two(git: MemoryGit) -> MemoryGit:
    """Prod asks for release 1 of two models; of the first it asked for 1, then for 2."""
    other = record(1, commit=git.id(0)).model_copy(update={"model": OTHER})
    git.commit({release_path(OTHER, 1): text_of(other), desired_path(ENV, OTHER): asks(1)})
    git.commit({release_path(MODEL, 2): text_of(record(2, commit=git.id(0))), FILE: asks(2, 1)})
    return git


def test_two_models_are_asked_for_at_once_and_get_their_own(two: MemoryGit):
    wanted = for_two(two)
    mine, other = wanted.intent(MODEL), wanted.intent(OTHER)
    assert (mine.release.model, mine.release.version, mine.lineage) == (MODEL, 2, {1, 2})
    assert (other.release.model, other.release.version, other.lineage) == (OTHER, 1, {1})
    assert (mine.file_commit, other.file_commit) == (two.id(4), two.id(3))
    assert mine.commit == other.commit == two.head()


@pytest.mark.parametrize(
    ("models", "history", "uncommitted"),
    [
        ([MODEL], FILE, {FILE, POLICY, FREEZE, release_path(MODEL, 2)}),
        ([MODEL, OTHER], "environments/prod", {"environments", "releases"}),
        ([MODEL, OTHER, "nobody"], "environments/prod", {"environments", "releases"}),
    ],
)
def test_git_is_asked_for_one_file_or_for_a_folder(
    two: MemoryGit, monkeypatch: pytest.MonkeyPatch, models: list[str], history: str, uncommitted: set[str]
):
    """The names of a thousand models are no command line, and one model needs no look at all others."""
    asked: list[str] = []
    names: list[set[str]] = []
    texts, changed = two.texts, two.uncommitted
    monkeypatch.setattr(two, "texts", lambda path, *a: (asked.append(path), texts(path, *a))[1])
    monkeypatch.setattr(two, "uncommitted", lambda *n: (names.append(set(n)), changed(*n))[1])
    wanted = provenance.Wanted(Path(), ENV, models)
    assert wanted.intent(MODEL).desired.release == 2
    assert (asked, names) == ([history], [uncommitted])


def test_what_is_wrong_with_one_model_is_not_in_the_way_of_another(two: MemoryGit):
    two.changed = [FILE, release_path(MODEL, 2)]
    assert for_two(two).intent(OTHER).desired.release == 1
    with pytest.raises(InvalidInput):
        for_two(two).intent(MODEL)
    two.changed = []
    two.commit({FILE: "releese: 4\n"})
    assert for_two(two).intent(OTHER).desired.release == 1
    with pytest.raises(InvalidInput):
        for_two(two).intent(MODEL)


@pytest.mark.parametrize("name", [POLICY, FREEZE, release_path(OTHER, 1), desired_path(ENV, OTHER)])
def test_what_is_not_committed_is_refused_among_others_too(two: MemoryGit, name: str):
    two.changed = [name]
    with pytest.raises(InvalidInput) as caught:
        for_two(two).intent(OTHER)
    assert name in str(caught.value)


# --- its source ---------------------------------------------------------------------------------------------


def test_a_good_source_is_let_through(git: MemoryGit):
    provenance.verify_source(Path(), intent())


def test_an_edited_release_is_refused_with_who_did_it(git: MemoryGit):
    wanted = intent()
    git.commit({release_path(MODEL, 1): text_of(record(1, commit=git.id(0), actor="eve"))})
    provenance.verify_source(Path(), wanted)  # the commit that is applied does not have the edit
    with pytest.raises(IntegrityError) as caught:
        provenance.verify_source(Path(), intent())
    assert f"was written by {git.id(1)[:8]}, and {git.id(3)[:8]} changed its bytes" in str(caught.value)
    assert f"-- {release_path(MODEL, 1)}, and commit" in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("", ""),
        ("c1 100644 b1", ""),
        ("c1 120000 b1", "is no regular file since c1"),
        ("c2 100644 b2, c1 100644 b1", "c1, and c2 changed its bytes"),
        ("c2 100755 b1, c1 100644 b1", "c1, and c2 changed its mode"),
        ("c2 100755 b2, c1 100644 b1", "c1, and c2 changed bytes and mode"),
        ("c2 120000 b1, c1 100644 b1", "is no regular file since c2"),
        ("c2 160000 b1, c1 100644 b1", "is no regular file since c2"),
        ("c2 000000 00, c1 100644 b1", "was deleted by c2"),
        ("c3 100644 b1, c2 100644 b2, c1 100644 b1", ""),
        ("c3 100644 b1, c2 000000 00, c1 100644 b1", ""),
        ("c3 100755 b1, c2 000000 00, c1 100644 b1", "c1, and c3 changed its mode"),
        ("c3 100644 b3, c2 100644 b2, c1 100644 b1", "c1, and c3 changed its bytes"),
        ("c3 000000 00, c2 100644 b2, c1 100644 b1", "was deleted by c3"),
    ],
)
def test_a_release_is_as_it_was_written_or_says_who_changed_what(rows: str, words: str):
    """One that was restored is as it was written, whatever became of it in between."""
    found = provenance.changed(
        [(a, b, c) for a, b, c in (row.split() for row in rows.split(", ") if row)], "releases/x/1.yaml"
    )
    assert words in found and bool(found) == bool(words)
    assert not found or ("git checkout c1 -- releases/x/1.yaml" in found)


@pytest.mark.parametrize(
    ("source", "known", "words"),
    [
        ({"dirty": True}, (), "uncommitted changes"),
        ({"commit": "f" * 40}, (), "this repository does not have"),
        ({"commit": "f" * 40}, ("f" * 40,), "not part of the history"),
    ],
    ids=["uncommitted changes", "an unknown commit", "a commit of another branch"],
)
def test_a_source_that_nobody_can_go_back_to_is_refused(
    git: MemoryGit, source: dict[str, object], known: tuple[str, ...], words: str
):
    """The sentence says what to do, and that is another thing each time."""
    git.known = set(known)
    git.commit({release_path(MODEL, 2): text_of(record(2, **{"commit": git.id(0), **source}))})
    git.commit({FILE: asks(2, 1)})
    with pytest.raises(IntegrityError) as caught:
        provenance.verify_source(Path(), intent())
    assert words in str(caught.value)


def test_a_source_that_comes_after_the_commit_is_refused(git: MemoryGit):
    git.commit({release_path(MODEL, 2): text_of(record(2, commit=git.id(5))), FILE: asks(2, 1)})
    wanted = intent()
    git.commit({"a": "1"})
    git.commit({"a": "2"})
    with pytest.raises(IntegrityError, match="not part of the history"):
        provenance.verify_source(Path(), wanted)


def test_a_commit_is_newer_when_ours_leads_to_it(git: MemoryGit):
    old, new = git.id(0), git.id(2)
    assert provenance.is_newer(Path(), new, old)
    assert not provenance.is_newer(Path(), old, new)
    assert not provenance.is_newer(Path(), old, old)
    assert not provenance.is_newer(Path(), "f" * 40, old)


# --- what the registry says ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({}, ""),
        ({"mlops.digest": "sha256:" + "f" * 64}, "digest"),
        ({"mlops.digest": None}, "digest"),
        ({"mlops.digest": ""}, "digest"),
        ({"mlops.commit": "f" * 40}, "source.commit"),
        ({"mlops.commit": None}, "source.commit"),
    ],
)
def test_the_registry_agrees_on_digest_and_commit(change: dict[str, str | None], field: str, tmp_path: Path):
    registry = MemoryRegistry()
    registry.add(record(1), tmp_path)
    registry.tag(MODEL, 1, change)
    found = [place for place, _ in differences(record(1), recorded(registry, registry.get(MODEL, 1)))]
    assert found == ([field] if field else [])


def test_nothing_is_fetched_that_the_registry_disagrees_on(git: MemoryGit, tmp_path: Path):
    wanted = intent()
    registry = MemoryRegistry()
    target = Target("memory", None, registry, None, MemoryStore(), None)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        provenance.fetch(wanted, target)
    registry.add(wanted.release, tmp_path)
    assert provenance.fetch(wanted, target) == tmp_path
    asked: list[tuple[str, int, str]] = []
    fetched = registry.fetch
    registry.fetch = lambda *a: (asked.append(a), fetched(*a))[1]  # type: ignore[method-assign]
    provenance.fetch(wanted, target)
    assert asked == [(MODEL, 1, wanted.release.digest)], "the digest is what the download is held against"
    registry.tag(MODEL, 1, {"mlops.digest": None})
    with pytest.raises(IntegrityError):
        provenance.fetch(wanted, target)
    assert len(asked) == 1, "and nothing is downloaded that is not proven"
