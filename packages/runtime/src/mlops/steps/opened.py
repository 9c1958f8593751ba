"""The model that an earlier step of this pipeline wrote, loaded as a later one needs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops.serving.score.core import Scorer
    from mlops.usecase import UseCase


def opened(folder: Path, usecase: UseCase, digest: str | None = None) -> Scorer:
    """A scorer, as `mlops.serving.score.core.load` makes one.

    Without a digest the model is this pipeline's own: the classes of its use case are those that run here
    anyway, and the step `train` has written what else it runs.
    """
    from mlops.serving.formats import RUNS_CODE
    from mlops.serving.score import core
    from mlops.spec.digest import tree_digest
    from mlops.usecase import pickled, trusted_types

    if digest is None:
        library = core.read_schema(folder).library
        if library is not None and (
            library.code is not None or (library.format in RUNS_CODE and pickled(usecase))
        ):
            digest = tree_digest(folder)
    return core.load(folder, digest=digest, trusted=trusted_types(usecase))
