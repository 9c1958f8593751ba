"""What `mlops update` asks of another version of the template, with that version's own code.

This is an interface between versions: an older `mlops update` calls it in a newer template. Answers are the
table of `template.toml` as JSON on standard input; what a version does not know it must refuse or default.

    python -m mlops.template initialise FOLDER            {answers}       ->
    python -m mlops.template lock FOLDER ROOT             -                     ->
    python -m mlops.template fork-owned FOLDER            [paths]         -> [those that the fork owns]
    python -m mlops.template migrate FOLDER VERSION       -               -> [what was done, in sentences]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mlops.errors import InvalidInput, MlopsError


def main(words: Sequence[str]) -> int:
    """Carry out one request; a refusal is a sentence on standard error and its exit code."""
    try:
        answer = _answer(words)
    except MlopsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    if answer is not None:
        sys.stdout.write(json.dumps(answer))
    return 0


def _answer(words: Sequence[str]) -> list[str] | None:
    match words:
        case ["initialise", folder]:
            from mlops.template.answers import answers
            from mlops.template.initialise import initialise

            initialise(Path(folder), answers(**json.load(sys.stdin)))
            return None
        case ["lock", folder, root]:
            from mlops.template.initialise import locked

            locked(Path(folder), Path(root))
            return None
        case ["fork-owned", folder]:
            from mlops.template import manifest

            return manifest.load(Path(folder)).of_fork(json.load(sys.stdin))
        case ["migrate", folder, since]:
            from mlops.template.migrations import migrate

            return migrate(Path(folder), since)
    raise InvalidInput(f"this version of the template cannot {' '.join(words)!r}; update mlops first")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
