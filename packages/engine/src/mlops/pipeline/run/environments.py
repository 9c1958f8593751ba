"""Environments of steps on this machine: what pip installs of a conda file, by uv, once for each content.

An image cannot be had without a container, nor what conda installs; what is left out is a note at the step.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, Problem, TargetError
from mlops.pipeline.parts import Step
from mlops.pipeline.read import read_environment
from mlops.pipeline.run.locks import FileLock
from mlops.spec._yaml import Document
from mlops.spec.digest import data_digest, file_digest

_MADE = "made.json"
_LAST_LINES = 12
_NAME = re.compile(r"[A-Za-z0-9_.\-]+")
_INCLUDE = re.compile(r"(-r|--requirement|-c|--constraint)[ =]\s*(\S+)")


@dataclass(frozen=True)
class Wanted:
    """What a conda file asks for."""

    requirements: tuple[str, ...]
    """Lines of a requirements file."""
    python: str = ""
    left_out: tuple[str, ...] = ()
    """Names of packages that only conda installs."""
    files: tuple[Path, ...] = ()
    """Requirements files that it names."""


@dataclass(frozen=True)
class Made:
    """Where a step's programs are (None: those of this environment), and what stands for it in a key."""

    programs: Path | None
    digest: str
    notes: tuple[str, ...] = ()


@dataclass
class Environments:
    """Those below one folder. `of` may be called from several threads and processes."""

    folder: Path
    installed: str
    """What stands for this environment in a step's key."""
    tell: Callable[[str], None] = lambda _: None
    _made: dict[str, Made] = field(default_factory=dict)
    _one: threading.Lock = field(default_factory=threading.Lock)

    def of(self, step: Step) -> Made:
        """The environment of a step, made when there is none yet. Raises `InvalidInput` and `TargetError`."""
        with self._one:
            if step.name not in self._made:
                self._made[step.name] = self._of(step)
            return self._made[step.name]

    def _of(self, step: Step) -> Made:
        wanted = wanted_by(step)
        if wanted is None:
            return Made(
                None, self.installed, ("no conda file: this virtual environment stands in for its image",)
            )
        content = [wanted.requirements, wanted.python, [file_digest(path) for path in wanted.files]]
        digest = data_digest(content).removeprefix("sha256:")
        home = self.folder / digest[:20]
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / f"{digest[:20]}.lock")
        lock.acquire(lambda: False)
        try:
            if not (home / _MADE).is_file():
                self.tell(f"making the environment of {step.name} ({len(wanted.requirements)} requirements)")
                _make(home, wanted, step.name)
        finally:
            lock.release()
        left = ", ".join(wanted.left_out)
        notes = (f"not installed, for only conda has them: {left}",) if left else ()
        return Made(home / "bin", f"environment {digest}", notes)


def wanted_by(step: Step) -> Wanted | None:
    """What a step's conda file asks for; None when it has none. Raises `InvalidInput`."""
    environment, document, loc, path = read_environment(step)
    conda = environment.conda_file if environment is not None else None
    if conda is None:
        return None
    if isinstance(conda, dict):
        return read_conda(conda, path.parent, document.name)
    file = path.parent / conda
    if not file.is_file():
        raise InvalidInput(document.problem((*loc, "conda_file"), f"the file {conda!r} does not exist"))
    return read_conda(Document.read(file).value, file.parent, str(file))


def read_conda(content: Any, folder: Path, name: str) -> Wanted:
    """What a conda file asks for. Raises `InvalidInput` for one that is none."""
    listed = content.get("dependencies") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise InvalidInput(Problem(name, "has no list of dependencies", "dependencies"))
    lines: list[str] = []
    others: list[str] = []
    python = ""
    for entry in listed:
        if isinstance(entry, dict):
            lines += [str(line).strip() for line in entry.get("pip") or []]
        elif (match := _NAME.match(str(entry).split("::")[-1].strip())) is not None:
            package = match[0]
            if package == "python":
                python = str(entry).split("::")[-1].strip().removeprefix("python").strip()
            elif package not in ("pip", "setuptools", "wheel"):
                others.append(package)
    requirements, files = [], []
    for line in lines:
        include = _INCLUDE.match(line)
        if include is None:
            requirements.append(line)
            continue
        file = (folder / include[2]).resolve()
        if not file.is_file():
            raise InvalidInput(Problem(name, f"names {include[2]!r}, which does not exist", "dependencies"))
        files.append(file)
        requirements.append(f"{include[1]} {file}")
    if python.startswith("=") or python[:1].isdigit():
        python = python.lstrip("=").removesuffix(".*")
    return Wanted(tuple(requirements), python, tuple(others), tuple(files))


def _make(home: Path, wanted: Wanted, step: str) -> None:
    program = shutil.which(
        "uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if program is None:
        raise TargetError(
            "--environment makes environments with uv, which is not on PATH; install it "
            "(https://docs.astral.sh/uv), or run without --environment"
        )
    shutil.rmtree(home, ignore_errors=True)
    version = ["--python", wanted.python] if wanted.python else ["--python", sys.executable]
    _uv([program, "venv", "--quiet", *version, str(home)], step)
    # With pip: commands of Azure ML's users install with it.
    subprocess.run([str(home / "bin" / "python"), "-m", "ensurepip"], capture_output=True, check=False)
    if (home / "bin" / "pip3").exists():
        (home / "bin" / "pip").symlink_to("pip3")
    requirements = home / "requirements.txt"
    requirements.write_text("".join(f"{line}\n" for line in wanted.requirements), encoding="utf-8")
    if wanted.requirements:
        python = home / "bin" / "python"
        _uv([program, "pip", "install", "--quiet", "--python", str(python), "-r", str(requirements)], step)
    (home / _MADE).write_text(
        json.dumps({"python": wanted.python, "left_out": wanted.left_out}), encoding="utf-8"
    )


def _uv(words: list[str], step: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = "\n".join(f"    {line}" for line in done.stderr.strip().splitlines()[-_LAST_LINES:])
        raise TargetError(
            f"the environment of {step} cannot be made here; uv says:\n{said}\n"
            "  run without --environment to use this one, or run it on Azure ML (--target azure)"
        )
