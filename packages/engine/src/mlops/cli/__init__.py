"""The command line: parses, calls one function of the lifecycle, prints, and ends with an exit code.

Nothing heavy is imported until a verb runs: `mlops --help` must answer at once.
"""

__all__ = ["main"]


def main() -> None:
    """Entry point of the `mlops` script."""
    from mlops.cli import _warm

    with _warm.kept():
        from mlops.cli._app import main as answer

        answer()
