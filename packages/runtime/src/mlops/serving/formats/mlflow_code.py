"""An MLflow model that runs code of its own when it is loaded, so it is verified before.

Nothing comes here by itself. The use case asks for it (`pickled = True`), the gates file allows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.serving.formats import Answer
from mlops.serving.formats.mlflow import REQUIREMENTS as REQUIREMENTS  # noqa: PLC0414
from mlops.serving.formats.mlflow import fits as fits  # noqa: PLC0414
from mlops.serving.formats.mlflow import pyfunc
from mlops.serving.formats.mlflow import save as save  # noqa: PLC0414

if TYPE_CHECKING:
    from mlops.spec.schema import Task


def load(folder: Path, task: Task, trusted: Sequence[str]) -> Answer:
    """See `mlops.serving.formats.Format`. Whoever calls this has verified the folder."""
    return pyfunc(folder)
