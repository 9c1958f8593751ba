"""Where the recorded data of a model end: what traffic brought later can be judged, but not learned from."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from mlops.errors import NotFound
from mlops.spec.settings import load_settings
from mlops.spec.window import Window, shifted
from mlops.targets.base import Target
from mlops.usecase import load_usecase, rows


def recorded_until(
    root: Path, target: Target, model: str, asset: tuple[str, str], span: Window
) -> date | None:
    """The first day after the last month (week, day) of `span` with rows; the first one must have some.

    `asset` is the data's name and version. None where the data do not lie on this machine, or have no clock.
    """
    usecase = load_usecase(load_settings(root).model(model)[1].usecase, root / "src")
    try:
        raw = Path(target.data.resolve(*asset))
    except NotFound:
        return None
    if usecase.time is None or not raw.is_dir():
        return None
    newest = rows(usecase, raw, span)[usecase.time].max().date()
    whole = Window.within(span.first, newest, span.unit)
    return shifted(whole.end if whole is not None else span.first, span.unit, 1)
