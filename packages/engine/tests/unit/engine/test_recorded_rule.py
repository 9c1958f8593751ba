"""Which release counts without a record, and where each difference stands."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from engine_world import MODEL

from mlops.errors import Problem, Unproven
from mlops.lifecycle.desired import check_rules
from mlops.spec._yaml import Document
from mlops.spec.files import release_path

TEXT = """\
model: freight
version: 2
digest: sha256:1
gates:
- name: a
  verdict: pass
- name: b
  verdict: pass
"""
"""Lines that a difference may be about; what a release has to say besides is not asked here."""


def tree(found: dict[int, Any], *, verified: bool = False, named: bool = False, based: bool = False) -> Any:
    documents = {(MODEL, n): Document(TEXT, release_path(MODEL, n)) for n in found}
    asked = SimpleNamespace(model=MODEL, state=SimpleNamespace(release=2))
    return SimpleNamespace(
        wanted={"staging": asked} if named else {},
        recorded={(MODEL, n): what for n, what in found.items()},
        releases={key: (document, f"release {key[1]}") for key, document in documents.items()},
        verified={(MODEL, 2)} if verified else set(),
        base_releases={release_path(MODEL, 2): TEXT} if based else {},
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, object, bool]]:
    """What the rule was asked; every version differs in its digest and in a gate."""
    calls: list[tuple[object, object, bool]] = []

    def unproven(release: object, found: object, *, verified: bool) -> list[tuple[str, str]]:
        calls.append((release, found, verified))
        return [("digest", "another digest"), ("gates.1.verdict", "another verdict")]

    monkeypatch.setattr(check_rules, "unproven", unproven)
    return calls


@pytest.mark.parametrize(("verified", "named", "based"), list(product((False, True), repeat=3)))
def test_without_a_record_counts_what_served_and_what_stood_there_and_nobody_asks_for(
    asked: list[tuple[object, object, bool]], verified: bool, named: bool, based: bool
) -> None:
    list(check_rules.recorded(tree({2: 7}, verified=verified, named=named, based=based)))
    assert asked == [("release 2", 7, verified or (based and not named))]


def test_each_difference_is_a_problem_in_its_line(asked: list[tuple[object, object, bool]]) -> None:
    name = release_path(MODEL, 2)
    assert list(check_rules.recorded(tree({2: 7}))) == [
        Unproven(f"{name}:3", "another digest", "digest"),
        Unproven(f"{name}:8", "another verdict", "gates.1.verdict"),
    ]


def test_a_version_that_the_registry_does_not_know_hides_no_other(
    asked: list[tuple[object, object, bool]],
) -> None:
    first, *rest = check_rules.recorded(tree({1: "is not registered", 2: 7}))
    assert first == Problem(f"{release_path(MODEL, 1)}:2", "is not registered", "version")
    assert [problem.field for problem in rest] == ["digest", "gates.1.verdict"]
    assert [found for _, found, _ in asked] == [7]
