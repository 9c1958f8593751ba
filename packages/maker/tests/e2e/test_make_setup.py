"""`make setup` finds a Python that will do, whatever it is called, and refuses the others before it makes
anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
TOOLS = ("bash", "cat", "false", "sed", "test", "touch", "echo")


class World:
    """A copy of the Makefile, and a PATH on which nothing lies that a test did not put there."""

    def __init__(self, folder: Path) -> None:
        self.root, self.bin = folder / "repository", folder / "bin"
        self.root.mkdir()
        self.bin.mkdir()
        for name in ("Makefile", "uv.lock", "pyproject.toml"):
            (self.root / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
        for tool in TOOLS:
            if found := shutil.which(tool):
                (self.bin / tool).symlink_to(found)

    def python(self, name: str, version: tuple[int, int] | None) -> None:
        """An interpreter of that version; None: a name that does not start, as pyenv's are."""
        path = self.bin / name
        lie = f"import sys; sys.version_info = {(*(version or (0, 0)), 0)}; exec(sys.argv[1])"
        path.write_text(
            "#!/bin/sh\nexit 127\n"
            if version is None
            else f"#!/bin/sh\nexec {sys.executable} -c '{lie}' \"$2\"\n",
            encoding="utf-8",
        )
        path.chmod(0o755)

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        make = shutil.which("make")
        assert make is not None
        return subprocess.run(
            [make, *words],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": str(self.bin), "HOME": os.environ["HOME"]},
        )

    def chosen(self) -> str:
        return self.make("--silent", "--eval", "which:; @echo $(PYTHON)", "which").stdout.strip()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ({"python3.11": (3, 11)}, "python3.11"),
        ({"python3.12": (3, 12)}, "python3.12"),
        ({"python3.11": None, "python3.13": (3, 13)}, "python3.13"),
        ({"python3": (3, 12)}, "python3"),
        ({"python3": (3, 10), "python": (3, 11)}, "python"),
        ({"python3": (3, 10)}, ""),
        ({"python3": (3, 14)}, ""),
        ({"python3": (4, 11)}, ""),
        ({}, ""),
    ],
)
def test_the_first_python_that_will_do_is_taken(
    world: World, there: dict[str, tuple[int, int] | None], chosen: str
) -> None:
    for name, version in there.items():
        world.python(name, version)
    assert world.chosen() == chosen


@pytest.mark.parametrize(
    "words", [("setup",), ("test",), ("setup", "PYTHON=python3"), ("setup", "PYTHON=nowhere")]
)
def test_a_python_that_will_not_do_is_refused_before_anything_is_made(
    world: World, words: tuple[str, ...]
) -> None:
    world.python("python3", (3, 10))
    done = world.make(*words)
    assert done.returncode != 0
    assert "Python 3.11, 3.12 or 3.13 is needed" in done.stdout
    assert f"make {words[0]} PYTHON=" in done.stdout
    assert not (world.root / ".venv").exists()
