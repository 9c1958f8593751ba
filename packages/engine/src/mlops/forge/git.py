"""The git executable, as far as the lifecycle needs it.

Nothing here touches the user's checkout, index or branches: commits are made with git's plumbing in a
temporary index and pushed by their id.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlops.errors import Blocked, InvalidInput, TargetError

_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")
"""Set inside hooks; they would send a command to another repository."""
_PLAINLY = tuple(
    word
    for setting in ("color.ui=false", "log.showSignature=false", "log.follow=false")
    for word in ("-c", setting)
)
"""Settings of a person that would change what is read here."""
_FIELD, _RECORD = "\x1f", "\x1e"
_IDENTITY = {"name": "mlops", "email": "mlops@localhost"}
"""Who commits where git knows no user, as on a CI agent."""


_REQUEST = re.compile(r"^Merge pull request #?(\d+)\b|^Merged PR (\d+)\b|\(#(\d+)\)$")


def request_number(subject: str) -> int | None:
    """The pull request that a commit came by, from what GitHub, Azure DevOps and the local forge write."""
    match = _REQUEST.search(subject)
    return int(next(filter(None, match.groups()))) if match else None


@dataclass(frozen=True)
class Commit:
    """One commit, as `git log` tells it."""

    id: str
    at: datetime
    author: str
    subject: str
    body: str
    parents: tuple[str, ...] = ()

    def trailer(self, key: str) -> list[str]:
        """Values of `key: value` lines of the message, for example `Approved-by`."""
        prefix = f"{key.lower()}:"
        return [
            line[len(prefix) :].strip() for line in self.body.splitlines() if line.lower().startswith(prefix)
        ]


def _lines(text: str) -> str:
    """As a file that is opened as text: every end of line is a line feed."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class Git:
    """A repository on this machine, bare or not."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *args: str, text: str | None = None, env: Mapping[str, str] | None = None) -> str:
        """Standard output, stripped; raises `TargetError` with git's own words."""
        done = self._call(args, text, env)
        if done.returncode:
            raise TargetError(
                f"git {args[0]} failed in {self.root}: {done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout.strip()

    def _call(
        self, args: Sequence[str], text: str | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = self._bytes(args, None if text is None else text.encode(), env)
        out, error = (said.decode("utf-8", "replace") for said in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, _lines(out), _lines(error))

    def _bytes(
        self, args: Sequence[str], data: bytes | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        clean = {k: v for k, v in os.environ.items() if k not in _ELSEWHERE}
        clean |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **(env or {})}
        command = ["git", *_PLAINLY, "-C", str(self.root), *args]
        try:
            return subprocess.run(command, input=data, capture_output=True, env=clean, check=False)
        except FileNotFoundError:
            raise TargetError("git is not on PATH; install it") from None

    def ok(self, *args: str) -> bool:
        """Whether the command succeeds."""
        return self._call(args).returncode == 0

    def answer(self, *args: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command whose failure is an answer."""
        done = self._call(args)
        return done.returncode, done.stdout, done.stderr.strip()

    # --- reading ------------------------------------------------------------------------------------

    def head(self, rev: str = "HEAD") -> str:
        """The full id of a commit; raises `InvalidInput` when there is none."""
        done = self._call(("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}"))
        if done.returncode:
            raise InvalidInput(f"{rev} is not a commit of the repository {self.root}")
        return done.stdout.strip()

    def show(self, rev: str, path: str) -> str | None:
        """A file's text at a commit, or None when there is no file of that name."""
        # `show` lists a folder, and lets a file of attributes change what is seen.
        done = self._call(("cat-file", "blob", f"{rev}:{path}"))
        return done.stdout if done.returncode == 0 else None

    def log(self, path: str, rev: str = "HEAD", limit: int | None = None) -> list[Commit]:
        """First-parent commits that changed `path`, newest first: what the branch said, and when.

        All of them unless the caller has a use for the newest `limit` only: a decision never has.
        """
        form = _FIELD.join(("%H", "%cI", "%an", "%s", "%b", "%P")) + _RECORD
        most = () if limit is None else (f"-{limit}",)
        done = self._call(("log", "--first-parent", *most, f"--format={form}", rev, "--", path))
        records = [r.strip("\n") for r in done.stdout.split(_RECORD) if r.strip()]
        rows = [r.split(_FIELD) for r in records]
        return [
            Commit(i, datetime.fromisoformat(at), who, subject, body, tuple(parents.split()))
            for i, at, who, subject, body, parents in rows
        ]

    def wrote(self, commits: Sequence[str]) -> dict[str, str]:
        """The author of each of these commits, as far as this clone has them. One process for all."""
        if not commits:
            return {}
        form = f"--format=%H{_FIELD}%an"
        done = self._call(
            ("log", "--no-walk=unsorted", "--ignore-missing", form, "--stdin"), "\n".join(commits) + "\n"
        )
        return {
            commit: who for commit, _, who in (line.partition(_FIELD) for line in done.stdout.splitlines())
        }

    def texts(self, path: str, rev: str = "HEAD") -> dict[str, list[tuple[str, str | None]]]:
        """What each file at or below `path` said: (commit, text), newest first; None where it was removed.

        First-parent commits, as `log`. Two processes, however long the history is.
        """
        changes = self.changes(path, rev)
        ids = (blob for rows in changes.values() for _, _, blob in rows if blob.strip("0"))
        blobs = self._blobs(dict.fromkeys(ids))
        return {
            name: [(commit, blobs.get(blob)) for commit, _, blob in rows] for name, rows in changes.items()
        }

    def changes(self, path: str, rev: str = "HEAD") -> dict[str, list[tuple[str, str, str]]]:
        """What each file at or below `path` was: (commit, mode, blob), newest first; zeros: removed.

        Mode and blob are all that git knows of a file: equal ones are the same file, to the byte.
        """
        options = ("--first-parent", "--diff-merges=first-parent", "--raw", "--no-abbrev", "--no-renames")
        config = ("-c", "core.quotePath=false", "-c", "log.showRoot=true")
        out = self._call((*config, "log", *options, f"--format={_RECORD}%H", rev, "--", path)).stdout
        by_path: dict[str, list[tuple[str, str, str]]] = {}
        for record in out.split(_RECORD)[1:]:
            commit, *lines = record.split("\n")
            for line in filter(None, lines):
                facts, name = line.split("\t", 1)
                _, mode, _, blob, _ = facts.split()
                by_path.setdefault(name, []).append((commit, mode, blob))
        return by_path

    def tree(self, rev: str, *folders: str) -> dict[str, str]:
        """The text of every file at a commit below `folders`; two processes, however many there are."""
        out = self.run("ls-tree", "-r", "-z", rev, "--", *folders)
        ids = {}
        for entry in filter(None, out.split("\0")):
            facts, name = entry.split("\t", 1)
            ids[name] = facts.split()[2]
        blobs = self._blobs(dict.fromkeys(ids.values()))
        return {name: blobs[blob] for name, blob in ids.items() if blob in blobs}

    def shown(self, rev: str, paths: Sequence[str]) -> dict[str, str]:
        """The text of each file at a commit, in one process; without those that are not there."""
        wanted = {f"{rev}:{path}": path for path in paths}
        return {wanted[name]: text for name, text in self._blobs(wanted).items()}

    def _blobs(self, ids: Iterable[str]) -> dict[str, str]:
        """The text of each, in one process; what is no blob (a submodule) is left out."""
        wanted = list(ids)
        said = io.BytesIO(self._bytes(("cat-file", "--batch"), "\n".join(wanted).encode()).stdout)
        texts = {}
        for blob in wanted:
            header = said.readline().split()
            if len(header) != 3 or header[-1] == b"missing":  # <id> missing
                continue
            content = said.read(int(header[2]) + 1)[:-1]
            if header[1] == b"blob":
                texts[blob] = _lines(content.decode("utf-8", "replace"))
        return texts

    def has(self, commit: str) -> bool:
        return self.ok("cat-file", "-e", f"{commit}^{{commit}}")

    def is_ancestor(self, older: str, newer: str) -> bool:
        """False also when one of them is unknown here. A commit is its own ancestor."""
        return self.ok("merge-base", "--is-ancestor", older, newer)

    def shallow(self) -> bool:
        return self.run("rev-parse", "--is-shallow-repository") == "true"

    def uncommitted(self, *paths: str) -> list[str]:
        """Those of `paths` that differ from HEAD in the index or the work tree, or are not tracked."""
        done = self._call(
            ("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--", *paths)
        )
        return sorted(entry[3:] for entry in done.stdout.split("\0") if len(entry) > 3)

    def files(self, rev: str, *folders: str) -> list[str]:
        """Paths at a commit below `folders`."""
        out = self.run("ls-tree", "-r", "-z", "--name-only", rev, "--", *folders)
        return [p for p in out.split("\0") if p]

    def subjects(self, older: str, newer: str, *paths: str) -> list[str]:
        """One line a commit between two, newest first; empty when one of them is unknown."""
        done = self._call(("log", "--no-merges", "--format=%h %s", f"{older}..{newer}", "--", *paths))
        return done.stdout.splitlines() if done.returncode == 0 else []

    # --- writing ------------------------------------------------------------------------------------

    def default_branch(self) -> str:
        """The branch that pull requests of `origin` go to."""
        for line in self.run("ls-remote", "--symref", "origin", "HEAD").splitlines():
            if line.startswith("ref: refs/heads/"):
                return line.split()[1].removeprefix("refs/heads/")
        raise TargetError("the remote `origin` names no default branch; push one first")

    def fetch(self, branch: str) -> str:
        """The commit that `branch` of `origin` is at."""
        self.run("fetch", "--quiet", "--no-tags", "origin", f"refs/heads/{branch}")
        return self.head("FETCH_HEAD")

    def commit(self, base: str, files: Mapping[str, str | None], message: str) -> str:
        """A commit on top of `base` with these texts (None removes a file); no branch points at it yet."""
        with tempfile.TemporaryDirectory(prefix="mlops-index-") as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self.run("read-tree", base, env=env)
            for path, text in files.items():
                if text is None:
                    self.run("update-index", "--force-remove", path, env=env)
                    continue
                blob = self.run("hash-object", "-w", "--stdin", text=text)
                self.run("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=env)
            return self.commit_tree(base, self.run("write-tree", env=env), message)

    def commit_tree(self, base: str, tree: str, message: str) -> str:
        """A commit of `tree` on top of `base`; no branch points at it yet."""
        return self.run("commit-tree", tree, "-p", base, "-F", "-", text=message, env=self._identity())

    def push(self, commit: str, branch: str) -> None:
        """Make `branch` of `origin` this commit, whatever it was: the branch is the lifecycle's own."""
        self.run("push", "--quiet", "--force", "origin", f"{commit}:refs/heads/{branch}")

    def merge(self, base: str, head: str, message: str) -> str:
        """A merge commit of two commits, made without a work tree; raises `Blocked` on a conflict."""
        done = self._call(("merge-tree", "--write-tree", "--name-only", base, head))
        if done.returncode == 1:
            names = ", ".join(dict.fromkeys(done.stdout.split("\n\n")[0].splitlines()[1:]))
            raise Blocked(
                f"the branch conflicts with its base in {names}; promote again from the newest commit"
            )
        if done.returncode:
            raise TargetError(
                f"git merge-tree failed in {self.root}: {done.stderr.strip()} (git 2.38 is needed)"
            )
        tree = done.stdout.strip()
        return self.run(
            "commit-tree", tree, "-p", base, "-p", head, "-F", "-", text=message, env=self._identity()
        )

    def _identity(self) -> dict[str, str]:
        env = {}
        for part, fallback in _IDENTITY.items():
            value = self._call(("config", f"user.{part}")).stdout.strip() or fallback
            for role in ("AUTHOR", "COMMITTER"):
                name = f"GIT_{role}_{part.upper()}"
                env[name] = os.environ.get(name) or value
        return env
