"""Charts as inline SVG: pure functions from numbers to markup. Colours and strokes are classes of board.css.

Every number that a chart shows is also in a table beside it; a chart of its own says in words what is seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from markupsafe import Markup

WIDTH, HEIGHT = 360.0, 200.0
"""Of a chart, in its own units: a phone's width, so that text stays readable there."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 10.0, 26.0, 40.0


@dataclass(frozen=True)
class Point:
    """One value of a series. `low` and `high` are its interval, `other` is what it is compared with."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    other: float | None = None
    kind: str = "good"
    """A class of the mark: good, bad, or plain."""


@dataclass(frozen=True)
class Curve:
    """A line through (x, y) in the unit square."""

    name: str
    points: Sequence[tuple[float, float]]
    kind: str


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + share * (self.end - self.start)


def trend(points: Sequence[Point], title: str, *, x: str, y: str) -> Markup:
    """Values in order with their intervals as whiskers; hollow diamonds are what each is compared with.

    `x` and `y` are what the axes are of.
    """
    numbers = [n for p in points for n in (p.value, p.low, p.high, p.other) if n is not None]
    ticks = _ticks(*_padded(numbers))
    low, high = ticks[0], ticks[-1]
    up = _Scale(low, high, HEIGHT - _BOTTOM, _TOP)
    svg = _svg(WIDTH, HEIGHT, title)
    _axes(svg, HEIGHT, x, y)
    for tick in ticks:
        _line(svg, (_LEFT, up(tick)), (WIDTH - _RIGHT, up(tick)), "grid")
        _text(svg, _LEFT - 6, up(tick) + 3.5, _short(tick, high - low), "tick end")
    step = (WIDTH - _LEFT - _RIGHT) / len(points)
    every = max(1, -(-len(points) // 8))
    for index, point in enumerate(points):
        at = _LEFT + step * (index + 0.5)
        if point.low is not None and point.high is not None:
            _line(svg, (at, up(point.low)), (at, up(point.high)), f"whisker {point.kind}")
        if point.other is not None:
            _diamond(svg, at + min(9.0, step / 3), up(point.other))
        _dot(svg, at, up(point.value), point.kind)
        if (len(points) - 1 - index) % every == 0:
            _text(svg, at, HEIGHT - _BOTTOM + 16, point.label, "tick middle")
    return _markup(svg)


def calibration(curves: Sequence[Curve], title: str) -> Markup:
    """Observed rate against predicted probability; the diagonal is perfect."""
    return square(curves, title, x="predicted probability", y="observed rate", marks=True)


def square(
    curves: Sequence[Curve], title: str, *, x: str, y: str, marks: bool = False, diagonal: bool = True
) -> Markup:
    """Lines through the unit square; `marks`: a dot at each point, `diagonal`: from corner to corner."""
    height = 260.0
    right = _Scale(0, 1, _LEFT, WIDTH - _RIGHT)
    up = _Scale(0, 1, height - _BOTTOM, _TOP)
    svg = _svg(WIDTH, height, title)
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        _line(svg, (right(0), up(tick)), (right(1), up(tick)), "grid")
        _text(svg, _LEFT - 6, up(tick) + 3.5, f"{tick:g}", "tick end")
        _text(svg, right(tick), height - _BOTTOM + 16, f"{tick:g}", "tick middle")
    if diagonal:
        _line(svg, (right(0), up(0)), (right(1), up(1)), "diagonal")
    for curve in curves:
        path = " ".join(f"{_n(right(a))},{_n(up(b))}" for a, b in curve.points)
        ET.SubElement(svg, "polyline", {"points": path, "class": f"curve {curve.kind}"})
        for a, b in curve.points if marks else ():
            _dot(svg, right(a), up(b), f"small {curve.kind}")
    _axes(svg, height, x, y)
    return _markup(svg)


def interval(value: float, low: float, high: float, champion: float | None) -> Markup:
    """A value in its interval, with a mark where the champion is; hidden, the numbers stand beside it."""
    ends = [low, high, value] + ([champion] if champion is not None else [])
    first, last = _padded(ends)
    x = _Scale(first, last, 4, 156)
    svg = _svg(160, 30, "")
    _line(svg, (4, 9), (156, 9), "axis")
    for end, kind in ((first, "tick"), (last, "tick end")):
        _line(svg, (x(end), 5), (x(end), 13), "axis")
        _text(svg, 2 if kind == "tick" else 158, 27, _short(end, last - first), kind)
    _line(svg, (x(low), 9), (x(high), 9), "whisker plain")
    if champion is not None:
        _diamond(svg, x(champion), 9)
    _dot(svg, x(value), 9, "plain")
    return _markup(svg)


def bar(share: float, kind: str = "plain") -> Markup:
    """A share of 1 as a bar; hidden from readers, the number stands beside it."""
    svg = _svg(120, 10, "")
    _rect(svg, 0, 120, "track")
    _rect(svg, 0, max(0.0, min(1.0, share)) * 120, f"fill {kind}")
    return _markup(svg)


# --- pieces ------------------------------------------------------------------------------------------


def _svg(width: float, height: float, title: str) -> ET.Element:
    box = {"viewBox": f"0 0 {_n(width)} {_n(height)}", "class": "chart" if title else "inline"}
    if not title:
        return ET.Element("svg", {**box, "aria-hidden": "true", "focusable": "false"})
    svg = ET.Element("svg", {**box, "role": "img", "aria-label": title})
    ET.SubElement(svg, "title").text = title
    return svg


def _axes(svg: ET.Element, height: float, x: str, y: str) -> None:
    """The two lines with what they are of."""
    foot = height - _BOTTOM
    _line(svg, (_LEFT, _TOP), (_LEFT, foot), "axis")
    _line(svg, (_LEFT, foot), (WIDTH - _RIGHT, foot), "axis")
    _text(svg, 4, 12, y, "tick")
    _text(svg, (_LEFT + WIDTH - _RIGHT) / 2, height - 6, x, "tick middle")


def _line(svg: ET.Element, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
    (x1, y1), (x2, y2) = start, end
    ET.SubElement(svg, "line", {"x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2), "class": kind})


def _dot(svg: ET.Element, x: float, y: float, kind: str) -> None:
    radius = "2.5" if kind.startswith("small") else "4"
    ET.SubElement(svg, "circle", {"cx": _n(x), "cy": _n(y), "r": radius, "class": f"dot {kind}"})


def _diamond(svg: ET.Element, x: float, y: float) -> None:
    points = " ".join(f"{_n(x + dx)},{_n(y + dy)}" for dx, dy in ((0, -4.5), (4.5, 0), (0, 4.5), (-4.5, 0)))
    ET.SubElement(svg, "polygon", {"points": points, "class": "champion"})


def _rect(svg: ET.Element, x: float, width: float, kind: str) -> None:
    ET.SubElement(
        svg, "rect", {"x": _n(x), "y": "0", "width": _n(width), "height": "10", "rx": "2", "class": kind}
    )


def _text(svg: ET.Element, x: float, y: float, text: str, kind: str) -> None:
    ET.SubElement(svg, "text", {"x": _n(x), "y": _n(y), "class": kind}).text = text


def _markup(svg: ET.Element) -> Markup:
    # ElementTree escapes every text and attribute, so this is the one place where text becomes markup.
    return Markup(ET.tostring(svg, encoding="unicode"))  # noqa: S704


def _padded(numbers: Sequence[float]) -> tuple[float, float]:
    low, high = min(numbers), max(numbers)
    pad = (high - low) * 0.12 or abs(high) * 0.05 or 0.05
    return low - pad, high + pad


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, three to seven, from at most `low` to at least `high`."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= rough)
    first = math.floor(low / step)
    return [index * step for index in range(first, math.ceil(high / step) + 1)]


def _short(value: float, span: float) -> str:
    digits = max(0, 1 - math.floor(math.log10(span)))
    return f"{value:.{digits}f}"


def _n(value: float) -> str:
    """A coordinate: short, and the same on every machine."""
    return f"{value:.1f}".removesuffix(".0")
