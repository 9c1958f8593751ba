"""`python -m mlops.cli`, for where the script `mlops` is not on PATH."""

from mlops.cli import main

main()
