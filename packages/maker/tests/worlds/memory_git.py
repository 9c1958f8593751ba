"""A repository in memory: what the lifecycle asks of git, without a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mlops.errors import InvalidInput
from mlops.forge.base import Proposal, PullRequest
from mlops.forge.git import Commit


@dataclass
class MemoryGit:
    """One branch; each commit is all its files. Commits that are not on the branch are only known."""

    root: Path = Path("nowhere")
    commits: list[dict[str, str]] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    """Ids of commits of other branches."""
    changed: list[str] = field(default_factory=list)
    """Names that are not committed as they stand."""
    is_shallow: bool = False
    proposals: list[Proposal] = field(default_factory=list)
    bodies: dict[str, str] = field(default_factory=dict)
    """What a commit's message says below its first line."""

    def commit(self, files: Mapping[str, str | None], body: str = "") -> str:
        before = self.commits[-1] if self.commits else {}
        merged = {**before, **files}
        self.commits.append({k: v for k, v in merged.items() if v is not None})
        made = self.id(len(self.commits) - 1)
        self.bodies[made] = body
        return made

    def id(self, index: int) -> str:
        return f"{index + 1:040x}"

    def _index(self, rev: str) -> int:
        if rev == "HEAD" and self.commits:
            return len(self.commits) - 1
        found = [i for i in range(len(self.commits)) if self.id(i) == rev]
        if not found:
            raise InvalidInput(f"{rev} is not a commit of the repository {self.root}")
        return found[0]

    # --- as `mlops.forge.git.Git` -----------------------------------------------------------------------

    def head(self, rev: str = "HEAD") -> str:
        return self.id(self._index(rev))

    def show(self, rev: str, path: str) -> str | None:
        return self.commits[self._index(rev)].get(path)

    def shown(self, rev: str, paths: Sequence[str]) -> dict[str, str]:
        return {path: text for path in paths if (text := self.show(rev, path)) is not None}

    def texts(self, path: str, rev: str = "HEAD") -> dict[str, list[tuple[str, str | None]]]:
        found: dict[str, list[tuple[str, str | None]]] = {}
        for index in range(self._index(rev), -1, -1):
            now, before = self.commits[index], self.commits[index - 1] if index else {}
            for name in now.keys() | before.keys():
                if (name == path or name.startswith(f"{path}/")) and now.get(name) != before.get(name):
                    found.setdefault(name, []).append((self.id(index), now.get(name)))
        return found

    def changes(self, path: str, rev: str = "HEAD") -> dict[str, list[tuple[str, str, str]]]:
        return {
            name: [(at, "0" * 6, "0" * 40) if t is None else (at, "100644", t) for at, t in rows]
            for name, rows in self.texts(path, rev).items()
        }

    def log(self, path: str, rev: str = "HEAD", limit: int | None = None) -> list[Commit]:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        ids = [i for i, _ in self.texts(path, rev).get(path, [])][:limit]
        return [Commit(i, at, "Ada", "subject", self.bodies.get(i, "")) for i in ids]

    def wrote(self, commits: Sequence[str]) -> dict[str, str]:
        return dict.fromkeys(commits, "Ada")

    def tree(self, rev: str, *folders: str) -> dict[str, str]:
        files = self.commits[self._index(rev)]
        return {name: text for name, text in files.items() if name.startswith(folders)}

    def has(self, commit: str) -> bool:
        return commit == "HEAD" or commit in self.known or commit in map(self.id, range(len(self.commits)))

    def is_ancestor(self, older: str, newer: str) -> bool:
        ids = [self.id(i) for i in range(len(self.commits))]
        return older in ids and newer in ids and ids.index(older) <= ids.index(newer)

    def shallow(self) -> bool:
        return self.is_shallow

    def uncommitted(self, *paths: str) -> list[str]:
        return [n for n in self.changed if n in paths or n.startswith(tuple(f"{p}/" for p in paths))]

    def default_branch(self) -> str:
        return "main"

    def fetch(self, branch: str) -> str:
        assert branch == "main"
        return self.head()

    def subjects(self, older: str, newer: str, *paths: str) -> list[str]:
        return [f"from {older[-4:]} to {newer[-4:]} in {', '.join(paths)}"]


@dataclass
class MemoryForge:
    """Says what it was asked to do; see `propose`."""

    done: list[str] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)

    def compare_url(self, older: str, newer: str) -> str:
        return f"compare {older[-4:]} {newer[-4:]}"

    def auto_merge(self, number: int) -> None:
        self.done.append("auto-merge")

    def find(self, branch: str) -> PullRequest | None:
        return None if "auto-merge" in self.done else self._request(branch)

    def _request(self, branch: str) -> PullRequest:
        return PullRequest(1, branch, "main", "", "open", "", "url")

    def propose(
        self, git: MemoryGit, forge: object, proposal: Proposal, base: str, commit: str
    ) -> PullRequest:
        """In place of `mlops.forge.base.propose`."""
        assert (forge, base, commit) == (self, "main", git.fetch(base))
        self.proposals.append(proposal)
        return self._request(proposal.branch)
