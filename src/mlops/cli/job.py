"""The command line in a job of Azure ML: `python src/mlops/cli/job.py <verb>` in the uploaded repository."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # Nothing is installed there: the code lies two levels above this file.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from mlops.cli._app import main

    main()
