"""What is here now reaches a fork of the last release: edited as a team edits, updated, and all checks run.

test_update.py proves the mechanism on a release that it makes up. This proves the next release: a file of the
fork whose form has changed and has no migration, or a part that only a new fork would get, is found here and
not in somebody's repository.

The id of each test names the version that the fork started from: the newest tag of this clone, or `none`
where it has no tag. Then the fork starts from a release that is made of what is here.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from template_copy import ROOT, Repository, copy_template
from test_init import copied, make
from test_update import Two, edit, files, make_fork, release, started  # noqa: F401  a fixture

from mlops.template import manifest, versions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def last_release() -> str:
    """The newest version that a tag of the history of this clone names; `none` without one."""
    said = subprocess.run(
        ["git", "-C", str(ROOT), "tag", "--merged", "HEAD"], capture_output=True, text=True, check=False
    ).stdout
    found = re.findall(r"(?m)^v(\d+\.\d+\.\d+)$", said)
    return max(found, key=versions.order, default="none")


@dataclass(frozen=True)
class Updated:
    """The fork on the update's branch, what the update answered, and the fork's last commit before."""

    two: Two
    said: dict[str, Any]
    before: str

    @property
    def fork(self) -> Repository:
        return self.two.fork


def since(version: str, folder: Path) -> Two:
    """The template at that tag as a fork, and with what is here as its next version."""
    template = Repository(folder / "template")
    subprocess.run(
        ["git", "clone", "--quiet", str(ROOT), str(template.root)], check=True, capture_output=True
    )
    template.git("config", "user.name", "Ann")
    template.git("config", "user.email", "ann@contoso.com")
    template.git("switch", "--quiet", "--detach", f"v{version}")
    fork = make_fork(template, folder / "fork")
    template.git("rm", "-r", "--quiet", "--force", ".")
    copy_template(template.root)
    template.git("add", "--all")
    template.git("commit", "--quiet", "--allow-empty", "--message", "What is here")  # empty at the tag itself
    release(template, f"{versions.order(version)[0]}.{versions.order(version)[1] + 1}.0")
    return Two(template, fork)


def settle(fork: Repository) -> None:
    """Edits of a team that hold in any version: of what it owns, and a little of what it does not."""
    policy = fork.root / "environments/policy.yaml"
    policy.write_text(re.sub(r"soak: (\w+)", r"soak: 48h  # over a weekend", policy.read_text()))
    edit(fork, "README.md", "# ", "# Our ")
    edit(fork, "src/prices/model.py", '"""', '"""Ours. ')
    edit(fork, ".gitignore", "dist/\n", "dist/\nnotes/\n")
    (fork.root / "docs/our-runbook.md").write_text("# What we do at night\n")
    fork.call("new-model", "growers", "--task", "multiclass").ok()
    fork.commit("Our first weeks")


@pytest.fixture(scope="module", params=[last_release()])
def updated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Updated:
    """Read only."""
    folder = tmp_path_factory.mktemp("rehearsal")
    if request.param == "none":
        two = request.getfixturevalue("started")
        two = Two(two.template, copied(two.fork, folder))
    else:
        for name in ("template", "fork"):
            (folder / name).mkdir()
        two = since(request.param, folder)
        settle(two.fork)
    before = two.fork.git("rev-parse", "HEAD")
    return Updated(two, two.update("--json").ok().json, before)


def test_nothing_of_the_fork_is_in_conflict_or_changed_but_by_a_migration(updated: Updated) -> None:
    fork, zones = updated.fork, manifest.load(updated.fork.root)
    assert updated.said["conflicts"] == [] and zones.version == updated.said["wanted"]
    before, after = files(fork, updated.before), files(fork, "HEAD")
    owned = {path for path in before | after if zones.owned_by_fork(path)}
    assert len(owned) > 30
    changed = {path for path in owned if before.get(path) != after.get(path)}
    assert not changed or updated.said["migrations"], changed
    assert (fork.root / "docs/our-runbook.md").is_file()


def test_it_has_no_word_of_the_example(updated: Updated) -> None:
    grep = ["git", "-C", str(updated.fork.root), "grep", "-il", "flights"]
    assert subprocess.run(grep, capture_output=True, text=True, check=False).stdout == ""


def test_its_files_are_what_the_new_version_reads(updated: Updated) -> None:
    updated.two.with_newest("check").ok()
    updated.two.with_newest("pipeline", "lint").ok()
    assert updated.fork.git("status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("target", ["lint", "test"])
def test_what_its_pull_request_runs_passes(updated: Updated, tmp_path: Path, target: str) -> None:
    make(copied(updated.fork, tmp_path), target)
