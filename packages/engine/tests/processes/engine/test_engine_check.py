"""What `mlops check` lets through is merged by people who trust it: each rule has a change that it stops."""

from __future__ import annotations

from datetime import timedelta

import pytest
from check_world import PROD, STAGING, edit, problems, promote
from git_world import GitWorld, git

from mlops.errors import InvalidInput
from mlops.lifecycle.desired.check import check

BYPASS = "{gates: [order], reason: login is broken, approver: grace}"


def test_a_good_tree_and_a_good_promotion_have_no_problems(two: GitWorld):
    assert problems(two, None) == []
    promote(two)
    assert problems(two) == []


def test_a_git_revert_is_legal(two: GitWorld):
    promote(two)
    two.commit("Promote")
    git(two.root, "revert", "--no-edit", "HEAD")
    assert problems(two, "HEAD~1") == []


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (
            STAGING,
            "release: 2",
            "release: 7",
            f"{STAGING}:2: release: there is no release 7 of freight",
        ),
        (STAGING, "release: 2", "relaese: 2", "unknown field; allowed:"),
        (STAGING, "canary: [10, 100]", "canary: [50, 10]", "must rise from 1 or more to 100"),
        (
            STAGING,
            "hold: null",
            "bypass: {gates: [freeze], reason: because I can, approver: me}",
            "'freeze' cannot be skipped; allowed: order, soak, absolute",
        ),
        ("environments/policy.yaml", "order: [staging, prod]", "order: [staging]", "exactly once"),
        ("environments/freeze.yaml", "windows: []", "windows: 7", "environments/freeze.yaml:1: windows"),
        ("mlops.toml", "usecase", "use_case", ": models.freight"),
        ("pipelines/freight/model.yaml", "metrics:", "metrix:", "pipelines/freight/model.yaml:"),
        ("releases/freight/2.yaml", "version: 2", "version: 3", "its name says freight 2"),
    ],
)
def test_a_wrong_file_is_named_with_line_and_field(two: GitWorld, name: str, old: str, new: str, says: str):
    edit(two, name, old, new)
    found = problems(two, None)
    assert any(says in line for line in found), found


def test_a_freeze_that_would_freeze_nothing(two: GitWorld):
    window = "start: 2030-12-23T18:00, end: 2031-01-02T08:00, timezone: UTC, reason: audit, by: ann"
    right = f"{{environments: [staging, prod], models: [freight], {window}}}"
    wrong = f"{{environments: [prd], models: [fright], {window}}}"
    edit(two, "environments/freeze.yaml", "windows: []", f"windows:\n- {right}\n- {wrong}")
    at = "environments/freeze.yaml:3: windows.1"
    assert problems(two, None) == [
        f"{at}.environments.0: there is no environment 'prd'; known: staging, prod",
        f"{at}.models.0: there is no model 'fright'; known: freight",
    ]


def test_all_problems_are_told_at_once(two: GitWorld):
    edit(two, STAGING, "release: 2", "release: 7")
    edit(two, PROD, "release: 1", "release: 8")
    assert len(problems(two, None)) >= 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("environments/moon/freight.yaml", "there is no environment 'moon'"),
        ("environments/prod/trains.yaml", "allowed here: freight.yaml"),
        ("releases/trains/1.yaml", "mlops.toml has no model 'trains'"),
        ("releases/freight/latest.yaml", "a release file is called <version>.yaml"),
        ("releases/freight/007.yaml", "a release file is called <version>.yaml"),
    ],
)
def test_a_file_in_the_wrong_place_is_a_problem(two: GitWorld, name: str, says: str):
    two.write(name, (two.root / STAGING).read_text())
    found = problems(two, None)
    assert any(line.startswith(name) and says in line for line in found), found


def test_releases_are_immutable(two: GitWorld):
    edit(two, "releases/freight/1.yaml", "0.72", "0.99")
    (two.root / "releases/freight/2.yaml").unlink()
    found = problems(two)
    assert any("freight/1.yaml:1: changed; a release is never edited" in line for line in found), found
    assert any("releases/freight/2.yaml: deleted" in line for line in found), found


def test_a_dirty_release_is_a_problem(two: GitWorld):
    edit(two, "releases/freight/2.yaml", "dirty: false", "dirty: true")
    assert any("source.dirty: was trained from uncommitted changes" in line for line in problems(two, None))


def test_a_digest_that_the_registry_does_not_know_is_a_problem(two: GitWorld):
    edit(two, "releases/freight/2.yaml", f"sha256:{2:064x}", f"sha256:{9:064x}")
    assert any("digest: the release says sha256:" in line for line in problems(two, None, asks=True))


def test_a_version_that_the_registry_does_not_have_is_a_problem(two: GitWorld):
    text = (two.root / "releases/freight/2.yaml").read_text().replace("version: 2", "version: 9")
    two.write("releases/freight/9.yaml", text)
    assert any("the registry has no version 9 of freight" in line for line in problems(two, None, asks=True))


def test_prod_names_only_what_staging_named(two: GitWorld):
    edit(two, PROD, "release: 1", f"release: {two.released()}")
    edit(two, PROD, "replaces: null", "replaces: 1")
    assert any("staging asks for release 2, not release 3" in line for line in problems(two))
    edit(two, PROD, "hold: null", f"bypass: {BYPASS}")
    assert problems(two) == []


def test_replaces_must_be_what_the_file_named(two: GitWorld):
    edit(two, PROD, "release: 1", "release: 2")
    assert any(f"{PROD}:3: replaces: must be 1" in line for line in problems(two))


def test_replaces_alone_may_not_change(two: GitWorld):
    edit(two, STAGING, "replaces: 1", "replaces: null")
    assert any("only a move changes it" in line for line in problems(two))


def test_a_freeze_blocks_forward_and_not_backward(two: GitWorld):
    local = two.clock.now().replace(tzinfo=None)
    start, end = local - timedelta(hours=1), local + timedelta(hours=1)
    two.write(
        "environments/freeze.yaml",
        f"windows: [{{environments: [prod], start: {start.isoformat()}, end: {end.isoformat()}, "
        "timezone: UTC, reason: year end, by: ops}]\n",
    )
    two.commit("Freeze")
    promote(two)
    assert any("prod is frozen until" in line and "year end, ops" in line for line in problems(two))
    promoted = two.commit("Promote anyway")
    git(two.root, "revert", "--no-edit", promoted)
    assert check(two.root, promoted, now=two.clock.now()) == []
    # The journal knows better than the file's history: prod never served release 1, so it is no way back.
    assert any("prod is frozen until" in line for line in problems(two, promoted, asks=True))


def test_a_hold_blocks_forward(two: GitWorld):
    promote(two)
    edit(two, PROD, "hold: null", "hold: {reason: wait, since: 2026-03-01T00:00:00Z, by: ada}")
    assert any(f"{PROD}:5: hold: ada put freight in prod on hold" in line for line in problems(two))


def test_deleting_desired_state_is_a_problem(two: GitWorld):
    (two.root / PROD).unlink()
    assert any("deleted, which would stop nothing" in line for line in problems(two))


def test_an_unknown_base_is_a_sentence(two: GitWorld):
    with pytest.raises(InvalidInput, match="no-such is not a commit"):
        problems(two, "no-such")


def test_a_signature_lies_beside_its_release_and_may_be_made_anew_but_not_be_lost(two: GitWorld):
    two.write("releases/freight/1.sig", "{}")
    assert problems(two) == []
    head = two.commit("Sign")
    two.write("releases/freight/1.sig", "{ }")
    assert problems(two, head) == []
    (two.root / "releases/freight/1.sig").unlink()
    assert any("releases/freight/1.sig" in line and "deleted" in line for line in problems(two, head))
    two.write("releases/freight/9.sig", "{}")
    assert any(
        "releases/freight/9.sig: is the signature of no release" in line for line in problems(two, head)
    )
