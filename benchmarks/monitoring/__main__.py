"""Compare `mlops monitor` with Evidently at equal verdicts: `python benchmarks/monitoring`.

Both judge the same files by the same rule (population stability index above a threshold, column by column),
each in a process of its own, in turns; figures are medians over the rounds. The run fails when the verdicts
differ, when a true drift is missed, or when cost grows faster than the rows, or memory with them. Evidently
gets an environment of its own, from requirements.txt, in the user's cache; the project does not depend on it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from data import DRIFTED, write_captured, write_reference
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
LOCK = HERE / "requirements.txt"
THRESHOLD = 0.2
SECONDS = 10.0
"""A million rows in less is what "seconds" means."""
GROWTH = 1.5
"""Cost a row at the largest size over that at the smallest of the two largest; linear is 1."""
MEMORY = 1.5
"""Peak memory at the largest size over that at the smallest; bounded memory is 1."""

Answer = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/monitoring", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[250_000, 500_000, 1_000_000, 2_000_000])
    parser.add_argument("--reference", type=int, default=200_000, help="rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--theirs-up-to", type=int, default=1_000_000, help="rows; Evidently needs memory for all"
    )
    given = parser.parse_args()
    console = Console()
    theirs = environment(console)
    taken: dict[tuple[str, int], list[Answer]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        reference, profile = place / "reference.parquet", place / "profile.json"
        write_reference(reference, given.reference)
        ours = [sys.executable, str(HERE / "ours.py")]
        run([*ours, str(reference), "-", str(THRESHOLD), str(profile)], answer=False)
        for rows in given.rows:
            captured = place / str(rows)
            write_captured(captured, rows)
            words = [str(reference), str(captured), str(THRESHOLD)]
            for _ in range(given.rounds):
                taken.setdefault(("ours", rows), []).append(run([*ours, *words, str(profile)]))
                if rows <= given.theirs_up_to:
                    page = str(place / "page.html")
                    command = [str(theirs), str(HERE / "theirs.py"), *words, page]
                    taken.setdefault(("evidently", rows), []).append(run(command))
    show(console, taken)
    problems = judged(taken, given.rows)
    for problem in problems:
        console.print(f"[red]{problem}[/]")
    return 1 if problems else 0


def environment(console: Console) -> Path:
    """Its Python, made once for each content of the lock."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    made = cache / "mlops" / f"evidently-{digest}"
    python = made / "bin" / "python"
    if not (made / "ready").exists():
        console.print(f"Installing Evidently into {made} (once)")
        uv = str(Path(sys.executable).with_name("uv"))
        for words in (
            ["venv", "--quiet", "--allow-existing", "--python", sys.executable, str(made)],
            ["pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(LOCK)],
        ):
            subprocess.run([uv, *words], check=True)
        (made / "ready").touch()
    return python


def run(command: list[str], *, answer: bool = True) -> Answer:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[1]} failed:\n{done.stderr}")
    found: Answer = json.loads(done.stdout) if answer else {}
    return found


def median(answers: list[Answer], name: str) -> float:
    return statistics.median(a[name] for a in answers)


def show(console: Console, taken: dict[tuple[str, int], list[Answer]]) -> None:
    table = Table(title="20 columns, PSI by column; medians")
    for heading in ("rows", "who", "seconds", "CPU s", "µs CPU a row", "peak MB", "start s", "drifted"):
        table.add_column(heading, justify="right")
    for (who, rows), answers in sorted(taken.items(), key=lambda item: (item[0][1], item[0][0])):
        cpu = median(answers, "cpu")
        table.add_row(
            f"{rows:,}",
            who,
            f"{median(answers, 'seconds'):.2f}",
            f"{cpu:.2f}",
            f"{cpu / rows * 1e6:.2f}",
            f"{median(answers, 'megabytes'):.0f}",
            f"{median(answers, 'start'):.1f}",
            str(len(answers[0]["drifted"])),
        )
    console.print(table)
    pages = [a for (who, _), answers in taken.items() if who == "evidently" for a in answers]
    if pages:
        size, took = median(pages, "page_megabytes"), median(pages, "page_seconds")
        console.print(f"Evidently's HTML report: {size:.1f} MB, {took:.1f} s more")
    for rows in sorted({rows for _, rows in taken}):
        if ("evidently", rows) in taken:
            ours, theirs = taken["ours", rows], taken["evidently", rows]
            console.print(
                f"{rows:,} rows: {median(theirs, 'cpu') / median(ours, 'cpu'):.1f} times less CPU time, "
                f"{median(theirs, 'megabytes') / median(ours, 'megabytes'):.1f} times less memory"
            )


def judged(taken: dict[tuple[str, int], list[Answer]], sizes: list[int]) -> list[str]:
    """What is not as it must be."""
    found = []
    for (who, rows), answers in taken.items():
        found += [
            f"{who} at {rows:,} rows says {', '.join(a['drifted']) or 'nothing'} drifted, in truth "
            f"{', '.join(DRIFTED)} did"
            for a in answers
            if tuple(a["drifted"]) != DRIFTED or a["rows"] != rows
        ]
    for rows in (r for r in sizes if r <= 1_000_000):
        if (took := median(taken["ours", rows], "seconds")) > SECONDS:
            found.append(f"{rows:,} rows took {took:.1f} s, at most {SECONDS:g} are allowed")
    if len(sizes) > 1:
        small, large = sorted(sizes)[-2:]
        growth = (median(taken["ours", large], "cpu") / large) / (median(taken["ours", small], "cpu") / small)
        more = median(taken["ours", large], "megabytes") / median(taken["ours", min(sizes)], "megabytes")
        if more > MEMORY:
            found.append(f"{large:,} rows take {more:.2f} times the memory of {min(sizes):,}")
        if growth > GROWTH:
            found.append(f"a row costs {growth:.2f} times as much at {large:,} rows as at {small:,}")
    return found


if __name__ == "__main__":
    sys.exit(main())
