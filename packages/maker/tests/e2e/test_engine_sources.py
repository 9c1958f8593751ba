"""Where a fork gets the engine: a git tag, a folder of wheels, an index. Each without a network.

A source that only works on the machine of who wrote it leaves a fork that nobody can install.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from template_copy import PACKAGES, Repository
from test_init import OPTIONS, copied, engine_of, make_template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ENGINE = ("gitops-ml-engine", "gitops-ml-infra", "gitops-ml-lint", "gitops-ml-runtime")


def uv(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("uv"))
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "UV_OFFLINE": "1", **PACKAGES}
    return subprocess.run([program, *words], cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Read only."""
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="module")
def wheels(template: Repository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the workflow `publish` builds."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in ENGINE:
        package = f"packages/{name.removeprefix('gitops-ml-')}"
        done = uv(template.root, "build", "--quiet", "--wheel", "--out-dir", str(folder), package)
        assert done.returncode == 0, done.stderr
    (folder / ".gitignore").unlink(missing_ok=True)
    return folder


@pytest.fixture
def clone(template: Repository, tmp_path: Path) -> Repository:
    return copied(template, tmp_path)


def locked(fork: Repository) -> dict[str, Any]:
    """The engine's packages in the lock, which uv takes as it is."""
    done = uv(fork.root, "lock", "--check")
    assert done.returncode == 0, done.stderr
    rows = tomllib.loads((fork.root / "uv.lock").read_text())["package"]
    return {row["name"]: row for row in rows if row["name"].startswith("gitops-ml-")}


def installed(fork: Repository, folder: Path, *index: str) -> list[str]:
    """Install the engine alone, from the fork's lock; where Python finds it then."""
    pins, here = folder / "pins.txt", folder / "environment"
    words = [word for name in ENGINE for word in ("--only-emit-package", name)]
    for command in (
        ("export", "--frozen", "--no-dev", *words, "--no-header", "--output-file", str(pins)),
        ("venv", "--quiet", "--python", sys.executable, str(here)),
        (
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--python",
            str(here),
            *index,
            "--requirements",
            str(pins),
        ),
    ):
        done = uv(fork.root, *command)
        assert done.returncode == 0, done.stderr
    code = (
        "from importlib.util import find_spec\n"
        "for name in ('template', 'infra', 'lint', 'spec'): print(find_spec(f'mlops.{name}').origin)"
    )
    said = subprocess.run(
        [str(here / "bin" / "python"), "-I", "-c", code], capture_output=True, text=True, check=True
    )
    return said.stdout.splitlines()


def below(folder: Path, places: list[str]) -> bool:
    return len(places) == 4 and all(place.startswith(str(folder / "environment")) for place in places)


def test_a_git_tag(template: Repository, clone: Repository, tmp_path: Path) -> None:
    clone.call("init", *OPTIONS, *engine_of(template)).ok()
    commit = template.git("rev-parse", "HEAD")
    rows = locked(clone)
    assert sorted(rows) == sorted(ENGINE)
    assert all(row["source"]["git"].endswith(f"#{commit}") for row in rows.values())
    assert below(tmp_path, installed(clone, tmp_path))


def test_a_folder_of_wheels(clone: Repository, wheels: Path, tmp_path: Path) -> None:
    shutil.copytree(wheels, clone.root / "wheels")
    clone.commit("The engine")
    clone.call("init", *OPTIONS, "--engine", "wheels").ok()
    assert sorted(path.name for path in (clone.root / "wheels").iterdir()) == sorted(
        p.name for p in wheels.iterdir()
    )
    for row in locked(clone).values():
        (file,) = row["wheels"]
        digest = hashlib.sha256((wheels / file["filename"]).read_bytes()).hexdigest()
        assert file["hash"] == f"sha256:{digest}"
    assert below(tmp_path, installed(clone, tmp_path))


def test_wheels_beside_the_repository(clone: Repository, wheels: Path) -> None:
    shutil.copytree(wheels, clone.root.parent / "wheels")
    clone.call("init", *OPTIONS, "--engine", "../wheels").ok()
    assert all(row["source"]["path"].startswith("../wheels/") for row in locked(clone).values())


def test_a_folder_without_the_wheels_is_refused(clone: Repository) -> None:
    done = clone.call("init", *OPTIONS, "--engine", "../wheels")
    done.refused(5, "wheels: lacks gitops_ml_engine-", "put the wheels there")
    assert clone.git("status", "--porcelain") == ""


def test_nobody_says_where_the_engine_is(clone: Repository, wheels: Path) -> None:
    """A clone of a template without a released tag: its own packages become the fork's wheels."""
    clone.call("init", *OPTIONS).ok()
    made = {path.name: path.read_bytes() for path in (clone.root / "wheels").iterdir()}
    assert sorted(made) == sorted(path.name for path in wheels.iterdir())
    for row in locked(clone).values():
        (file,) = row["wheels"]
        assert file["hash"] == f"sha256:{hashlib.sha256(made[file['filename']]).hexdigest()}"
    assert uv(clone.root, "lock", "--check", "--offline").returncode == 0


def test_a_package_index(clone: Repository, wheels: Path, tmp_path: Path) -> None:
    simple = tmp_path / "simple"
    for wheel in wheels.glob("*.whl"):
        folder = simple / wheel.name.partition("-")[0].replace("_", "-")
        folder.mkdir(parents=True)
        shutil.copy2(wheel, folder)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        (folder / "index.html").write_text(f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>')
    clone.env |= PACKAGES
    clone.call("init", *OPTIONS, "--engine", f"index+{simple.as_uri()}").ok()
    project = tomllib.loads((clone.root / "pyproject.toml").read_text())
    assert project["tool"]["uv"]["index"] == [{"name": "engine", "url": simple.as_uri(), "explicit": True}]
    assert all(row["wheels"][0]["hash"].startswith("sha256:") for row in locked(clone).values())
    assert below(tmp_path, installed(clone, tmp_path, "--default-index", simple.as_uri()))


def test_a_repository_without_the_tag_is_refused(clone: Repository, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["git", "init", "--quiet", str(other)], check=True)
    clone.call("init", *OPTIONS, "--engine", f"git+{other.as_uri()}").refused(5, "has no tag v", "push it")
