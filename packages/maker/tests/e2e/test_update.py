"""`mlops update` brings a newer template into a fork that has lived, and touches nothing that is the fork's.

A fork that cannot be updated is a copy: it keeps the bugs of the day that it was made. So this is rehearsed
whole: a release, a fork with another model, a team's edits, the next release with everything that may happen
in one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from template_copy import PACKAGES, Done, Repository
from test_init import OPTIONS, copied, engine_of, make_template, tool

from mlops.spec.sources import python_path
from mlops.template import manifest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

FIRST, NEXT = "0.80.0", "0.90.0"
BRANCH = f"template/v{NEXT}"
MIGRATION = '''"""The policy's `synthetic_traffic` and the capture's `sample_rate` have other names."""

from pathlib import Path

from mlops.template.migrations.edit import rename_toml_key, rename_yaml_key

WHAT = "synthetic_traffic is called probe_traffic, and sample_rate is called share"


def migrate(root: Path) -> bool:
    """Both renamed; False when nothing had the old name."""
    policy = root / "environments" / "policy.yaml"
    done = [
        rename_yaml_key(policy, ("environments", name, "synthetic_traffic"), "probe_traffic")
        for name in ("staging", "prod")
    ]
    done.append(rename_toml_key(root / "mlops.toml", r"models\\.[\\w-]+\\.capture", "sample_rate", "share"))
    return any(done)
'''
NOTES = """## [0.90.0] - 2027-01-01

### Changed

- Two keys have better names; a migration renames them.

"""


@dataclass(frozen=True)
class Two:
    """The template with its two releases, and a fork of the first."""

    template: Repository
    fork: Repository

    @property
    def url(self) -> str:
        return self.template.root.as_uri()

    def update(self, *words: str) -> Done:
        return self.fork.spawn("update", "--from", self.url, *words, env=PACKAGES)

    def with_newest(self, *words: str) -> Done:
        """A verb as the template's newest version has it: what the fork installs after the update."""
        path = os.pathsep.join([str(self.fork.root / "src"), python_path(self.template.root)])
        return self.fork.spawn(*words, env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"})


def edit(repository: Repository, path: str, old: str, new: str) -> None:
    file = repository.root / path
    text = file.read_text(encoding="utf-8")
    assert old in text, f"{path} does not contain {old!r}"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def everywhere(repository: Repository, old: str, new: str, folders: Sequence[str]) -> None:
    for path in repository.git("grep", "-lw", old, "--", *folders).splitlines():
        file = repository.root / path
        file.write_text(re.sub(rf"\b{old}\b", new, file.read_text(encoding="utf-8")), encoding="utf-8")


def release(template: Repository, version: str) -> None:
    """Skeleton, packages and lock get the version, and the commit its tag."""
    for path in (template.root / manifest.FILE, *template.root.glob("packages/*/pyproject.toml")):
        path.write_text(re.sub(r'(?m)^version = ".*"$', f'version = "{version}"', path.read_text(), count=1))
    lock = template.root / "uv.lock"
    lock.write_text(
        re.sub(r'(?m)(^name = "gitops-ml-.*"\nversion = ").*"$', rf'\g<1>{version}"', lock.read_text())
    )
    template.git("commit", "--quiet", "--all", "--allow-empty", "--message", f"Release {version}")
    template.git("tag", f"v{version}")


def move_on(template: Repository) -> None:
    """What a release may bring: changed, new and removed files, other keys, and a migration."""
    edit(template, ".github/workflows/ci.yml", "timeout-minutes: 20", "timeout-minutes: 25")
    edit(template, ".editorconfig", "root = true", "# More about it.\nroot = true")
    edit(template, "container/hadolint.yaml", "\n", "\n# All about it.\n")
    edit(template, "README.md", "# ", "# The new ")
    edit(template, "src/flights/model.py", '"""', '"""Better. ')
    edit(template, "mlops.toml", "# The fork's settings.", "# All of the fork's settings.")
    edit(template, "environments/Pulumi.prod.yaml", "max_nodes: 8", "max_nodes: 9")
    changes = template.root / "CHANGELOG.md"
    changes.write_text(re.sub(r"(?m)^(?=## \[\d)", NOTES, changes.read_text(), count=1))
    (template.root / "infra/novelty.py").write_text('"""New."""\n')
    (template.root / ".pre-commit-config.yaml").unlink()
    everywhere(template, "synthetic_traffic", "probe_traffic", ("packages", "environments"))
    everywhere(
        template,
        "sample_rate",
        "share",
        ("packages/runtime/src/mlops/spec", "packages/runtime/src/mlops/serving", "mlops.toml"),
    )
    name = "packages/engine/src/mlops/template/migrations/v0_90_0_better_names.py"
    (template.root / name).write_text(MIGRATION)
    template.git("add", "--all")
    release(template, NEXT)


def live_in(fork: Repository) -> None:
    """What a team does in its first weeks."""
    model = '[models.prices]\nusecase = "prices"\n'
    capture = (
        "[models.prices.capture]  # agreed with legal\nenabled = true\nsample_rate = 0.5  # half is enough\n"
    )
    edit(fork, "mlops.toml", model, f"{model}\n{capture}")
    edit(fork, "environments/policy.yaml", "soak: 24h", "soak: 48h  # over a weekend")
    edit(fork, "environments/Pulumi.prod.yaml", "max_nodes: 8", "max_nodes: 3")
    edit(fork, "src/prices/model.py", '"""', '"""Ours. ')
    edit(fork, "pipelines/prices/model.yaml", "max_megabytes: 20", "max_megabytes: 40")
    edit(fork, "README.md", "# ", "# Our ")
    edit(fork, ".github/workflows/ci.yml", "timeout-minutes: 45", "timeout-minutes: 90")
    (fork.root / "container/hadolint.yaml").unlink()
    (fork.root / "docs/our-runbook.md").write_text("# What we do at night\n")
    fork.call("new-model", "growers", "--task", "multiclass").ok()
    fork.commit("Our first weeks")


def make_fork(template: Repository, folder: Path) -> Repository:
    """What is checked out of the template, initialised with another model by its own code."""
    fork = Repository(folder)
    # As "use this template" does: the same files, and no history in common.
    shutil.copytree(template.root, fork.root, ignore=shutil.ignore_patterns(".git"))
    for words in (
        ("init", "--quiet", "--initial-branch", "main"),
        ("config", "user.name", "Bea"),
        ("config", "user.email", "bea@contoso.com"),
    ):
        fork.git(*words)
    fork.commit("From the template")
    fork.call("init", *OPTIONS, *engine_of(template)).ok()
    fork.commit("Initialise")
    return fork


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Two:
    """A template with two releases, and a fork of the first. Read only."""
    template = make_template(tmp_path_factory.mktemp("template"))
    release(template, FIRST)
    fork = make_fork(template, tmp_path_factory.mktemp("fork"))
    live_in(fork)
    move_on(template)
    return Two(template, fork)


@pytest.fixture
def two(started: Two, tmp_path: Path) -> Two:
    """The same template and a fork of this test's own."""
    return Two(started.template, copied(started.fork, tmp_path))


def files(fork: Repository, rev: str) -> dict[str, str]:
    rows = (row.split("\t") for row in fork.git("ls-tree", "-r", rev).splitlines())
    return {path: facts for facts, path in rows}


def test_a_fork_that_has_lived_takes_a_release(two: Two) -> None:
    fork = two.fork
    head, before = fork.git("rev-parse", "HEAD"), files(fork, "HEAD")
    answer = two.update("--check", "--json")
    assert (answer.code, answer.json["newest"], answer.json["newer"]) == (2, NEXT, True)
    dry = two.update("--dry-run", "--json")
    assert dry.code == 2 and dry.json["conflicts"] == []
    assert fork.git("rev-parse", "HEAD") == head and fork.git("status", "--porcelain") == ""
    assert "template" not in fork.git("branch", "--list")

    done = two.update("--json").ok().json
    assert (done["current"], done["wanted"], done["branch"]) == (FIRST, NEXT, BRANCH)
    assert done["changed"] == dry.json["changed"] and done["commit"] == fork.git("rev-parse", "HEAD")
    assert fork.git("rev-parse", "HEAD^") == head, "one commit on top of the fork's last"
    assert fork.git("branch", "--show-current") == BRANCH and fork.git("status", "--porcelain") == ""
    assert done["notes"] == NOTES.strip()
    assert done["migrations"] == [
        "synthetic_traffic is called probe_traffic, and sample_rate is called share"
    ]

    # What is the template's: changed, new and gone, beside the fork's own edits and removals.
    root = fork.root
    workflow = (root / ".github/workflows/ci.yml").read_text()
    assert "timeout-minutes: 25" in workflow and "timeout-minutes: 90" in workflow
    assert "# More about it." in (root / ".editorconfig").read_text()
    assert (root / "infra/novelty.py").is_file() and not (root / ".pre-commit-config.yaml").exists()
    assert not (root / "container/hadolint.yaml").exists()
    assert any("container/hadolint.yaml stays away" in remark for remark in done["remarks"])
    project = tomllib.loads((root / "pyproject.toml").read_text())
    sources = project["tool"]["uv"]["sources"]
    assert {line["tag"] for line in sources.values()} == {f"v{NEXT}"} and len(sources) == 4
    lock = (root / "uv.lock").read_text()
    commit = two.template.git("rev-parse", f"v{NEXT}^{{commit}}")
    assert lock.count(f"&tag=v{NEXT}#{commit}") == 4 and f"tag=v{FIRST}" not in lock
    assert manifest.load(root).version == NEXT

    # What is the fork's: only the migration touched it.
    after, zones = files(fork, "HEAD"), manifest.load(root)
    owned = {path for path in before | after if zones.owned_by_fork(path)}
    assert len(owned) > 30
    changed = {path for path in owned if before.get(path) != after.get(path)}
    assert changed == {"mlops.toml", "environments/policy.yaml"}
    assert "share = 0.5  # half is enough" in (root / "mlops.toml").read_text()
    policy = (root / "environments/policy.yaml").read_text()
    assert "probe_traffic: true" in policy and "soak: 48h  # over a weekend" in policy
    assert fork.git("diff", "--numstat", head, "HEAD", "--", "mlops.toml").split("\t")[:2] == ["1", "1"]
    assert (root / "docs/our-runbook.md").is_file() and "flights" not in fork.git("ls-files")
    grep = ["git", "-C", str(root), "grep", "-il", "flights"]
    assert subprocess.run(grep, capture_output=True, text=True, check=False).stdout == ""

    # It works, with its own new code.
    two.with_newest("check").ok()
    two.with_newest("pipeline", "lint").ok()
    tests = ("tests/unit/prices", "tests/unit/growers")
    done_tests = tool(fork, "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests)
    assert done_tests.returncode == 0, done_tests.stdout[-3000:]
    assert tool(fork, "ruff", "check", ".").returncode == 0
    assert tool(fork, "uv", "lock", "--check", "--offline").returncode == 0

    # Again: nothing, and before the merge a sentence.
    assert "nothing to do" in two.update().ok().out
    assert "nothing to do" in two.update("--check").ok().out
    fork.git("switch", "--quiet", "main")
    two.update().refused(3, BRANCH, "of an earlier update is there")
    fork.git("merge", "--quiet", "--ff-only", BRANCH)
    assert "nothing to do" in two.update().ok().out


def test_the_same_lines_changed_on_both_sides_are_shown_and_nothing_else(two: Two) -> None:
    fork = two.fork
    edit(fork, ".github/workflows/ci.yml", "timeout-minutes: 20", "timeout-minutes: 5")
    edit(fork, ".pre-commit-config.yaml", "# ", "# Our ")
    fork.commit("Impatient")
    head = fork.git("rev-parse", "HEAD")
    done = two.update()
    assert done.code == 2 and "Traceback" not in done.err
    assert "conflict .github/workflows/ci.yml: both changed the same lines" in done.err
    assert (
        "conflict .pre-commit-config.yaml: the template removed it, and this fork had changed it" in done.err
    )
    assert fork.git("branch", "--show-current") == BRANCH and fork.git("rev-parse", "HEAD") == head
    assert fork.git("diff", "--name-only", "--diff-filter=U").splitlines() == [
        ".github/workflows/ci.yml", ".pre-commit-config.yaml",
    ]  # fmt: skip
    text = (fork.root / ".github/workflows/ci.yml").read_text()
    assert text.count("<<<<<<<") == 1 and "timeout-minutes: 5\n" in text and "timeout-minutes: 25\n" in text
    refused = subprocess.run(
        ["git", "-C", str(fork.root), "commit", "--message", "x"],
        capture_output=True, text=True, check=False, env=fork.env,
    )  # fmt: skip
    assert refused.returncode and "unmerged files" in refused.stderr

    # A person decides, and the commit has the update's message.
    resolved = re.sub(r"(?s)<<<<<<<.*?=======\n(.*?)>>>>>>>[^\n]*\n", r"\1", text)
    (fork.root / ".github/workflows/ci.yml").write_text(resolved)
    fork.git("rm", "--quiet", "--force", ".pre-commit-config.yaml")
    fork.git("add", "--all")
    fork.git("commit", "--quiet", "--no-edit")
    assert fork.git("log", "-1", "--format=%s") == "Update the template from 0.80.0 to 0.90.0"
    assert "nothing to do" in two.update().ok().out
    two.with_newest("check").ok()


def test_a_bot_that_moved_the_pin_is_in_nobodys_way(two: Two) -> None:
    """Dependabot and Renovate move the packages; the skeleton follows by the next update."""
    fork = two.fork
    path = fork.root / "pyproject.toml"
    path.write_text(path.read_text().replace(f'tag = "v{FIRST}"', f'tag = "v{NEXT}"'))
    fork.commit("Update gitops-ml-engine")
    done = two.update("--json").ok().json
    assert done["conflicts"] == [] and manifest.load(fork.root).version == NEXT
    assert path.read_text().count(f'tag = "v{NEXT}"') == 4
    assert tool(fork, "uv", "lock", "--check", "--offline").returncode == 0


def test_a_patched_engine_stays_patched(two: Two) -> None:
    fork = two.fork
    path = fork.root / "pyproject.toml"
    line = 'gitops-ml-lint = {path = "../lint", editable = true}'
    path.write_text(re.sub(r"(?m)^gitops-ml-lint = .*$", line, path.read_text()))
    fork.commit("A fix that cannot wait")
    done = two.update("--json")
    text = path.read_text()
    assert done.code == 2 and [c["path"] for c in done.json["conflicts"]] == ["pyproject.toml"]
    assert line in text and "<<<<<<<" in text, "a person says whether the new version has the fix"


@pytest.mark.slow
def test_the_lock_is_made_again_where_the_dependencies_are_the_forks_own(two: Two, tmp_path: Path) -> None:
    """Two locks merged line by line are none: the template's is taken, and the fork's packages added."""
    fork, template = two.fork, two.template
    edit(fork, "pyproject.toml", "dependencies = [\n", 'dependencies = [\n    "psutil>=5.9",\n')
    edit(fork, "uv.lock", "revision = ", "# locked by us\nrevision = ")
    fork.commit("A package of ours")
    (tmp_path / "third").mkdir()
    again = copied(template, tmp_path / "third")
    edit(again, "uv.lock", "revision = ", "# newer\nrevision = ")
    release(again, "0.91.0")
    words = ("update", "--from", again.root.as_uri(), "--json")
    done = fork.spawn(*words, env=PACKAGES).ok().json
    assert done["conflicts"] == []
    assert '"psutil>=5.9"' in (fork.root / "pyproject.toml").read_text()
    lock = (fork.root / "uv.lock").read_text()
    ours = lock.partition('name = "contoso-demand"')[2].partition("dev-dependencies")[0]
    assert '{ name = "psutil" }' in ours or any("run uv lock" in remark for remark in done["remarks"])
    assert "locked by us" not in lock and "<<<<" not in lock


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--to", "7.7.7"], 5, ["has no version '7.7.7'", "0.80.0, 0.90.0"]),
        (["--from", "/nowhere/at/all"], 6, ["the template at /nowhere/at/all cannot be asked"]),
    ],
)
def test_what_is_not_there_is_said(started: Two, words: list[str], code: int, says: list[str]) -> None:
    started.update(*words).refused(code, *says)
    assert started.fork.git("branch", "--show-current") == "main"


def test_who_cannot_be_updated_is_told_why(two: Two, tmp_path: Path) -> None:
    (two.fork.root / "notes.txt").write_text("mine")
    two.update().refused(5, "not committed (notes.txt)")
    (two.fork.root / "notes.txt").unlink()
    two.fork.git("remote", "add", "upstream", two.url)
    assert two.fork.call("update", "--check").code == 2, "a remote called upstream is enough"
    edit(two.fork, manifest.FILE, f'version = "{FIRST}"', 'version = "0.95.0"')
    two.fork.commit("From the future")
    two.update("--to", NEXT).refused(5, "this fork has version 0.95.0 already", "git revert")
    (tmp_path / "other").mkdir()
    other = make_template(tmp_path / "other")
    other.call("update", "--from", two.url).refused(5, "mlops init comes first")
