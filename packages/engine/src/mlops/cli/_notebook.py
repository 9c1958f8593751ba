"""The verb `notebook`: the use case's rows and the last run, in Jupyter."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from mlops.cli._app import ModelOption, app, err, out, state, verb


@app.command(epilog="Example: mlops notebook --no-open")
@verb
def notebook(
    model: ModelOption = None,
    start: Annotated[bool, typer.Option("--open/--no-open", help="Start Jupyter with it.")] = True,
) -> None:
    """Write notebooks/MODEL.ipynb, which loads the rows and the last run, and open it; yours is kept."""
    from mlops.lifecycle.train.lab import notebook as text

    name, _ = state.model(model)
    path = state.root / "notebooks" / f"{name}.ipynb"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text(name), encoding="utf-8")
    out().print(str(path.relative_to(state.root)))
    if not start:
        return
    beside = Path(sys.executable).with_name("jupyter")
    program = str(beside) if beside.is_file() else shutil.which("jupyter")
    if program is None:
        err().print(
            "Jupyter is not installed here. Open the file in an editor that runs notebooks, or type:\n"
            f"  uv run --with jupyterlab jupyter lab {path.relative_to(state.root)}"
        )
        return
    os.execv(program, [program, "lab", str(path)])  # noqa: S606 (no shell around it)
