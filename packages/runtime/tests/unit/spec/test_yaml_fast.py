"""The parser in C reads what PyYAML's own reads: the same values, on the same lines, with the same sentences.

A difference would make one machine (with libyaml) serve what another one refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st

from mlops.errors import InvalidInput
from mlops.spec import _yaml
from mlops.spec._yaml import Document

ROOT = next(folder for folder in Path(__file__).parents if (folder / "mlops.toml").is_file())
FILES = sorted(p for folder in ("environments", "pipelines") for p in (ROOT / folder).rglob("*.y*ml"))
PIECES = (
    *(
        "a",
        "b",
        "1",
        "é",
        "😀",
        "\u2028",
        "\ufeff",
        "~",
        "yes",
        "2024-01-01",
        "2024-02-30",
        "12:30:45",
        "1e3",
    ),
    *(
        "- ",
        "-",
        ": ",
        ":",
        "? ",
        ", ",
        "#",
        " # c",
        "a: ",
        "b: ",
        "a: b\n",
        "- x\n",
        "key:\n  ",
        "{a: ",
        "[a, ",
    ),
    *("\n", "\n  ", "\n    ", " ", "  ", "\t", "\r\n", "'", '"', "[", "]", "{", "}", "|\n", "|-\n", ">+\n"),
    *("---", "...", "%YAML 1.2\n", "<<: ", "*a", "&a ", "!x ", "!", "!!str ", "\\", "`", "@", "='", "${{a}}"),
)


def said(text: str) -> tuple[Any, list[int], str]:
    """Value, the line of each field, and the refusal."""
    try:
        document = Document(text, "file.yaml")
    except InvalidInput as error:
        return None, [], str(error)
    return document.value, [document.line(loc) for loc in places(document.value)], ""


def places(value: Any, loc: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield loc
    if len(loc) < 8:  # an alias may hold itself
        pairs = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, inner in pairs:
            yield from places(inner, (*loc, key))


def both(text: str) -> tuple[str, str]:
    fast = repr(said(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_yaml, "_fast", lambda _: None)
        return fast, repr(said(text))


@examples(150)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@example("a: !\n")  # text in C, null in Python
@example("--- # nothing")  # another line
@example("a:\tb")  # valid in C only
@example("[" * 500 + "]" * 500)
@example("- " * 500 + "a")
def test_both_parsers_say_the_same(text: str):
    fast, slow = both(text)
    assert fast == slow


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_the_files_of_the_repository_are_read_by_the_fast_one(path: Path):
    text = path.read_text(encoding="utf-8")
    assert _yaml._fast(text) is not None or not yaml.__with_libyaml__
    fast, slow = both(text)
    assert fast == slow
