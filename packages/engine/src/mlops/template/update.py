"""`mlops update`: a three-way merge in which both versions of the template have become this fork first.

base    the recorded version of the template, initialised with this fork's answers by its own code
theirs  the wanted version, initialised with the same answers by its own code
ours    the fork's last commit

What the fork owns is taken from the fork on all three sides, so a merge cannot touch it; migrations of the
wanted version change it where its form has to. The result is a commit on a branch; where both sides changed
the same lines, the branch is checked out with git's conflict markers instead.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import Blocked, InvalidInput
from mlops.forge.git import Git
from mlops.template import manifest, project, uv, versions
from mlops.template.checkout import Checkout
from mlops.template.sources import Wheels
from mlops.template.trees import (
    Conflict,
    Tree,
    export,
    merge_trees,
    read_tree,
    submodules,
    tree_of_folder,
    write_tree,
)

_LOCK, _PROJECT = "uv.lock", "pyproject.toml"
_LOCK_SECONDS = 300


@dataclass(frozen=True)
class Update:
    """What came of it. `commit` is empty when there are conflicts or nothing was written."""

    current: str
    wanted: str
    branch: str
    changed: tuple[str, ...]
    conflicts: tuple[Conflict, ...]
    migrations: tuple[str, ...]
    notes: str
    remarks: tuple[str, ...]
    commit: str = ""

    @property
    def needed(self) -> bool:
        return self.current != self.wanted


def wanted_version(root: Path, url: str, to: str | None) -> str:
    """The version to go to: `to`, or the newest one; raises `InvalidInput` for one that is not there."""
    current, known = manifest.load(root).version, versions.versions(root, url)
    if to is None:
        return max([current, *known], key=versions.order)
    to = to.removeprefix("v")
    if to not in known:
        raise InvalidInput(
            f"the template at {url} has no version {to!r}; it has {', '.join(known) or 'none'}"
        )
    if versions.order(to) < versions.order(current):
        raise InvalidInput(f"this fork has version {current} already; take an update back with git revert")
    return to


def update(root: Path, url: str, wanted: str, *, write: bool, engine: str | None = None) -> Update:
    """Bring version `wanted` of the template at `url` into the fork in `root`.

    `engine` is where the packages come from henceforth; a fork that had them inside gets them from `url`.

    Raises `InvalidInput` for a repository that was never initialised or has changes that are not committed,
    `TargetError` when a version cannot be had, `Blocked` when the branch of an earlier try is still there.
    """
    git, template = Git(root), manifest.load(root)
    branch = f"template/v{wanted}"
    if template.answers is None:
        raise InvalidInput("this repository was never initialised; mlops init comes first")
    if template.version == wanted:
        return Update(template.version, wanted, "", (), (), (), "", ())
    _ready(git, branch)
    before_answers = template.answers.told()
    answers = {**before_answers, "engine": engine or template.answers.engine or f"git+{_address(root, url)}"}
    with tempfile.TemporaryDirectory(prefix="mlops-update-") as place:
        base = Checkout.clone(Path(place) / "base", url, template.version)
        theirs = Checkout.clone(Path(place) / "theirs", url, wanted)
        changelog = theirs.text("CHANGELOG.md")
        base.initialise(before_answers)
        theirs.initialise(answers)
        theirs.lock(root)
        work = Path(place) / "merged"
        tree, conflicts, remarks = _merged(git, base, theirs, template)
        export(git, tree, work)
        migrations = theirs.migrate(work, template.version)
        remarks += _locked(work, root, theirs, conflicts)
        after = tree_of_folder(git, work) | submodules(read_tree(git, tree))
    before = read_tree(git, "HEAD")
    done = Update(
        current=template.version,
        wanted=wanted,
        branch=branch,
        changed=tuple(sorted(p for p in {*before, *after} if before.get(p) != after.get(p))),
        conflicts=tuple(conflicts),
        migrations=tuple(migrations),
        notes=versions.notes(changelog, template.version, wanted),
        remarks=tuple(remarks),
    )
    return _written(git, done, after) if write else done


def _ready(git: Git, branch: str) -> None:
    if changes := git.uncommitted():
        raise InvalidInput(
            f"there are changes that are not committed ({', '.join(changes[:3])}); commit them"
        )
    if git.ok("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"):
        raise Blocked(
            f"the branch {branch} of an earlier update is there; merge it, "
            f"or start again after: git branch --delete --force {branch}"
        )


def _merged(
    git: Git, base: Checkout, theirs: Checkout, template: manifest.Template
) -> tuple[str, list[Conflict], list[str]]:
    """Tree, what a person must decide, and what was decided by rule."""
    ours = read_tree(git, "HEAD")
    sides = {"base": tree_of_folder(git, base.folder), "theirs": tree_of_folder(git, theirs.folder)}
    owned = theirs.owned_by_fork(sorted({*ours, *sides["base"], *sides["theirs"]}))
    kept: Tree = {path: entry for path, entry in ours.items() if path in owned}
    pages = {p: e for p, e in sides["theirs"].items() if p in owned and _first(p, ours, sides["base"])}
    for name, side in sides.items():
        sides[name] = {p: e for p, e in side.items() if p not in owned} | kept
    sides["theirs"] |= pages
    if _LOCK in sides["theirs"]:
        # Two sets of dependencies cannot be merged line by line: the template's is the start, uv adds ours.
        ours = {**ours, _LOCK: sides["theirs"][_LOCK]}
    ours = _as_pinned(git, ours, base, template)
    merged = merge_trees(git, sides["base"], ours, sides["theirs"])
    tree, conflicts = read_tree(git, merged.tree), []
    remarks = []
    for conflict in merged.conflicts:
        if set(conflict.stages) == {1, 3}:
            tree.pop(conflict.path, None)
            remarks.append(f"{conflict.path} stays away: this fork removed it, and the template changed it")
        else:
            conflicts.append(conflict)
    return write_tree(git, tree), conflicts, remarks


def _first(path: str, ours: Tree, base: Tree) -> bool:
    """Whether `path` is a page or a desired state that this version brings; no file of a model."""
    return path not in ours and path not in base and path.startswith(("docs/", "environments/"))


def _as_pinned(git: Git, ours: Tree, base: Checkout, template: manifest.Template) -> Tree:
    """The fork with the pin of its skeleton's version: a bot that moved it has changed nothing else."""
    source = template.answers.source() if template.answers else None
    text = git.show("HEAD", _PROJECT)
    if source is None or not text:
        return ours
    engine = dict.fromkeys(project.packages(base.text(_PROJECT)), template.version)
    pinned = project.repinned(text, engine, source)
    if pinned == text:
        return ours
    blob = git.run("hash-object", "-w", "--stdin", text=pinned)
    return {**ours, _PROJECT: f"{ours[_PROJECT].partition(' ')[0]} {blob}"}


def _locked(work: Path, root: Path, theirs: Checkout, conflicts: Sequence[Conflict]) -> list[str]:
    """Lock again where the fork's dependencies are not the template's; a remark when that has to wait."""
    mine = work / _PROJECT
    if not (work / _LOCK).is_file() or mine.read_text(encoding="utf-8") == theirs.text(_PROJECT):
        return []
    later = "uv.lock has to be made again: run uv lock, and commit it with the update"
    if any(conflict.path == _PROJECT for conflict in conflicts):
        return [later]
    if not os.access(root.parent, os.W_OK):
        return [later]
    # Beside the fork: wheels and packages of one's own lie relative to it.
    with tempfile.TemporaryDirectory(prefix="mlops-lock-", dir=root.parent) as place:
        for name in (_LOCK, _PROJECT, "README.md"):
            if (work / name).is_file():
                shutil.copy2(work / name, place)
        for folder in ("src", *_wheels(theirs)):
            if (root / folder).is_dir():
                (Path(place) / folder).parent.mkdir(parents=True, exist_ok=True)
                (Path(place) / folder).symlink_to(root / folder)
        code, _ = uv.run(Path(place), "lock", "--quiet", seconds=_LOCK_SECONDS)
        if code:
            return [later]
        shutil.copy2(Path(place) / _LOCK, work / _LOCK)
    return []


def _wheels(theirs: Checkout) -> list[str]:
    """The folder of wheels, where it is one inside the repository."""
    told = manifest.load(theirs.folder).answers
    source = told.source() if told else None
    return [source.folder] if isinstance(source, Wheels) and not source.folder.startswith("..") else []


def _address(root: Path, url: str) -> str:
    """A URL for a repository that may be named by its path."""
    return url if "://" in url or ":" in url else (root / url).resolve().as_uri()


def _written(git: Git, done: Update, after: Tree) -> Update:
    tree = write_tree(git, after)
    message = f"Update the template from {done.current} to {done.wanted}\n\n"
    message += "".join(f"- {line}\n" for line in (*done.migrations, *done.remarks))
    if not done.conflicts:
        commit = git.commit_tree("HEAD", tree, message)
        git.run("switch", "--quiet", "--create", done.branch, commit)
        return Update(**{**vars(done), "commit": commit})
    git.run("switch", "--quiet", "--create", done.branch)
    git.run("read-tree", "-m", "-u", "HEAD", tree)
    lines = []
    for conflict in done.conflicts:
        lines.append(f"0 {'0' * 40}\t{conflict.path}\0")
        lines += [f"{entry} {stage}\t{conflict.path}\0" for stage, entry in sorted(conflict.stages.items())]
    git.run("update-index", "-z", "--index-info", text="".join(lines))
    folder = Path(git.run("rev-parse", "--absolute-git-dir"))
    (folder / "MERGE_MSG").write_text(message, encoding="utf-8")
    return done


def plain(done: Update) -> dict[str, object]:
    """For a machine."""
    facts = {**vars(done), "needed": done.needed}
    facts["conflicts"] = [{"path": c.path, "why": c.why} for c in done.conflicts]
    return dict(json.loads(json.dumps(facts)))
