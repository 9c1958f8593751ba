"""What `mlops init` would do, and doing it: from the last commit, so that a second run finishes a first one.

The plan is made from the commit and never from the work tree. A file that an interrupted run has written is
as the plan wants it, any other difference is the user's own and stops everything.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import InvalidInput
from mlops.forge.git import Git
from mlops.spec import writing
from mlops.template import manifest
from mlops.template.answers import Answers
from mlops.template.building import PACKAGES, build
from mlops.template.initialise import Leftover, initialise, leftovers, locked
from mlops.template.sources import Wheels
from mlops.template.trees import export, read_tree, tree_of_folder

BACK = "git restore --source=HEAD --staged --worktree . && git clean -fd"
"""How to forget what was not committed."""


@dataclass(frozen=True)
class Plan:
    """Paths by what happens to them, relative to the repository; `folder` holds the result."""

    root: Path
    folder: Path
    answers: Answers
    written: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    leftovers: tuple[Leftover, ...]

    @property
    def pending(self) -> tuple[str, ...]:
        """What the work tree does not have yet."""
        return tuple(p for p in (*self.written, *self.changed, *self.removed) if not self.done(p))

    def done(self, path: str) -> bool:
        """Whether the work tree has `path` as the plan wants it."""
        here, wanted = self.root / path, self.folder / path
        if not wanted.is_file():
            return not here.exists()
        return here.is_file() and here.read_bytes() == wanted.read_bytes()

    def carry_out(self) -> None:
        """Make the work tree so. Interrupted, it goes on the next time."""
        # Removals last: until then every module that is imported is still there, and a second run can start.
        for path in (*self.written, *self.changed):
            if not self.done(path):
                _replace(self.folder / path, self.root / path)
        for path in self.removed:
            (self.root / path).unlink(missing_ok=True)
            _prune((self.root / path).parent, self.root)


@contextmanager
def plan(root: Path, answers: Answers) -> Iterator[Plan]:
    """The plan for `answers`, as long as the block lasts.

    Raises `InvalidInput` when the folder is no repository with a commit, has changes of its own, or was
    initialised with other answers.
    """
    git = Git(root)
    if not git.ok("rev-parse", "--verify", "--quiet", "HEAD"):
        raise InvalidInput(f"{root} has no commit; git init && git add --all && git commit, then mlops init")
    template = manifest.parse(git.show("HEAD", manifest.FILE) or "")
    with tempfile.TemporaryDirectory(prefix="mlops-init-") as place:
        folder = Path(place) / "fork"
        export(git, "HEAD", folder)
        if template.answers is None:
            wheels, aside = _lacking(root, answers), Path(place) / "template"
            if wheels:
                # What they are built from is gone once this is a fork.
                shutil.copytree(folder / PACKAGES, aside / PACKAGES)
            initialise(folder, answers)
            if wheels:
                build(aside, folder / wheels)
            locked(folder, folder if wheels else root)
            missed = leftovers(folder, template, answers)
        else:
            _same(template.answers, answers, committed=True)
            missed = []
        before, after = read_tree(git, "HEAD"), tree_of_folder(git, folder)
        planned = Plan(
            root=root,
            folder=folder,
            answers=answers,
            written=tuple(sorted(set(after) - set(before))),
            changed=tuple(sorted(p for p in set(before) & set(after) if before[p] != after[p])),
            removed=tuple(sorted(set(before) - set(after))),
            leftovers=tuple(missed),
        )
        if template.answers is None:
            _refuse_dirty(git, planned)
        yield planned


def _lacking(root: Path, answers: Answers) -> str:
    """The folder of wheels in the repository that the answers name and that is not there yet."""
    source = answers.source()
    if isinstance(source, Wheels) and source.inside and not (root / source.folder).exists():
        return source.folder
    return ""


def _refuse_dirty(git: Git, made: Plan) -> None:
    here = (made.root / manifest.FILE).is_file() and manifest.load(made.root).answers
    if here:
        _same(here, made.answers, committed=False)
    ours = {*made.written, *made.changed, *made.removed}
    own = [path for path in git.uncommitted() if path not in ours or not _explained(git, made, path)]
    if own:
        names = ", ".join(own[:3]) + (f" and {len(own) - 3} more" if len(own) > 3 else "")
        raise InvalidInput(
            f"there are changes that are not committed ({names}); commit them, or forget them with: {BACK}"
        )


def _explained(git: Git, made: Plan, path: str) -> bool:
    """As the plan wants it, or as the commit has it: staged and taken back."""
    return made.done(path) or git.ok("diff", "--quiet", "HEAD", "--", path)


def _same(before: Answers, now: Answers, *, committed: bool) -> None:
    told, asked = before.told(), now.told()
    different = sorted(k for k in told.keys() | asked.keys() if told.get(k) != asked.get(k))
    if not different:
        return
    names = ", ".join(
        f"{k} {told.get(k, 'not given')!r}, now {asked.get(k, 'not given')!r}" for k in different
    )
    way = (
        "names of what exists in Azure do not change; edit mlops.toml and the stack files by hand, "
        "and make further models with mlops new-model"
        if committed
        else f"forget the first answers with: {BACK}"
    )
    raise InvalidInput(f"this repository was initialised with other answers ({names}); {way}")


def _replace(source: Path, place: Path) -> None:
    with writing.replacing(place) as draft:
        shutil.copy2(source, draft)


def _prune(folder: Path, root: Path) -> None:
    """Remove folders that a removal has emptied but for byte code."""
    while folder != root:
        rest = [p for p in folder.iterdir() if p.name != "__pycache__"] if folder.is_dir() else []
        if rest:
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder = folder.parent
