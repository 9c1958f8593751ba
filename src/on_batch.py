"""Entry of batch jobs: Azure ML asks this file for `init` and `run`, and the engine answers."""

from mlops.serving.azure.batch import init, run

__all__ = ["init", "run"]
