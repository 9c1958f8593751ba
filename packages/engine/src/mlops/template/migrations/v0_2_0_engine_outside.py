"""The engine is no longer below src/: what names it there asks the installed one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from mlops.spec import writing

WHAT = "files that named the copied engine below src/ ask for the installed one"

_STEPS = "additional_includes: [../../../.mlops/engine/steps/mlops]\n"
_VERBS = """\
additional_includes:
  - ../../../src
  - ../../../environments
  - ../../../pipelines
  - ../../../mlops.toml
  - ../../../.mlops/engine/verbs/mlops
"""
_JOB = "python src/mlops/cli/job.py"


def migrate(root: Path) -> bool:
    """All of them; False when nothing named it."""
    done = [_lines(path) for path in _that_name(root)]
    done += [_component(path) for path in sorted(root.glob("pipelines/*/components/*.yml"))]
    done += [
        _replaced(
            path,
            ("code: ../../src\n      entry_script: mlops/serving/batch_azure.py", _BATCH),
            ("  code: ../../src\n", "  code: ../../.mlops/engine/sources\n"),
        )
        for path in sorted(root.glob("pipelines/*/*.yml"))
    ]
    return any(done)


_BATCH = "code: ../../.mlops/engine/steps\n      entry_script: batch.py"


def _that_name(root: Path) -> list[Path]:
    patterns = (".github/workflows/train-*.yml", "pipelines/azure-devops/train-*.yml", ".github/CODEOWNERS")
    return [path for pattern in patterns for path in sorted(root.glob(pattern))]


def _lines(path: Path) -> bool:
    """Paths that start a training, and who owns them."""
    return _edited(path, lambda text: re.sub(r"(?m)^\s*(?:- )?/?src/mlops/.*\n", "", text))


def _component(path: Path) -> bool:
    """Code of a step: the use case, and the engine beside it.

    A job of verbs takes the parts of the repository that they work in: Azure ML holds what is included to
    the ignore file of `code`, and the one of the repository is that of the image.
    """

    def edit(text: str) -> str:
        if "additional_includes:" in text:
            return text
        includes = _VERBS if _JOB in text else rf"\g<0>{_STEPS}"
        text = text.replace(_JOB, "python -m mlops.cli")
        return re.sub(r"(?m)^code: \.\./\.\./\.\.(?:/src)?/?\n", includes, text, count=1)

    return _edited(path, edit)


def _replaced(path: Path, *pairs: tuple[str, str]) -> bool:
    def edit(text: str) -> str:
        for old, new in pairs:
            text = text.replace(old, new)
        return text

    return _edited(path, edit)


def _edited(path: Path, edit: Callable[[str], str]) -> bool:
    before = path.read_text(encoding="utf-8")
    after = edit(before)
    if after != before:
        writing.write(path, after)
    return after != before
