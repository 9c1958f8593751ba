#!/usr/bin/env -S uv run --quiet --script
# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "azure-ai-ml==1.35.2",
#     "marshmallow==3.26.2",
#     "pathspec>=1",
#     "pydantic>=2.11",
#     "pyyaml>=6.0.2",
# ]
# ///
"""The pre-commit hook of other repositories (docs/lint.md): the lint of this checkout, nothing else."""

import sys
from pathlib import Path

_PACKAGES = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_PACKAGES / "lint" / "src"), str(_PACKAGES / "runtime" / "src")]

if __name__ == "__main__":
    from mlops.lint.__main__ import main

    sys.exit(main())
