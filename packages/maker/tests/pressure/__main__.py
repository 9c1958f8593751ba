"""Run rows for as long as you like and print them as docs/pressure.md has them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "worlds"))

from tests.pressure.table import ROWS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.pressure", description=__doc__)
    parser.add_argument("--times", type=int, help="of each row; default: as the slow suite has it")
    parser.add_argument("--only", action="append", choices=[row.name for row in ROWS])
    options = parser.parse_args()
    print("| row | what holds | figures | seconds |\n|---|---|---|---|", flush=True)  # noqa: T201
    for row in ROWS:
        if options.only and row.name not in options.only:
            continue
        found, seconds = row.run(options.times or row.short)
        figures = ", ".join(f"{value:,} {name}" for name, value in found.items())
        print(f"| {row.name} | {row.says} | {figures} | {seconds:.0f} |", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
