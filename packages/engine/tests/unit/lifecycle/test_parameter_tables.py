"""`DEFAULTS` of a model, read without running it: a table of numbers that is written out, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.lifecycle.desired.parameters import _text, _type, defaults


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ('DEFAULTS = {"a": 1, "b": 0.5, "c": True}', {"a": 1, "b": 0.5, "c": True}),
        ('DEFAULTS: dict[str, float] = {"a": -1}', {"a": -1}),
        ("OTHER = DEFAULTS = {}", {}),
        ('x = 1\nDEFAULTS = {"a": 1}\nDEFAULTS = {"a": 2}', {"a": 1}),
        ('DEFAULTS = {"a": "text"}', None),
        ('DEFAULTS = {"a": 1, "b": None}', None),
        ('DEFAULTS = {"a": [1]}', None),
        ('DEFAULTS = {"a": one}', None),
        ('DEFAULTS = {**others, "a": 1}', None),
        ("DEFAULTS = dict(a=1)", None),
        ("DEFAULTS: dict[str, float]", None),
        ('OTHERS = {"a": 1}', None),
        ('def f():\n    DEFAULTS = {"a": 1}', None),
        ("DEFAULTS = {", None),
        ("", None),
    ],
)
def test_a_table_of_numbers_or_nothing(tmp_path: Path, text: str, table: dict[str, float] | None) -> None:
    path = tmp_path / "model.py"
    path.write_text(text)
    assert defaults(path) == table


def test_without_a_file_there_is_no_table(tmp_path: Path) -> None:
    assert defaults(tmp_path / "none.py") is None


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [(True, "boolean", "true"), (False, "boolean", "false"), (1, "integer", "1"), (1.0, "number", "1.0")],
)
def test_how_a_component_declares_a_default(value: float, kind: str, text: str) -> None:
    assert (_type(value), _text(value)) == (kind, text)
