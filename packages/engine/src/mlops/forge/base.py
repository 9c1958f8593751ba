"""Where changes are proposed, reviewed and merged: the small protocol behind which a forge lives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from mlops.forge.git import Git


@dataclass(frozen=True)
class PullRequest:
    """A proposed change. `head` is the commit at the tip of its branch."""

    number: int
    branch: str
    base: str
    title: str
    state: Literal["open", "merged", "closed"]
    head: str
    url: str
    body: str = ""
    author: str = ""
    """Where the forge of this machine knows it."""


@dataclass(frozen=True)
class Review:
    """Who agreed to what a merged pull request brought, by names that the forge vouches for."""

    number: int
    url: str
    author: str
    approved: tuple[str, ...]
    """People whose last word on the commit that was merged is yes; no bots, groups or strangers."""


class Forge(Protocol):
    """Pull requests of one repository. A branch has at most one that is open."""

    @property
    def runs_workflows(self) -> bool:
        """Whether a merge starts what applies it; elsewhere a person types `mlops apply`."""

    def find(self, branch: str) -> PullRequest | None:
        """The open pull request of a branch."""

    def list_open(self) -> list[PullRequest]:
        """All that are open, oldest first."""

    def open_or_update(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Propose the pushed `branch`; title and body of one that is open already are replaced."""

    def request_review(self, number: int, reviewers: Sequence[str]) -> None:
        """Ask these users or teams; whom the forge does not know is a `TargetError`."""

    def close(self, number: int, reason: str) -> None:
        """Without merging; `reason` is left as a comment. Idempotent."""

    def merge(self, number: int, approver: str = "") -> str:
        """A real merge commit; answers its id. Raises `Blocked` when the forge or a conflict forbids it."""

    def auto_merge(self, number: int) -> None:
        """Merge by itself once every required check and review is there."""

    def review(self, commit: str) -> Review | None:
        """Of the pull request that brought `commit` to the default branch; None when none did."""

    def authors(self, commits: Sequence[str]) -> set[str]:
        """Who wrote, committed or proposed them, by the names of `Review`."""

    def compare_url(self, older: str, newer: str) -> str:
        """A page with the difference of two commits; empty when the forge has none."""


@dataclass(frozen=True)
class Proposal:
    """A change of files on a branch of the lifecycle's own."""

    branch: str
    title: str
    body: str
    files: Mapping[str, str | None]
    """New text by path; None removes the file."""
    reviewers: tuple[str, ...] = ()
    supersedes: tuple[str, ...] = ()
    """Branches whose open pull requests this one makes pointless."""


def let_in(forge: Forge, request: PullRequest) -> PullRequest:
    """Have a pull request merged as soon as the forge allows it, which may be now; its state then."""
    forge.auto_merge(request.number)
    return request if forge.find(request.branch) else replace(request, state="merged")


def propose(git: Git, forge: Forge, proposal: Proposal, base: str, commit: str) -> PullRequest:
    """Commit on top of `commit` (the tip of `base`), push, open or update, close what is superseded.

    The user's checkout, index and branches stay as they are. Running it again gives the same pull request.
    """
    proposed = git.commit(commit, proposal.files, f"{proposal.title}\n")
    git.push(proposed, proposal.branch)
    request = forge.open_or_update(proposal.branch, base, proposal.title, proposal.body)
    if proposal.reviewers:
        forge.request_review(request.number, proposal.reviewers)
    for branch in proposal.supersedes:
        old = forge.find(branch)
        if old is not None:
            forge.close(old.number, f"Superseded by {request.url}")
    return request
