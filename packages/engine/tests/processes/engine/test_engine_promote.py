"""Promotion is one reviewed line; whoever reads the pull request must find there all that decides, and
nobody's checkout may change under their hands."""

from __future__ import annotations

import pytest
from git_world import MODEL, GitWorld, git

from mlops.errors import Blocked, IntegrityError, InvalidInput, NotFound
from mlops.lifecycle.desired.history import history
from mlops.lifecycle.propose.promote import Promotion, promote, rollback
from mlops.lifecycle.watch.status import environment_status, status
from mlops.spec.desired import Bypass
from mlops.targets.memory import Behaviour

PATH = "environments/prod/freight.yaml"


def propose(world: GitWorld, env: str = "prod", **options: object) -> Promotion:
    return promote(
        world.root, world.target, world.forge, env, MODEL, actor="ada", now=world.clock.now(), **options
    )


def staged(world: GitWorld) -> int:
    """A release that staging serves and that has soaked."""
    before = world.root / "environments/staging/freight.yaml"
    version = world.released()
    world.stage(version, replaces=version - 1 if before.exists() else None)
    world.run("staging")
    world.clock.sleep(3700)
    return version


def in_prod(world: GitWorld) -> int:
    version = staged(world)
    world.forge.merge(propose(world).pull_request.number, approver="grace")
    world.pull()
    world.run("prod")
    return version


def test_from_staging_to_prod_by_one_reviewed_line(repository: GitWorld):
    first = in_prod(repository)
    second = staged(repository)
    made = propose(repository)
    request = made.pull_request
    assert (made.release, made.replaces) == (second, first)
    assert request is not None
    changed = git(repository.bare, "diff", "--stat", "--name-only", f"main...{request.branch}").splitlines()
    assert changed == [PATH]
    diff = git(repository.bare, "diff", "-U0", f"main...{request.branch}").splitlines()
    assert [line for line in diff if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        "-release: 1",
        "-replaces: null",
        "+release: 2",
        "+replaces: 1",
    ]
    repository.forge.merge(request.number, approver="grace")
    repository.pull()
    assert repository.run("prod").direction == "forward"
    assert repository.served("prod") == second


def test_the_body_has_what_a_reviewer_needs(repository: GitWorld):
    in_prod(repository)
    staged(repository)
    body = propose(repository).pull_request.body
    for part in (
        "release 1 → **release 2**",
        "| soak | ✅ pass | 1:01:40 | 1:00:00 |",
        "| order | ✅ pass | verified in staging |",
        "| absolute | ✅ pass | 0.70 | 0.60 |",
        "| roc_auc | 0.7 [0.68, 0.72] | 0.7 [0.68, 0.72] |",
        "nycfreight 1",
        "### Who may approve\n\n@grace",
    ):
        assert part in body, f"{part!r} is missing in:\n{body}"


def test_code_changes_between_the_releases_are_listed(repository: GitWorld):
    in_prod(repository)
    repository.write("src/freight/model.py", "depth = 3\n")
    repository.commit("Deepen the trees")
    staged(repository)
    assert "Deepen the trees" in propose(repository).pull_request.body


def test_the_users_checkout_index_and_branch_are_untouched(repository: GitWorld):
    staged(repository)
    repository.write("notes.txt", "mine")
    repository.write("src/half.py", "half")
    git(repository.root, "add", "src/half.py")
    git(repository.root, "checkout", "-q", "-b", "feature")

    def mine() -> list[str]:
        commands = (["status", "--porcelain"], ["for-each-ref", "refs/heads"], ["symbolic-ref", "HEAD"])
        return [git(repository.root, *command) for command in commands]

    before = mine()
    propose(repository)
    assert mine() == before


def test_an_open_pull_request_is_updated_and_not_doubled(repository: GitWorld):
    staged(repository)
    first = propose(repository).pull_request
    staged(repository)
    second = propose(repository).pull_request
    assert first.number == second.number
    assert second.title == "Promote freight 2 to prod"
    assert len(repository.forge.list_open()) == 1


def test_what_is_there_already_is_not_proposed(repository: GitWorld):
    in_prod(repository)
    assert propose(repository).pull_request is None


def test_too_early_is_refused_with_the_time(repository: GitWorld):
    version = repository.released()
    repository.stage(version)
    repository.run("staging")
    with pytest.raises(Blocked, match=r"staging for 0:00:00 of 1:00:00; wait until 2026-03-01 13:"):
        propose(repository)
    assert repository.forge.list_open() == []


def test_a_bypass_is_written_to_the_file_and_shown(repository: GitWorld):
    repository.stage(repository.released())
    repository.run("staging")
    bypass = Bypass(gates=["soak"], reason="login is broken in prod", approver="grace")
    request = propose(repository, bypass=bypass).pull_request
    assert "⚠️ bypassed" in request.body
    assert "login is broken in prod" in git(repository.bare, "show", f"{request.branch}:{PATH}")


def test_only_what_can_be_bypassed_is_proposed(repository: GitWorld):
    """The checks of the pull request would refuse it."""
    staged(repository)
    bypass = Bypass(gates=["soak", "freeze"], reason="login is broken in prod", approver="grace")
    with pytest.raises(InvalidInput, match="--bypass: 'freeze' cannot be skipped; allowed: order, soak"):
        propose(repository, bypass=bypass)
    assert repository.forge.list_open() == []


def test_nothing_upstream_and_unknown_names_are_sentences(repository: GitWorld):
    with pytest.raises(Blocked, match="staging has not served freight yet"):
        propose(repository)
    with pytest.raises(InvalidInput, match="staging is the first environment"):
        propose(repository, env="staging")
    with pytest.raises(InvalidInput, match="there is no environment 'moon'"):
        propose(repository, env="moon")
    with pytest.raises(NotFound, match="no release 9 of freight"):
        propose(repository, release=9)


def test_rollback_is_what_git_revert_gives_with_a_hold(repository: GitWorld):
    in_prod(repository)
    in_prod(repository)
    made = rollback(
        repository.root,
        repository.target,
        repository.forge,
        "prod",
        MODEL,
        actor="ada",
        now=repository.clock.now(),
        reason="wrong for JFK",
    )
    proposed = git(repository.bare, "show", f"{made.pull_request.branch}:{PATH}")
    git(repository.root, "revert", "--no-edit", "-m", "1", "HEAD")
    reverted = (repository.root / PATH).read_text().strip()
    with_hold = [line for line in proposed.splitlines() if not line.startswith("hold:")]
    assert with_hold == [line for line in reverted.splitlines() if not line.startswith("hold:")]
    assert "wrong for JFK" in proposed

    git(repository.root, "reset", "-q", "--hard", "origin/main")
    repository.forge.merge(made.pull_request.number)
    repository.pull()
    assert repository.run("prod").direction == "backward"
    assert repository.served("prod") == 1
    staged(repository)
    with pytest.raises(Blocked, match="ada put freight in prod on hold"):
        propose(repository)


def test_a_plain_git_revert_rolls_back(repository: GitWorld):
    in_prod(repository)
    in_prod(repository)
    git(repository.root, "revert", "--no-edit", "-m", "1", "HEAD")
    assert repository.run("prod").direction == "backward"
    assert repository.served("prod") == 1


def test_rollback_closes_the_promotion_that_is_open(repository: GitWorld):
    in_prod(repository)
    in_prod(repository)
    staged(repository)
    promotion = propose(repository).pull_request
    back = rollback(
        repository.root,
        repository.target,
        repository.forge,
        "prod",
        MODEL,
        actor="ada",
        now=repository.clock.now(),
        reason="bad",
    ).pull_request
    assert [p.number for p in repository.forge.list_open()] == [back.number]
    closed = repository.forge.get(promotion.number)
    assert closed.state == "closed"
    assert "Superseded by" in closed.body


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_rollback_says_why(repository: GitWorld, reason: str):
    in_prod(repository)
    in_prod(repository)
    options = {"actor": "ada", "now": repository.clock.now(), "reason": reason}
    with pytest.raises(InvalidInput, match="--reason is empty; say why"):
        rollback(repository.root, repository.target, repository.forge, "prod", MODEL, **options)
    assert repository.forge.list_open() == []


def test_there_is_no_way_back_from_the_first_release(repository: GitWorld):
    in_prod(repository)
    with pytest.raises(Blocked, match="prod never had an older one; verified here: none"):
        rollback(
            repository.root,
            repository.target,
            repository.forge,
            "prod",
            MODEL,
            actor="ada",
            now=repository.clock.now(),
            reason="bad",
        )


# --- provenance -------------------------------------------------------------------------------------------


def test_an_uncommitted_change_is_not_applied(repository: GitWorld):
    staged(repository)
    path = repository.root / "environments/staging/freight.yaml"
    path.write_text(path.read_text().replace("10, 100", "100"))
    with pytest.raises(InvalidInput, match=r"environments/staging/freight\.yaml: not committed"):
        repository.run("staging")


def test_an_edited_release_is_not_applied(repository: GitWorld):
    version = repository.released()
    path = repository.root / f"releases/freight/{version}.yaml"
    path.write_text(path.read_text().replace("0.72", "0.99"))
    repository.commit("Make it look better")
    repository.stage(version)
    with pytest.raises(IntegrityError, match=r"and \w{8} changed its bytes; a release is never edited"):
        repository.run("staging")


def test_a_release_of_an_unknown_commit_is_not_applied(repository: GitWorld):
    version = repository.released()
    path = repository.root / f"releases/freight/{version}.yaml"
    commit = repository.releases[version].source.commit
    path.unlink()
    repository.commit("Never mind")
    other = repository.released()
    text = (repository.root / f"releases/freight/{other}.yaml").read_text()
    git(repository.root, "reset", "-q", "--hard", commit)
    repository.write(f"releases/freight/{other}.yaml", text)
    git(repository.root, "push", "-q", "--force", "origin", "HEAD:main")
    repository.stage(other)
    with pytest.raises(IntegrityError):
        repository.run("staging")


def test_a_shallow_clone_is_told_how_to_become_a_whole_one(repository: GitWorld, tmp_path):
    staged(repository)
    git(tmp_path, "clone", "-q", "--depth", "1", repository.bare.as_uri(), str(tmp_path / "shallow"))
    repository.root = tmp_path / "shallow"
    with pytest.raises(InvalidInput, match="git fetch --unshallow"):
        repository.run("staging")


def test_an_older_commit_that_comes_late_is_refused(repository: GitWorld):
    first = staged(repository)
    old = git(repository.root, "rev-parse", "HEAD")
    staged(repository)
    git(repository.root, "checkout", "-q", old)
    with pytest.raises(Blocked):
        repository.run("staging")
    assert repository.served("staging") == first + 1


# --- what a person asks afterwards ------------------------------------------------------------------------


def test_history_says_what_was_served_when_and_who_approved(repository: GitWorld):
    in_prod(repository)
    in_prod(repository)
    rows = history(repository.root, repository.target, "prod", MODEL)
    assert [(r.release, r.outcome) for r in rows] == [(2, "served"), (1, "served")]
    assert rows[0].until is None
    assert rows[1].until == rows[0].at
    assert rows[0].subject == "Merge pull request 2: Promote freight 2 to prod"
    assert [(one.by, one.rule) for one in rows[0].approvals] == [("grace", "pull request 2")]
    assert len(rows[0].commit) == 40


def test_history_keeps_what_failed_and_why(repository: GitWorld):
    staged(repository)
    bad = repository.released()
    repository.endpoints.behaviours[bad] = Behaviour(error_every=3)
    repository.stage(bad, replaces=1)
    with pytest.raises(Blocked):
        repository.run("staging")
    newest = history(repository.root, repository.target, "staging", MODEL)[0]
    assert (newest.release, newest.outcome) == (bad, "failed")
    assert "error rate" in newest.detail
    now = environment_status(repository.root, repository.target, "staging", MODEL)
    assert (now.health, now.wanted, now.served) == ("held", bad, 1)
    assert "error rate" in now.failure


def test_status_has_a_row_for_every_environment(repository: GitWorld):
    staged(repository)
    staging, prod = status(repository.root, repository.target, MODEL)
    assert (staging.health, staging.served, staging.actor) == ("serving", 1, "bot")
    assert staging.metrics["roc_auc"].value == 0.7
    assert (prod.health, prod.wanted, prod.served) == ("empty", None, None)
    repository.stage(repository.released(), replaces=1)
    assert environment_status(repository.root, repository.target, "staging", MODEL).health == "behind"
    repository.endpoints.stop("staging", MODEL)
    assert environment_status(repository.root, repository.target, "staging", MODEL).health == "down"
