"""All pages of the reference, and whether the ones in git are what the code says."""

from __future__ import annotations

from pathlib import Path

from mlops.reference import files, gates, here, lint, variables, verbs

FOLDER = "docs/reference"


def pages(root: Path) -> dict[str, str]:
    """The text of each page by its path relative to `root`; the same for the same code."""
    by_name = {
        "index.md": files.index(),
        **verbs.pages(),
        **files.pages(root),
        "gates.md": gates.gates(),
        "variables.md": variables.variables(),
    }
    of_people = {lint.PAGE: lint.page(root), here.PAGE: here.page(root)}
    return {**of_people, **{f"{FOLDER}/{name}": text for name, text in by_name.items()}}


def stale(root: Path) -> list[str]:
    """Pages, relative to `root`, that are missing, say something else than the code, or have no source."""
    wanted = pages(root)
    existing = {f"{FOLDER}/{path.name}" for path in (root / FOLDER).glob("*.md")}
    wrong = [name for name, text in wanted.items() if _read(root / name) != text]
    return sorted({*wrong, *(existing - wanted.keys())})


def write(root: Path) -> list[str]:
    """Bring every page up to date and remove those without a source; answers what changed."""
    wanted = pages(root)
    changed = stale(root)
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in wanted:
            (root / name).write_text(wanted[name], encoding="utf-8")
        else:
            (root / name).unlink()
    return changed


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
