"""Every path that `template.toml` names is in git."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mlops.template import manifest

ROOT = Path(__file__).parents[5]
TEMPLATE = manifest.load(ROOT)


def tracked() -> list[str]:
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("line", [*TEMPLATE.zones.fork, *TEMPLATE.zones.skeleton])
def test_every_zone_names_what_exists(line: str) -> None:
    matcher = manifest.spec([line.removeprefix("!")])
    # Made by the first release, written by init, or gone with a version that had the engine inside.
    coming = line in ("/releases/", "/docs/README.md", "/docs/engine.md", "/docs/tutorial.md", "!/src/mlops/")
    assert coming or any(matcher.match_file(path) for path in tracked()), f"nothing matches {line}"


def test_every_path_of_the_example_names_what_exists() -> None:
    assert TEMPLATE.example is not None
    made = re.compile(r"/(releases|environments)/")  # by its first release
    lines = [line for line in TEMPLATE.example.paths if not made.match(line)]
    paths = tracked()
    gone = [x for x in lines if not any(manifest.spec([x.removeprefix("!")]).match_file(p) for p in paths)]
    assert gone == [], "template.toml: [example] names what is not there any more"
