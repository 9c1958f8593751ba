"""The command line: parses, calls one function of the lifecycle, prints, and ends with an exit code.

Nothing heavy is imported until a verb runs: `mlops --help` must answer at once.
"""

from mlops.cli._app import main

__all__ = ["main"]
