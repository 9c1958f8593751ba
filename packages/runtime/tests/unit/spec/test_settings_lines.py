"""An error of mlops.toml names the line, as those of the other files do."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.spec.settings import line_of, load_settings

TEXT = """\
target = "local"

[project]
name = "flights-mlops"   # a comment = none

[models.flights]
usecase = "flights"
capture = {enabled = true}

[models."two words"]
usecase = "two"

[[events.sinks]]
kind = "file"

[[events.sinks]]
kind = "webhook"
"""


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("target", 1),
        ("project.name", 4),
        ("project.missing", 3),
        ("models.flights.usecase", 7),
        ("models.flights.capture.enabled", 8),
        ("models.two words.usecase", 11),
        ("events.sinks.0.kind", 13),
        ("azure.region", 1),
    ],
)
def test_the_line_of_a_field_or_of_the_table_around_it(field: str, line: int) -> None:
    assert line_of(TEXT, field) == line


def test_the_error_says_it(tmp_path: Path) -> None:
    (tmp_path / "mlops.toml").write_text(TEXT.replace('"local"', '"moon"').replace("flights-mlops", "x"))
    with pytest.raises(InvalidInput) as error:
        load_settings(tmp_path)
    said = [str(problem) for problem in error.value.problems]
    assert any(text.startswith("mlops.toml:1: target: ") for text in said), said
    assert any(text.startswith("mlops.toml:4: project.name: ") for text in said), said
