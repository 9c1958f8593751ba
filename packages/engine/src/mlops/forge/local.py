"""Pull requests of a bare repository on this machine: the forge of a laptop and of the tests.

`origin` holds the branches; a pull request is a JSON file in its folder `pulls/`. A merge is a real merge
commit. Where the repository runs workflows (`mlops.forge.pushed`), opening, moving and merging a pull request
starts them as on GitHub, and those of the pull request are its checks; elsewhere there are none to wait for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import unquote, urlparse

from mlops.errors import Blocked, NotFound, TargetError
from mlops.forge.base import PullRequest, Review
from mlops.forge.git import Git
from mlops.forge.pushed.store import ENDED, Run, Store
from mlops.spec import writing

FOLDER = "pulls"


class LocalForge:
    """`Forge` over a bare repository."""

    def __init__(self, bare: Path) -> None:
        self.git = Git(bare)
        self._pulls = bare / FOLDER
        self._store = Store(bare)

    @classmethod
    def of(cls, git: Git) -> LocalForge:
        """The one of the remote `origin`, which must be a folder of this machine; raises `TargetError`."""
        if "origin" not in git.run("remote").split():
            raise TargetError(
                "there is no remote origin, and pull requests are opened there; "
                "make one that is a forge with `mlops forge init ../origin.git`"
            )
        url = git.run("remote", "get-url", "origin")
        path = Path(unquote(urlparse(url).path) if url.startswith("file://") else url)
        bare = path if path.is_absolute() else git.root / path
        if not (bare / "objects").is_dir():
            raise TargetError(
                f"the remote origin is {url}, and the forge `local` needs a bare repository in a folder; "
                "set [forge] in mlops.toml to github or azure-devops, or run `git remote remove origin` and "
                "`mlops forge init ../origin.git`"
            )
        return cls(bare)

    @property
    def runs_workflows(self) -> bool:
        return self._store.enabled

    def find(self, branch: str) -> PullRequest | None:
        return next((p for p in self.list_open() if p.branch == branch), None)

    def list_open(self) -> list[PullRequest]:
        return [p for p in self._all() if p.state == "open"]

    def open_or_update(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        head = self.git.head(f"refs/heads/{branch}")
        there = self.find(branch)
        if there is not None:
            request = self._write(replace(there, base=base, title=title, body=body, head=head))
            if there.head != head:
                self._started(request, "synchronize", _actor())
            return request
        with self._alone():
            number = max((p.number for p in self._all()), default=0) + 1
            url = (self._pulls / f"{number}.json").as_uri()
            request = self._write(PullRequest(number, branch, base, title, "open", head, url, body, _actor()))
        self._started(request, "opened", _actor())
        return request

    def request_review(self, number: int, reviewers: Sequence[str]) -> None:
        request = self.get(number)
        line = f"\nReview requested from: {', '.join(reviewers)}\n"
        if line not in request.body:
            self._write(replace(request, body=request.body + line))

    def close(self, number: int, reason: str) -> None:
        request = self.get(number)
        if request.state == "open":
            self._write(replace(request, state="closed", body=f"{request.body}\n\n{reason}\n"))

    def merge(self, number: int, approver: str = "") -> str:
        # Jobs of several models may open and merge at once.
        with self._alone():
            request = self.get(number)
            if request.state != "open":
                raise Blocked(f"pull request {number} is {request.state}")
            if (unchecked := self._unchecked(number)) is not None:
                raise Blocked(f"pull request {number} cannot be merged: {unchecked}")
            base, head = f"refs/heads/{request.base}", self.git.head(f"refs/heads/{request.branch}")
            if approver:
                self.approve(number, approver)
            before, merged = self._merged(request, base, head, approver)
            self._write(replace(request, state="merged", head=head))
        if self._store.enabled:
            from mlops.forge.pushed import trigger

            trigger.push(self._store, base, before, merged, approver or _actor())
        return merged

    def _merged(self, request: PullRequest, base: str, head: str, approver: str) -> tuple[str, str]:
        """Where `base` was and is now; what somebody pushes meanwhile is built upon, never undone."""
        approved = f"\nApproved-by: {approver}\n" if approver else ""
        message = f"Merge pull request {request.number}: {request.title}\n{approved}"
        while True:
            before = self.git.head(base)
            merged = self.git.merge(before, head, message)
            if self.git.ok("update-ref", base, merged, before):
                return before, merged
            if self.git.head(base) == before:
                raise TargetError(
                    f"{base} of {self.git.root} cannot be moved; look at the files in its refs/"
                )

    def auto_merge(self, number: int) -> None:
        if self._unchecked(number) is None:
            self.merge(number)
        else:
            self._wish(number).touch()

    def moved(self, branch: str, actor: str) -> tuple[Run, ...]:
        """The branch was pushed; the runs that this starts for its open pull request."""
        request = self.find(branch)
        head = self.git.head(f"refs/heads/{branch}")
        if request is None or request.head == head:
            return ()
        return self._started(self._write(replace(request, head=head)), "synchronize", actor)

    def checked(self, number: int) -> None:
        """A check has ended: merge now if that was asked for and the last one passed."""
        if self._wish(number).exists() and self._unchecked(number) is None:
            self._wish(number).unlink(missing_ok=True)
            self.merge(number)

    def _started(self, request: PullRequest, kind: str, actor: str) -> tuple[Run, ...]:
        if not self._store.enabled:
            return ()
        from mlops.forge.pushed import trigger

        return trigger.pull_request(self._store, request, kind, actor).runs

    def _unchecked(self, number: int) -> str | None:
        """Why the checks of a pull request do not allow its merge; None when they do."""
        runs = self._store.runs() if self._store.enabled else []
        last = {run.workflow: run for run in runs if run.pull == number}
        running = [run for run in last.values() if run.state not in ENDED]
        failed = [run for run in last.values() if run.state in ("failure", "cancelled")]
        if running:
            return f"{running[0].workflow} (run {running[0].number}) has not ended; see: mlops forge runs"
        if failed:
            number = failed[0].number
            return f"{failed[0].workflow} (run {number}) did not pass; see: mlops forge log {number}"
        return None

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """While nobody else opens or merges a pull request."""
        with self._pulls.with_suffix(".lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _wish(self, number: int) -> Path:
        """There when a pull request is to be merged once its checks passed."""
        return self._pulls / f"{number}.auto"

    def approve(self, number: int, by: str) -> None:
        """Somebody agrees to the branch as it is now; what is pushed later needs a new word."""
        request = self.get(number)
        head = request.head if request.state == "merged" else self.git.head(f"refs/heads/{request.branch}")
        with self._approvals(number).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"by": by, "head": head}) + "\n")

    def review(self, commit: str) -> Review | None:
        parents = self.git.run("rev-parse", f"{commit}^@").split()
        # Merged here, or by hand: what counts is what came in.
        brought = {commit, *parents[1:]}
        request = next((p for p in reversed(self._all()) if p.head in brought), None)
        if request is None:
            return None
        path = self._approvals(request.number)
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        said = [json.loads(line) for line in lines]
        people = {str(one["by"]) for one in said if one["head"] == request.head}
        return Review(request.number, request.url, request.author, tuple(sorted(people)))

    def authors(self, commits: Sequence[str]) -> set[str]:
        """Names of git: this machine has no other, and anybody can set them."""
        return {
            name for c in commits for name in self.git.run("show", "-s", "--format=%an%n%cn", c).split("\n")
        }

    def _approvals(self, number: int) -> Path:
        return self._pulls / f"{number}.approvals"

    def compare_url(self, older: str, newer: str) -> str:
        return ""

    def get(self, number: int) -> PullRequest:
        """Raises `NotFound`."""
        path = self._pulls / f"{number}.json"
        if not path.is_file():
            raise NotFound(f"there is no pull request {number} in {self.git.root}")
        return PullRequest(**json.loads(path.read_text(encoding="utf-8")))

    def _all(self) -> list[PullRequest]:
        numbers = sorted(int(p.stem) for p in self._pulls.glob("*.json"))
        return [self.get(n) for n in numbers]

    def _write(self, request: PullRequest) -> PullRequest:
        writing.write(self._pulls / f"{request.number}.json", json.dumps(asdict(request), indent=2))
        return request


def _actor() -> str:
    named = os.environ.get("GITHUB_ACTOR") or os.environ.get("USER")
    return named or Git(Path.cwd()).answer("config", "user.name")[1].strip() or "somebody"
