"""Step `ingest`: a new window of raw data becomes a new version of the data asset, or nothing at all."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.errors import Blocked, IntegrityError, InvalidInput
from mlops.spec.artifact import plain_files
from mlops.spec.digest import tree_digest
from mlops.spec.window import Window
from mlops.steps import _args
from mlops.usecase import Ingests, Rejected, load_usecase

RECORD = "ingest.json"
"""In the version's folder: where its newest window came from. Its digest covers it."""
REPORT = "quarantine.json"
MAX_REJECTED = 0.1


@dataclass(frozen=True)
class Intake:
    """What was taken and what was not."""

    accepted: int
    """Rows."""
    rejected_rows: int
    rejected_files: int
    source: str
    """Digest of the delivery."""
    digest: str
    """Of the new version."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write `output` (raw data, manifest.json, ingest.json) and `quarantine` (what was rejected, and why)."""
    options = _args.parser("ingest", __doc__)
    options.add_argument(
        "--source", type=_args.existing, required=True, help="folder or file that was delivered"
    )
    options.add_argument("--window", type=_args.window, help="window of time that is delivered")
    options.add_argument("--base", type=_args.existing, required=True, help="folder of the version before")
    options.add_argument("--name", required=True, help="name of the data asset")
    options.add_argument("--asset-version", required=True, help="version that is made")
    options.add_argument(
        "--max-rejected", type=float, default=MAX_REJECTED, help="share of rows; more is refused"
    )
    options.add_argument("--output", type=Path, required=True, help="output folder")
    options.add_argument("--quarantine", type=Path, required=True, help="output folder")
    return _args.run(_ingest, options, argv)


def _ingest(given: argparse.Namespace) -> None:
    from mlops.steps import dataset

    base = dataset.read_raw(given.base)
    given.output.mkdir(parents=True, exist_ok=True)
    made = take(
        load_usecase(given.usecase),
        given.source,
        given.window,
        given.base,
        given.output,
        base_version=base.version,
        max_rejected=given.max_rejected,
        quarantine=given.quarantine,
    )
    write_manifest(given.output, given.name, given.asset_version, made.digest)


def take(
    usecase: Any,
    source: Path,
    window: Window | None,
    base: Path,
    fresh: Path,
    *,
    base_version: str,
    max_rejected: float,
    quarantine: Path,
) -> Intake:
    """Fill `fresh` and `quarantine` from `source`, and say what was taken.

    Raises `InvalidInput` when the use case takes no deliveries or nothing of the window is left, `Blocked`
    when more than `max_rejected` of a file's rows are wrong: then the file is, not its rows. What was
    rejected is in `quarantine` even then.
    """
    if not isinstance(usecase, Ingests):
        raise InvalidInput(
            f"the use case {usecase.name!r} takes no windows of raw data; "
            "give it `files` and `ingest` (see mlops.usecase.Ingests)"
        )
    folder = source if source.is_dir() else _alone(source, quarantine)
    delivered = source_digest(source)
    told = "" if window is None else f" for {window}"
    made = usecase.ingest(folder, window, base, fresh)
    rows = sum(r.rows for r in made.rejected)
    files = sum(1 for r in made.rejected if not r.rows)
    _isolate(made.rejected, quarantine, str(window or ""), delivered)
    for file, count in made.accepted.items():
        wrong = sum(r.rows for r in made.rejected if r.file == file)
        share = wrong / max(1, wrong + count)
        if share > max_rejected:
            raise Blocked(
                f"{wrong} rows ({share:.1%}) of {file}, delivered{told}, break a rule, and at most "
                f"{max_rejected:.1%} may; nothing was taken. {quarantine / REPORT} has the reasons"
            )
    accepted = sum(made.accepted.values())
    record = {
        "window": str(window or ""),
        "source": delivered,
        "base": base_version,
        "accepted": accepted,
        "rejected": {"rows": rows, "files": files},
    }
    (fresh / RECORD).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return Intake(accepted, rows, files, delivered, tree_digest(fresh, plain_files(fresh)))


def source_digest(source: Path) -> str:
    """What names a delivery, whatever its folder is called. Raises `InvalidInput` for links and devices."""
    if not source.is_dir():
        return tree_digest(source.parent, [source])
    try:
        return tree_digest(source, plain_files(source))
    except IntegrityError as error:
        raise InvalidInput(str(error)) from None


def write_manifest(folder: Path, name: str, version: str, digest: str) -> None:
    """The form that the prep step reads."""
    from mlops.steps.dataset import MANIFEST

    facts = {"name": name, "version": version, "digest": digest}
    (folder / MANIFEST).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _alone(file: Path, quarantine: Path) -> Path:
    """A folder with nothing but the file, so that its neighbours are not taken for the delivery."""
    folder = quarantine / "delivered"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(file, folder / file.name)
    return folder


def _isolate(rejected: Sequence[Rejected], quarantine: Path, window: str, delivered: str) -> None:
    quarantine.mkdir(parents=True, exist_ok=True)
    told = []
    for number, item in enumerate(rejected, start=1):
        name = f"{number:03d}-{Path(item.file).name}"
        if item.frame is not None:
            name = f"{name}.csv"
            item.frame.assign(_reason=item.reason).to_csv(quarantine / name, index=False)
        elif item.path is not None:
            shutil.copyfile(item.path, quarantine / name)
        told.append({"file": item.file, "reason": item.reason, "rows": item.rows, "kept": name})
    report = {"window": window, "source": delivered, "rejected": told}
    (quarantine / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
