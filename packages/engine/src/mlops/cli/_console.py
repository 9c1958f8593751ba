"""A terminal that what people write cannot steer: names, notes, commit subjects and answers of services."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from mlops.spec.visible import visible


class VisibleConsole(Console):
    """Shows text as `visible` has it; colours and links of our own stay."""

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            shown = segment.text if segment.control else visible(segment.text)
            yield segment if shown == segment.text else Segment(shown, segment.style)
