"""Which file of gates each of two releases was judged by, and who wrote it: the wrong one hides what was
loosened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_world import MODEL, make_release
from memory_git import MemoryGit

from mlops.errors import InvalidInput, NotFound
from mlops.lifecycle.decide.loosened import between, loosened, writers
from mlops.lifecycle.desired import approvals
from mlops.lifecycle.desired.approvals import Scales, unweighed
from mlops.spec import files
from mlops.spec.gatepolicy import GatePolicy
from mlops.spec.policy import EnvironmentPolicy, Policy
from mlops.spec.release import Release

GATES = files.gates_path(MODEL)
POLICY: dict[str, Any] = {
    "metrics": {"roc_auc": {"min": 0.7}},
    "champion": {"metric": "roc_auc", "direction": "higher", "max_drop": 0.01, "confidence": 0.95},
    "slices": [],
    "onnx": {"required": True, "max_abs_difference": 0.001, "max_label_flips": 1},
    "size": {"max_megabytes": 10},
    "latency": {"max_ratio": 1.5},
    "contract": {"max_violations": 1},
    "signature": {"compatible_with_live": True},
}
STRICT, LAX = (json.dumps({**POLICY, "metrics": {"roc_auc": {"min": least}}}) for least in (0.7, 0.6))
TOLD = ["metrics.roc_auc.min: was 0.7, is 0.6"]


def judged(version: int, commit: str, text: str | None) -> Release:
    made = make_release(version)
    digest = None if text is None else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    source = made.source.model_copy(update={"commit": commit})
    return made.model_copy(update={"source": source, "gates_digest": digest})


@pytest.fixture
def git() -> MemoryGit:
    """Three commits: strict, lax, strict again."""
    made = MemoryGit()
    for text in (STRICT, LAX, STRICT):
        made.commit({GATES: text})
    return made


def test_the_file_of_another_commit_counts_where_the_release_was_judged_by_it(git: MemoryGit) -> None:
    """Trained from the strict commit, and judged when the lax file stood there."""
    before = judged(1, git.id(0), STRICT)
    assert between(git, before, judged(2, git.id(1), LAX)) == TOLD  # type: ignore[arg-type]
    assert between(git, before, judged(2, git.id(0), LAX)) == TOLD  # type: ignore[arg-type]
    assert between(git, judged(1, git.id(1), STRICT), judged(2, git.id(1), LAX)) == TOLD  # type: ignore[arg-type]
    assert between(git, before, judged(2, git.id(1), STRICT)) == []  # type: ignore[arg-type]


def test_without_digests_the_file_of_the_commit_counts(git: MemoryGit) -> None:
    before, after = judged(1, git.id(0), None), judged(2, git.id(1), None)
    assert between(git, before, after) == TOLD  # type: ignore[arg-type]
    assert between(git, after, before) == []  # type: ignore[arg-type]
    assert between(git, before, judged(1, git.id(1), None)) == [], "one release with itself"  # type: ignore[arg-type]
    assert between(git, None, after) == []  # type: ignore[arg-type]


def test_only_the_history_that_is_asked_about_is_known(git: MemoryGit) -> None:
    before, other = judged(1, git.id(0), STRICT), judged(2, git.id(0), LAX)
    assert between(git, before, other, git.id(2)) == TOLD  # type: ignore[arg-type]
    (told,) = between(git, before, other, git.id(0))  # type: ignore[arg-type]
    assert "that no commit has" in told


def test_a_file_that_no_commit_has_is_told_also_where_there_was_none_before() -> None:
    git = MemoryGit()
    first = git.commit({"README.md": "x"})
    (told,) = between(git, judged(1, first, None), judged(2, first, LAX))  # type: ignore[arg-type]
    assert "that no commit has" in told
    assert between(git, judged(1, first, None), judged(2, first, None)) == []  # type: ignore[arg-type]


def test_who_wrote_the_gates_is_asked_of_the_commits_between() -> None:
    class Log:
        def run(self, *words: str) -> str:
            assert words == ("log", "--format=%H", f"{'a' * 40}..tip", "--", GATES)
            return "b\nc\n"

    assert writers(Log(), judged(1, "a" * 40, None), judged(2, "d" * 40, None), "tip") == ["b", "c"]  # type: ignore[arg-type]


ALLOWS: dict[str, Any] = {
    "allow_code": {"reason": "no other file can hold it", "approver": "Ada"},
    "believe": {"what": "report", "reason": "no rows may leave it", "approver": "Ada"},
    "onnx": {**POLICY["onnx"], "required": False},
    "signature": {"compatible_with_live": False},
}


@pytest.mark.parametrize("section", ALLOWS)
def test_what_was_allowed_before_is_not_told_again(section: str) -> None:
    said = GatePolicy.model_validate({**POLICY, section: ALLOWS[section]})
    assert loosened(said, said) == []


# --- who agreed to it ---------------------------------------------------------------------------------------


class Forge:
    def __init__(self, *approved: str) -> None:
        self.approved = approved

    def review(self, commit: str) -> Any:
        assert commit == "merge"
        return type("Review", (), {"author": "Ada", "approved": self.approved, "url": "page"})

    def authors(self, commits: list[str]) -> list[str]:
        return {"wrote": ["Grace"]}.get("".join(commits), [])


def intent(needed: int = 1) -> Any:
    rules = {"prod": EnvironmentPolicy(loosened_approvals=needed)}
    fields = {
        "env": "prod", "model": MODEL, "policy": Policy(order=["prod"], environments=rules),
        "release": make_release(3), "commit": "tip", "file_commit": "merge",
    }  # fmt: skip
    return type("Asked", (), fields)


Asks = Callable[..., Any]


@pytest.fixture
def weighed(monkeypatch: pytest.MonkeyPatch) -> Asks:
    """Asks the scales where the gates of release 3 are weaker than those of 2."""
    monkeypatch.setattr(
        approvals, "between", lambda _, before, *__: ["weaker"] if before.version == 2 else []
    )
    monkeypatch.setattr(approvals, "writers", lambda *_: ["wrote"])
    monkeypatch.setattr(approvals.provenance, "release_at", lambda _, __, version, ___: make_release(version))

    def ask(served: int | None, *approved: str, needed: int = 1) -> Any:
        return Scales(Path(), lambda: Forge(*approved))(intent(needed), served)  # type: ignore[arg-type,return-value]

    return ask


def test_whoever_wrote_the_change_or_the_gates_approves_nothing(weighed: Asks) -> None:
    found = weighed(2, "ada", "GRACE", "linus", "Bea")
    assert (found.lines, found.approved, found.where) == (("weaker",), ("Bea", "linus"), "page")


@pytest.mark.parametrize("served", [None, 1, 3])
def test_nobody_is_asked_about_a_first_release_itself_or_gates_that_are_no_weaker(
    weighed: Asks, served: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if served == 3:
        monkeypatch.setattr(approvals, "between", lambda *_: pytest.fail("compared with itself"))
    found = weighed(served, "linus")
    assert (found.lines, found.approved) == ((), None)


def test_where_policy_asks_for_nobody_nothing_is_weighed(weighed: Asks) -> None:
    assert weighed(2, needed=0) is None


@pytest.mark.parametrize("error", [NotFound("gone"), InvalidInput("no release")])
def test_gates_of_what_is_served_that_cannot_be_read_need_approval(
    weighed: Asks, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object) -> Release:
        raise error

    monkeypatch.setattr(approvals.provenance, "release_at", fails)
    found = weighed(2, "grace")
    assert len(found.lines) == 1
    assert found.approved == ("grace",)


@pytest.mark.parametrize(("served", "weaker"), [(None, False), (3, False), (2, True)])
def test_without_files_and_forge_nobody_has_agreed_to_a_move(served: int | None, weaker: bool) -> None:
    found = unweighed(intent(), served)
    assert found is not None
    assert (bool(found.lines), found.approved) == ((True, ()) if weaker else (False, None))
