"""What one version of the template asks of another: a program, its words and its exit codes."""

from __future__ import annotations

import subprocess
from pathlib import Path


def test_the_interface_between_versions_refuses_in_a_sentence(tmp_path: Path) -> None:
    import sys

    def ask(*words: str, given: str = "{}") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mlops.template", *words],
            input=given, capture_output=True, text=True, check=False,
        )  # fmt: skip

    unknown = ask("dance", str(tmp_path))
    assert (unknown.returncode, unknown.stdout) == (5, "") and "cannot 'dance" in unknown.stderr
    without = ask("initialise", str(tmp_path), given='{"project": "a1", "contact": "a@b.org"}')
    assert without.returncode == 5 and "template.toml: does not exist" in without.stderr
    newer = ask("initialise", str(tmp_path), given='{"project": "a1", "contact": "a@b.org", "colour": "red"}')
    assert newer.returncode == 5 and "--colour" in newer.stderr and "Traceback" not in newer.stderr
