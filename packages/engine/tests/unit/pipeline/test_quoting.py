"""Values go into a command as text, paths as one word: a path that falls apart reads another file."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.pipeline.binding import expand


@pytest.mark.parametrize(
    ("before", "path", "after"),
    [
        ("", "a b", "'a b'"),
        ('x "', "a b", 'x "a b'),
        ('x "', 'a"$`\\b', 'x "a\\"\\$\\`\\\\b'),
        ("x '", "it's", "x 'it'\\''s"),
        ('"x" ', "a b", "\"x\" 'a b'"),
        ('\\" ', "a b", "\\\" 'a b'"),
        ("'\\' ", "a b", "'\\' 'a b'"),
        ('"\'" ', "a b", "\"'\" 'a b'"),
        ("'\"", "a b", "'\"a b"),
    ],
)
def test_a_path_is_quoted_for_the_place_where_it_stands(before: str, path: str, after: str) -> None:
    assert expand(before + "${{inputs.p}}", {"p": path}, {}, paths=["p"]) == after


@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1))
def test_a_shell_reads_any_path_as_it_is(path: str) -> None:
    for quote in ("", "'", '"'):
        command = expand(f"a {quote}${{{{inputs.p}}}}{quote} b", {"p": path}, {}, paths=["p"])
        if quote == '"':  # unlike a shell, shlex does not take these two as escaped there
            command = command.replace("\\$", "$").replace("\\`", "`")
        assert shlex.split(command) == ["a", path, "b"]


def test_a_value_is_text_whatever_stands_around() -> None:
    command = "a ${{inputs.t}} '${{inputs.t}}' $[[--u ${{inputs.u}}]] ${{search_space.s}}"
    assert expand(command, {"t": "x y"}, {}, {"s": "1 2"}) == "a x y 'x y'  1 2"
    assert expand("a $[[--u ${{inputs.u}}]]", {"u": "1"}, {}) == "a --u 1"


def test_an_output_is_a_path() -> None:
    assert expand("a ${{outputs.o}}", {}, {"o": "x y"}) == "a 'x y'"
