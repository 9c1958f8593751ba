"""What the program of a stack accepts, for the policy pack: the engine's process cannot tell another one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from mlops.errors import Inconclusive

from .base import TIMEOUT
from .dump import loads


def accepted_by_program(root: Path) -> Callable[[str], frozenset[tuple[str, str]]]:
    """A function from a stack to the (resource, check) pairs that the program of `root` accepts there.

    The program is run once more, under mocks, when the first rule is broken. The settings that the engine
    gave this process would leak into the mocks, so it is a child. Raises `Inconclusive` when the program
    fails there.
    """

    @cache
    def accepted(stack: str) -> frozenset[tuple[str, str]]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PULUMI_")}
        done = subprocess.run(
            [sys.executable, "-m", "mlops.infra.plan.worker", str(root), stack],
            cwd=root, env=clean, capture_output=True, text=True, check=False, timeout=TIMEOUT,
        )  # fmt: skip
        if done.returncode:
            raise Inconclusive(
                f"what the program accepts for stack {stack} cannot be told: {done.stderr.strip()}"
            )
        captured = loads(done.stdout.splitlines()[-1])
        return frozenset((s.resource, s.check) for c in captured for s in c.skips)

    return accepted
