"""`python -m mlops.reference` brings docs/reference up to date and names the pages that changed."""

from __future__ import annotations

import sys
from pathlib import Path

from mlops.reference.pages import write

if __name__ == "__main__":
    for name in write(Path.cwd()):
        sys.stdout.write(f"{name}\n")
