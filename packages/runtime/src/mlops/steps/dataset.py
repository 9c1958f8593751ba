"""The folders that steps hand to each other: rows as Parquet, and a manifest of where they come from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import Field, ValidationError

from mlops.errors import IntegrityError, InvalidInput, Problem
from mlops.spec._base import Digest, Spec, WindowText
from mlops.spec.artifact import plain_files
from mlops.spec.digest import tree_digest

if TYPE_CHECKING:
    import pandas as pd

M = TypeVar("M", bound="RawManifest")
MANIFEST = "manifest.json"
ROWS = "data.parquet"


class RawManifest(Spec):
    """`manifest.json` of the raw data asset. `digest` covers every other file of the folder."""

    name: str
    version: str
    digest: Digest


class Manifest(RawManifest):
    """`manifest.json` of prepared rows; name, version and digest are those of the raw data."""

    window: WindowText
    rows: int = Field(ge=1)

    def text(self) -> str:
        """As the file has it."""
        return self.model_dump_json(indent=2) + "\n"


def read_raw(folder: Path) -> RawManifest:
    """The raw folder's manifest, once its files are those that it names.

    Raises `InvalidInput` when there is no valid manifest and `IntegrityError` when a file has changed.
    """
    return verified(
        str(folder),
        lambda: (folder / MANIFEST).read_text(encoding="utf-8"),
        lambda: tree_digest(folder, [p for p in plain_files(folder) if p != folder / MANIFEST]),
    )


def verified(where: str, read: Callable[[], str], digest: Callable[[], str]) -> RawManifest:
    """See `read_raw`; for a folder that only others can read (Spark), by what they say of it.

    `read` gives the text of the manifest and may raise `FileNotFoundError`, `digest` that of the other files.
    """
    manifest = _parsed(f"{where}/{MANIFEST}", read, RawManifest)
    there = digest()
    if there != manifest.digest:
        raise IntegrityError(
            f"{where} holds the digest {there}, but its {MANIFEST} says {manifest.digest}: the raw data have "
            "changed since they were made; remove the folder so that it is made again, or publish a version"
        )
    return manifest


def write(folder: Path, frame: pd.DataFrame, raw: RawManifest, window: str) -> Manifest:
    """Write `frame` and its manifest to `folder`, which is made when it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    in_text(frame).to_parquet(folder / ROWS, index=False)
    return write_manifest(folder, manifest(raw, window, len(frame)))


def in_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Without categories: windows differ in those that they have, and the contract says which there are."""
    return frame.astype(dict.fromkeys(frame.select_dtypes("category").columns, object))


def write_manifest(folder: Path, made: Manifest) -> Manifest:
    """Say in `folder` where its rows come from."""
    (folder / MANIFEST).write_text(made.text(), encoding="utf-8")
    return made


def manifest(raw: RawManifest, window: str, rows: int) -> Manifest:
    """What is written beside prepared rows."""
    return Manifest(name=raw.name, version=raw.version, digest=raw.digest, window=window, rows=rows)


def read_manifest(folder: Path) -> Manifest:
    """Where prepared rows come from; raises `InvalidInput` when the manifest is missing or broken."""
    return _manifest(folder, Manifest)


def read(folder: Path) -> tuple[pd.DataFrame, Manifest]:
    """Rows and manifest that `write` made; raises `InvalidInput` when either is missing or broken."""
    from mlops.steps.stored import Stored

    stored = Stored(folder)
    return stored.frame(), stored.manifest


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise `InvalidInput` where the rows at `path` cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise InvalidInput(Problem(str(path), "does not exist; the step `prep` writes it")) from None
    except (OSError, ValueError) as error:
        raise InvalidInput(Problem(str(path), f"cannot be read as Parquet: {error}")) from None


def copy_rows(folder: Path, to: Path) -> None:
    """Copy the rows of `folder` to the one file `to`: Spark has written them as several."""
    source = folder / ROWS
    if source.is_file():
        shutil.copy(source, to)
        return
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(source), to)


def _manifest(folder: Path, model: type[M]) -> M:
    path = folder / MANIFEST
    return _parsed(str(path), lambda: path.read_text(encoding="utf-8"), model)


def _parsed(path: str, read: Callable[[], str], model: type[M]) -> M:
    try:
        return model.model_validate(json.loads(read()))
    except FileNotFoundError:
        raise InvalidInput(
            Problem(path, "does not exist; a data folder says in it what it holds (name, version, digest)")
        ) from None
    except ValidationError as error:
        raise InvalidInput(
            [Problem(path, e["msg"], ".".join(map(str, e["loc"]))) for e in error.errors()]
        ) from None
    except ValueError as error:
        raise InvalidInput(Problem(path, f"not valid JSON: {error}")) from None
