"""Which release counts without a record, and where each difference stands."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any, cast

import pytest
from engine_world import MODEL

from mlops.errors import Problem, Unproven
from mlops.lifecycle.desired import check_rules
from mlops.spec._yaml import Document
from mlops.spec.files import release_path
from mlops.spec.proof import Recorded
from mlops.spec.seal import Seal

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


SEALED, PLAIN = (
    Recorded(MODEL, 2, {}, "run", cast(Seal, SimpleNamespace(strict=strict))) for strict in (True, False)
)


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


@pytest.mark.parametrize(
    ("named", "based", "strict", "compared"),
    [
        (False, True, True, False),
        (False, True, False, True),
        (True, True, True, True),
        (False, False, True, True),
    ],
)
def test_where_records_must_be_signed_an_old_release_that_nobody_asks_for_is_let_be(
    asked: list[tuple[object, object, bool]], named: bool, based: bool, strict: bool, compared: bool
) -> None:
    told = list(check_rules.recorded(tree({2: SEALED if strict else PLAIN}, named=named, based=based)))
    assert bool(told) is bool(asked) is compared


def test_one_that_is_let_be_hides_no_other(asked: list[tuple[object, object, bool]]) -> None:
    world = tree({2: SEALED, 3: SEALED}, based=True)
    told = [problem.where.partition(":")[0] for problem in check_rules.recorded(world)]
    assert told == [release_path(MODEL, 3)] * 2
