"""Where a fork gets the engine's packages: a git tag, a folder of wheels, or a package index.

Each source says what `pyproject.toml` and `uv.lock` hold of a package. For git and for wheels the lock is
written without uv, so that `mlops init` needs no index.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import quote

from mlops.errors import InvalidInput, Problem, TargetError
from mlops.forge.git import Git
from mlops.template import uv

PREFIX = "gitops-ml-"
_SECONDS = 120
Entry = Mapping[str, Any]
"""What `uv.lock` says of a package beside its dependencies: `source`, and files with their hashes."""


class Source(Protocol):
    """One place that has the packages in every version."""

    def requirement(self, name: str, version: str) -> str:
        """The dependency, without extras."""
        ...

    def line(self, name: str, version: str) -> Mapping[str, str]:
        """The value of `[tool.uv.sources]`."""
        ...

    def index(self) -> Mapping[str, str | bool] | None:
        """The table of `[[tool.uv.index]]` that has to be there."""
        ...

    def reference(self, name: str, version: str) -> Mapping[str, str]:
        """How the lock names a requirement of this package: beside name, extras and specifier."""
        ...

    def entries(self, root: Path, names: Sequence[str], version: str) -> Mapping[str, Entry]:
        """By name. Raises `TargetError` when the source does not answer, `InvalidInput` for a lack."""
        ...


@dataclass(frozen=True)
class GitTag:
    """The template's repository at the tag `v<version>`; needs no index."""

    url: str

    def requirement(self, name: str, version: str) -> str:
        return name

    def line(self, name: str, version: str) -> Mapping[str, str]:
        return {"git": self.url, "tag": f"v{version}", "subdirectory": folder_of(name)}

    def index(self) -> None:
        return None

    def reference(self, name: str, version: str) -> Mapping[str, str]:
        return {"git": self._spelled(name, version)}

    def entries(self, root: Path, names: Sequence[str], version: str) -> Mapping[str, Entry]:
        commit = self._commit(root, f"v{version}")
        return {name: {"source": {"git": f"{self._spelled(name, version)}#{commit}"}} for name in names}

    def _spelled(self, name: str, version: str) -> str:
        return f"{self.url}?subdirectory={quote(folder_of(name), safe='')}&tag=v{version}"

    def _commit(self, root: Path, tag: str) -> str:
        code, out, said = Git(root).answer(
            "ls-remote", "--", self.url, f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}"
        )
        if code:
            raise TargetError(f"{self.url} cannot be asked for its tag {tag}: {said}")
        rows = (line.split("	") for line in out.splitlines())
        commits = {name: commit for commit, name in rows}
        commit_of_tag = commits.get(f"refs/tags/{tag}^{{}}") or commits.get(f"refs/tags/{tag}")
        if not commit_of_tag:
            raise InvalidInput(f"--engine: {self.url} has no tag {tag}; push it, or name another source")
        return commit_of_tag


@dataclass(frozen=True)
class Wheels:
    """A folder in the repository or next to it, relative to its root: for networks that reach neither."""

    folder: str

    @property
    def inside(self) -> bool:
        """Whether it is a folder of the repository."""
        return ".." not in PurePosixPath(self.folder).parts

    def requirement(self, name: str, version: str) -> str:
        return name

    def line(self, name: str, version: str) -> Mapping[str, str]:
        return {"path": self._path(name, version)}

    def index(self) -> None:
        return None

    def reference(self, name: str, version: str) -> Mapping[str, str]:
        return {"path": self._path(name, version)}

    def entries(self, root: Path, names: Sequence[str], version: str) -> Mapping[str, Entry]:
        paths = {name: root / self._path(name, version) for name in names}
        if missing := [path.name for path in paths.values() if not path.is_file()]:
            raise InvalidInput(Problem(self.folder, f"lacks {', '.join(missing)}; put the wheels there"))
        return {
            name: {
                "source": {"path": self._path(name, version)},
                "wheels": [
                    {"filename": path.name, "hash": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"}
                ],
            }
            for name, path in paths.items()
        }

    def _path(self, name: str, version: str) -> str:
        return str(PurePosixPath(self.folder) / f"{name.replace('-', '_')}-{version}-py3-none-any.whl")


@dataclass(frozen=True)
class Index:
    """A package index, such as a feed of Azure Artifacts."""

    url: str
    label = "engine"

    def requirement(self, name: str, version: str) -> str:
        return f"{name}=={version}"

    def line(self, name: str, version: str) -> Mapping[str, str]:
        return {"index": self.label}

    def index(self) -> Mapping[str, str | bool]:
        return {"name": self.label, "url": self.url, "explicit": True}

    def reference(self, name: str, version: str) -> Mapping[str, str]:
        return {"specifier": f"=={version}", "index": self.url}

    def entries(self, root: Path, names: Sequence[str], version: str) -> Mapping[str, Entry]:
        """As uv finds them, in a project of these packages and nothing that they depend on."""
        lines = ['[project]\nname = "pin"\nversion = "0"\nrequires-python = ">=3.11"']
        lines.append(f"dependencies = {[self.requirement(name, version) for name in names]}")
        for name in names:
            lines += ["[[tool.uv.dependency-metadata]]", f'name = "{name}"', f'version = "{version}"']
        lines += ["[tool.uv]\npackage = false", "[[tool.uv.index]]", f'name = "{self.label}"']
        lines += [f'url = "{self.url}"', "explicit = true", "[tool.uv.sources]"]
        lines += [f'{name} = {{ index = "{self.label}" }}' for name in names]
        with tempfile.TemporaryDirectory(prefix="mlops-pin-") as folder:
            (Path(folder) / "pyproject.toml").write_text("\n".join(lines), encoding="utf-8")
            code, said = uv.run(Path(folder), "lock", "--quiet", seconds=_SECONDS)
            if code:
                raise TargetError(f"the index {self.url} cannot be asked for version {version}: {said}")
            locked = tomllib.loads((Path(folder) / "uv.lock").read_text(encoding="utf-8"))
        wanted = ("source", "sdist", "wheels")
        return {
            p["name"]: {key: p[key] for key in wanted if key in p}
            for p in locked["package"]
            if p["name"] in names
        }


def folder_of(name: str) -> str:
    """Where the template's repository has the package."""
    return f"packages/{name.removeprefix(PREFIX)}"


def overridden(line: Mapping[str, Any]) -> bool:
    """Whether a line of `[tool.uv.sources]` is a folder or a branch that somebody edits, and no release."""
    path = str(line.get("path", ".whl"))
    return bool(line.get("editable") or line.get("branch")) or not path.endswith(".whl")


def parsed(text: str) -> Source:
    """The source that `text` names; raises `ValueError` that says what is allowed."""
    kind, plus, url = text.partition("+")
    if plus and kind in ("git", "index"):
        if not re.match(r"(https?|ssh|file)://\S+$", url):
            raise ValueError(f"needs a URL after {kind}+; got {url!r}")
        return GitTag(url) if kind == "git" else Index(url)
    if "://" in text or PurePosixPath(text).is_absolute() or not text.strip():
        raise ValueError(
            "must be git+URL of the template, index+URL of a package index, or a folder of wheels, "
            f"relative to the repository; got {text!r}"
        )
    return Wheels(PurePosixPath(text).as_posix())
