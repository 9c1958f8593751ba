"""The pages as text by path, and the folder that they are written to."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from mlops.board import card as cards
from mlops.board import changes, charts, words
from mlops.board.card import Card, card_of
from mlops.board.charts import Curve, Point
from mlops.board.drift import drift_of
from mlops.board.facts import BoardFacts, ModelFacts, VersionFacts
from mlops.board.history import rows_of
from mlops.board.links import Links
from mlops.errors import InvalidInput
from mlops.forge.git import request_number
from mlops.spec.gates import Interval
from mlops.spec.visible import visible

if TYPE_CHECKING:
    from jinja2 import Environment

MANIFEST = ".board"
"""Names the files that a board wrote, so that the next one removes what it no longer has."""
_HERE = Path(__file__).parent


def pages(board: BoardFacts) -> dict[str, str]:
    """Every file of the site: path and text. The same facts give the same bytes."""
    render = functools.partial(_render, board)
    files = {
        name: (_HERE / "static" / name).read_text(encoding="utf-8") for name in ("board.css", "icon.svg")
    }
    files["index.html"] = render("index.html", "")
    for model in board.models:
        files[f"{model.name}/index.html"] = render("model.html", "../", model=model, **_model(model))
        for version in model.versions:
            place = f"{model.name}/{version.version}"
            card = card_of(model, version)
            facts = {"model": model, "version": version, "card": card}
            files[f"{place}/index.html"] = render(
                "version.html", "../../", **facts, **_version(model, version)
            )
            files[f"{place}/card.html"] = render("card.html", "../../", **facts, inputs=cards.inputs)
            files[f"{place}/card.md"] = cards.markdown(card)
    return files


def _inside() -> dict[str, Any]:
    """The style inside of a page that needs no other file, allowed by its digest."""
    css = (_HERE / "static" / "board.css").read_text(encoding="utf-8")
    allowed = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return {"css": Markup(css), "style_source": f"'sha256-{allowed}'"}  # noqa: S704  a file of this package


def alone(template: str, project: str, **facts: Any) -> str:
    """A page that is about no board, as one file."""
    shared = {"board": {"project": project}, "links": Links(), "up": ""}
    return visible(_jinja().get_template(template).render({**shared, **_inside(), **facts}))


def card_page(board: BoardFacts, card: Card) -> str:
    """A card as one file that needs no other."""
    return _render(
        board,
        "card.html",
        "",
        **_inside(),
        card=card,
        version=card.facts,
        inputs=cards.inputs,
    )


@functools.cache
def _jinja() -> Environment:
    """The templates, compiled once a process."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for filter_ in (
        words.badge,
        words.against,
        words.moment,
        words.number,
        words.short,
        words.digest,
        words.plural,
    ):
        environment.filters[filter_.__name__] = filter_
    environment.globals.update(
        link=words.link,
        bar=charts.bar,
        interval=charts.interval,
        request_number=request_number,
        change=changes.change,
        way_of=changes.way_of,
        worse=changes.worse,
        measured=_measured,
    )
    return environment


def _render(board: BoardFacts, template: str, up: str, **facts: Any) -> str:
    """One page; `up` leads to the folder of the site."""
    shared = {"board": board, "links": board.links, "up": up, "css": "", "style_source": "'self'"}
    return visible(_jinja().get_template(template).render({**shared, **facts}))


def _model(model: ModelFacts) -> dict[str, Any]:
    scored = [v for v in reversed(model.versions) if _main(model, v)]
    way = model.ways.get(model.metric)
    points = []
    for version in scored:
        metric = _main(model, version)
        points.append(
            Point(
                label=str(version.version),
                value=metric.value,
                low=metric.low,
                high=metric.high,
                other=metric.champion,
                kind={"pass": "good", "blocked": "bad"}.get(version.verdict, "plain"),
            )
        )
    title = (
        f"{model.metric} of versions {points[0].label} to {points[-1].label}, each on its own test months: "
        + ", ".join(f"{p.label}: {p.value:.3f}" for p in points)
        if points
        else ""
    )
    return {
        "trend": charts.trend(
            points, title, x=f"version of {model.name}", y=f"{model.metric}, {changes.way_of(way)}"
        )
        if len(points) > 1
        else "",
        "way": changes.way_of(way),
        "compared": any(p.other is not None for p in points),
        "drifts": [drift_of(env, model) for env in model.environments if env.verdicts],
        "history": rows_of(model.environments),
        "main": lambda version: _main(model, version),
    }


def _main(model: ModelFacts, version: VersionFacts) -> Any:
    """The model's first metric of a version, None when nobody measured it."""
    for measured in (version.report, version.evaluation):
        if measured is not None and model.metric in measured.metrics:
            return measured.metrics[model.metric]
    return None


def _measured(version: VersionFacts) -> Mapping[str, Interval]:
    """Every metric of a version, and the champion's where the gates compared them."""
    metrics = dict(version.evaluation.metrics) if version.evaluation else {}
    return metrics | (version.report.metrics if version.report else {})


def _version(model: ModelFacts, version: VersionFacts) -> dict[str, Any]:
    champion = model.version(version.report.champion) if version.report else None
    curves = []
    for facts, name, kind in ((champion, "champion", "other"), (version, "this version", "good")):
        if facts is not None and facts.evaluation and facts.evaluation.calibration:
            points = [(b.mean_prediction, b.observed_rate) for b in facts.evaluation.calibration]
            curves.append(Curve(f"{name} ({facts.version})", points, kind))
    said = f"Calibration of version {version.version}: observed rate against predicted probability"
    influences = version.explanation.columns[: cards.INFLUENCES] if version.explanation else ()
    largest = max((c.mean for c in influences), default=0.0)
    return {
        "champion": champion,
        "calibration": charts.calibration(curves, said) if any(c.kind == "good" for c in curves) else "",
        "curves": curves,
        "largest": largest,
        "influences": [(c, c.mean / largest if largest > 0 else 0.0) for c in influences],
        "past": [row for row in rows_of(model.environments) if row.release == version.version],
    }


def write(folder: Path, files: Mapping[str, str]) -> Sequence[str]:
    """Make `folder` what `files` says; answers what changed. Files that no board wrote are never touched.

    Raises `InvalidInput` when the folder has files but no board has written them.
    """
    manifest = folder / MANIFEST
    before = manifest.read_text(encoding="utf-8").splitlines() if manifest.is_file() else []
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"--out must be a folder; {folder} is a file")
    if not before and folder.is_dir() and any(folder.iterdir()):
        raise InvalidInput(f"{folder} has files that no board wrote; give --out a folder of its own")
    changed = []
    # The list first: a board that is interrupted must know all that may be there.
    folder.mkdir(parents=True, exist_ok=True)
    manifest.write_text("".join(f"{n}\n" for n in sorted({*before, *files})), encoding="utf-8")
    for name, text in sorted(files.items()):
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    for name in sorted({*before} - {*files}):
        _remove(folder, name)
        changed.append(name)
    manifest.write_text("".join(f"{n}\n" for n in sorted(files)), encoding="utf-8")
    return changed


def _remove(folder: Path, name: str) -> None:
    path = folder / name
    if folder.resolve() not in path.resolve().parents:
        raise InvalidInput(
            f"{folder / MANIFEST} names {name!r}, which is outside the folder; remove the file"
        )
    path.unlink(missing_ok=True)
    for parent in path.parents:
        if parent == folder or (parent.is_dir() and any(parent.iterdir())):
            break
        parent.rmdir()
