"""What a command costs: CPU seconds and peak memory of its process, the smallest of some rounds.

CPU seconds do not count the waiting for others. On a loaded machine they still grow, by what caches lose:
figures compare within one call of the benchmark, and not across machines.
"""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """One command at one size."""

    size: int
    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Row:
    """A command at several sizes; `limits` by size, in CPU seconds, `memory` in megabytes."""

    name: str
    unit: str
    costs: Sequence[Cost]
    limits: dict[int, float]
    memory: dict[int, float] = field(default_factory=dict)

    @property
    def exponent(self) -> float | None:
        """Of size, in what the command costs more than at the smallest size: 1 is linear, 2 quadratic."""
        first, *rest = self.costs
        more = [(c.size / first.size, c.seconds - first.seconds) for c in rest]
        grown = [(size, seconds) for size, seconds in more if seconds > 0.05]
        if len(grown) < 2:
            return None
        (a, low), (b, high) = grown[0], grown[-1]
        return math.log(high / low) / math.log(b / a)

    @property
    def over(self) -> list[Cost]:
        """What costs more than is wanted."""
        return [
            c
            for c in self.costs
            if c.seconds > self.limits.get(c.size, math.inf)
            or c.megabytes > self.memory.get(c.size, math.inf)
        ]


def command(
    words: Sequence[str], folder: Path, rounds: int, codes: Sequence[int] = (0,)
) -> tuple[float, float]:
    """CPU seconds and megabytes; raises when it ends with another exit code than `codes`."""
    seconds, megabytes = math.inf, math.inf
    # Without byte code every start would compile what it imports once more, and that would be measured.
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(rounds):
        with subprocess.Popen(
            list(words), cwd=folder, env=plain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            said = process.stdout.read() if process.stdout is not None else ""
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in codes:
            raise SystemExit(f"{' '.join(words)} ended with {process.returncode}:\n{said[-2000:]}")
        seconds = min(seconds, usage.ru_utime + usage.ru_stime)
        megabytes = min(megabytes, usage.ru_maxrss / 1024)
    return seconds, megabytes


def here(work: Callable[[], object], rounds: int) -> float:
    """CPU seconds of a call in this process."""
    import time

    best = math.inf
    for _ in range(rounds):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best
