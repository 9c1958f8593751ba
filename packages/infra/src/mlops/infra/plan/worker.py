"""Child process of `base` and of the policy pack: with argv `ROOT STACK…` prints what the program in ROOT
registers."""

from __future__ import annotations

import sys
from pathlib import Path

from mlops.errors import MlopsError

from .dump import dumps
from .stacks import capture_stacks


def main() -> None:
    root, *stacks = sys.argv[1:]
    try:
        captured = capture_stacks(Path(root), stacks)
    except MlopsError as error:
        sys.stderr.write(" ".join(str(error).splitlines()) + "\n")
        sys.exit(error.exit_code)
    sys.stdout.write(dumps(captured) + "\n")


if __name__ == "__main__":
    main()
