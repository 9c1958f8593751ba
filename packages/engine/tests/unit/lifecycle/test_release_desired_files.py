"""A move edits its own fields and nothing else: what a promotion loses is lost for good."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from engine_world import make_release
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st
from yaml_lint import lint

from mlops.errors import InvalidInput
from mlops.lifecycle.desired.desired_files import KEEP, desired_text, write_desired
from mlops.lifecycle.propose.release import release_text
from mlops.spec._yaml import Document
from mlops.spec.desired import Bypass, DesiredState, Hold
from mlops.spec.gates import GateResult, Interval
from mlops.spec.release import Release

FILE = """\
# Late arrivals; page team-freight before noon.
release: 7  # approved in #12
replaces: 6
strategy:
  canary: [5, 100]   # small town
  analysis: 90s

# A person clears this.
hold:
  reason: "spike of 500s"
  since: 2026-01-02T03:04:05Z
  by: ada
# the end
"""
HOLD = Hold(reason='he said: "no", # twice', since=datetime(2026, 1, 2, tzinfo=UTC), by="yes")
BYPASS = Bypass(gates=["soak"], reason="the old one is down", approver="ada")


def parse(text: str) -> DesiredState:
    return Document(text, "environments/prod/freight.yaml").parse(DesiredState)


def edit(
    text: str | None, release: int, replaces: int | None, hold: Any = KEEP, bypass: Bypass | None = None
) -> str:
    name = "environments/prod/freight.yaml"
    return desired_text(text, name, release=release, replaces=replaces, hold=hold, bypass=bypass)


def test_a_promotion_changes_two_lines_only():
    new = edit(FILE, 8, 7)
    changed = [(a, b) for a, b in zip(FILE.splitlines(), new.splitlines(), strict=True) if a != b]
    assert changed == [
        ("release: 7  # approved in #12", "release: 8  # approved in #12"),
        ("replaces: 6", "replaces: 7"),
    ]


def test_a_hold_is_cleared_and_comments_around_it_stay():
    new = edit(FILE, 8, 7, None)
    assert parse(new).hold is None
    assert "# A person clears this.\nhold: null\n# the end\n" in new
    assert "canary: [5, 100]   # small town" in new


def test_a_hold_is_set_with_text_that_yaml_would_misread():
    new = edit(edit(FILE, 8, 7, None), 7, 8, HOLD)
    assert parse(new).hold == HOLD


def test_a_bypass_is_for_one_move():
    once = edit(FILE, 8, 7, KEEP, BYPASS)
    assert parse(once).bypass == BYPASS
    assert parse(edit(once, 9, 8)).bypass is None


def test_a_new_file_is_short_and_valid(tmp_path: Path):
    path = tmp_path / "environments" / "staging" / "freight.yaml"
    assert write_desired(path, 1, None)
    text = path.read_text()
    state = parse(text)
    assert (state.release, state.replaces, state.hold) == (1, None, None)
    assert state == DesiredState(release=1), "the text of a new file must say the defaults, not other values"
    assert len(text.splitlines()) <= 6
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_same_again_changes_nothing(tmp_path: Path):
    path = tmp_path / "freight.yaml"
    assert write_desired(path, 2, 1)
    before = path.stat().st_mtime_ns
    assert not write_desired(path, 2, 1)
    assert path.stat().st_mtime_ns == before
    assert [p.name for p in tmp_path.iterdir()] == ["freight.yaml"], "a temporary file was left behind"


def test_release_and_replaces_may_not_be_equal():
    with pytest.raises(InvalidInput, match="a change must change something"):
        edit(FILE, 7, 7)


@pytest.mark.parametrize("text", ["release: [7]\n", "releese: 7\n"])
def test_what_cannot_be_edited_is_refused(text: str):
    with pytest.raises(InvalidInput, match=r"environments/prod/freight\.yaml:1"):
        edit(text, 8, 7)


def test_a_file_in_braces_is_edited_too():
    assert edit("{release: 7, replaces: 6}\n", 8, 7) == "{release: 8, replaces: 7}\n"


def test_an_anchor_that_another_field_uses_is_not_broken():
    with pytest.raises(InvalidInput):
        edit("release: &r 7\nreplaces: 6\nstrategy: {min_requests: *r}\n", 8, 7)


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@given(release=st.integers(1, 10**6), reason=words, by=words, comment=words)
def test_any_hold_survives_and_every_other_field_stays(release: int, reason: str, by: str, comment: str):
    hold = Hold(reason=reason, since=datetime(2026, 1, 2, tzinfo=UTC), by=by)
    new = edit(FILE, release, release + 1, hold)
    state = parse(new)
    assert (state.release, state.replaces, state.hold) == (release, release + 1, hold)
    assert yaml.safe_load(new)["strategy"] == yaml.safe_load(FILE)["strategy"]
    assert "# small town" in new


LONGEST = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=10, max_size=400)


@examples(12)
@given(reason=LONGEST, by=LONGEST, names=st.lists(words, min_size=1, max_size=8))
@example(reason="no space " * 40, by="x" * 200, names=["slice " + "origin" * 40] * 3)
def test_what_a_move_writes_is_clean(reason: str, by: str, names: list[str]):
    """`make lint` of a fork stays green after a rollback and a hotfix, whatever people write."""
    hold = Hold(reason=reason, since=datetime(2026, 1, 2, tzinfo=UTC), by=by)
    bypass = Bypass(gates=names, reason=reason, approver=by)
    once = edit(None, 8, 7, hold, bypass)
    assert parse(once).hold == hold
    assert parse(once).bypass == bypass
    assert lint(once) == []
    again = edit(edit(FILE, 8, 7, None, bypass), 9, 8, hold)
    assert parse(again).hold == hold
    assert lint(again) == []


def results(text: st.SearchStrategy[str]) -> st.SearchStrategy[GateResult]:
    return st.builds(GateResult, name=text, verdict=st.just("pass"), observed=text, limit=text, detail=text)


@examples(12)
@given(
    gates=st.lists(results(st.one_of(words, LONGEST)), min_size=1, max_size=12),
    names=st.lists(st.one_of(words, LONGEST), min_size=1, max_size=6, unique=True),
    value=st.floats(allow_nan=False, allow_infinity=False),
    who=LONGEST,
)
def test_a_release_is_clean_and_says_what_was_released(
    gates: list[GateResult], names: list[str], value: float, who: str
):
    made = make_release(7, gates=gates).model_copy(
        update={
            "metrics": {name: Interval(value=value, low=value, high=value) for name in names},
            "source": make_release(7).source.model_copy(update={"actor": who, "branch": who}),
        }
    )
    text = release_text(made)
    assert Document(text, "releases/freight/7.yaml").parse(Release) == made
    assert lint(text) == []
