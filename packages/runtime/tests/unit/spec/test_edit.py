"""A person owns the file: what was asked for changes, every other byte stays, the lint passes it still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from yaml_lint import LONG, keys, lint, values

from mlops.errors import InvalidInput
from mlops.spec._edit import Editor

FILE = """\
# Late arrivals; page team-freight before noon.
release: 7  # approved in #12
replaces: 6
strategy:
  canary: [5, 100]   # small town
  analysis: 90s

# A person clears this.
hold:
  reason: "spike of 500s"
  since: 2026-01-02T03:04:05Z
  by: ada  # on call
# the end
inputs: {window: 2013-01, raw: {type: uri_folder, path: azureml:raw:1}}
nothing:
empty: {}
"""


def edited(loc: tuple[str, ...], value: Any, text: str = FILE) -> str:
    editor = Editor(text, "file.yaml")
    editor.put(loc, value)
    return editor.text


def changed(before: str, after: str) -> tuple[list[str], list[str]]:
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


@pytest.mark.parametrize(
    ("loc", "value", "gone", "come"),
    [
        (("release",), 8, ["release: 7  # approved in #12"], ["release: 8  # approved in #12"]),
        (("strategy", "analysis"), "2m", ["  analysis: 90s"], ["  analysis: 2m"]),
        (
            ("strategy", "canary"),
            [100],
            ["  canary: [5, 100]   # small town"],
            ["  canary: [100]   # small town"],
        ),
        (("nothing",), {"a": 1}, ["nothing:"], ["nothing: {a: 1}"]),
        (("empty", "a"), 1, ["empty: {}"], ["empty: {a: 1}"]),
        (("nothing", "a", "b"), 1, [], ["  a: {b: 1}"]),
        (("bypass",), {"gates": ["soak"]}, [], ["bypass:", "  gates: [soak]"]),
        (("strategy", "cool_down"), "1h", [], ["  cool_down: 1h"]),
        (("new", "deep", "x"), 1, [], ["new:", "  deep: {x: 1}"]),
    ],
)
def test_one_field_changes(loc: tuple[str, ...], value: Any, gone: list[str], come: list[str]):
    after = edited(loc, value)
    assert changed(FILE, after) == (gone, come)
    assert lint(after) == []


def test_a_block_becomes_one_value_and_the_comments_around_it_stay():
    after = edited(("hold",), None)
    assert "# A person clears this.\nhold: null\n# the end\ninputs:" in after


def test_one_value_becomes_a_block_when_it_is_long():
    after = edited(("replaces",), {"reason": "too slow for the night shift " * 5, "by": "ada"})
    assert "replaces:\n  reason: " in after
    assert "\n  by: ada\nstrategy:" in after
    assert lint(after) == []


def test_inside_braces_one_value_changes():
    after = edited(("inputs", "raw", "path"), "azureml:raw:2")
    assert after == FILE.replace("azureml:raw:1", "azureml:raw:2")
    assert edited(("inputs", "more"), 1) == FILE.replace("azureml:raw:1}}", "azureml:raw:1}, more: 1}")


def test_a_comment_that_has_no_room_behind_its_value_goes_above():
    comment = "# " + "why " * 20
    after = edited(("a",), "x" * 60, f"b:\n  c: 1\na: 1  {comment}\nd: 2\n")
    assert after == f"b:\n  c: 1\n{comment}\na: {'x' * 60}\nd: 2\n"


def test_what_is_so_already_stays_to_the_byte():
    assert edited(("strategy", "canary"), [5, 100]) == FILE
    assert edited(("nothing",), None) == FILE
    editor = Editor(FILE, "file.yaml")
    editor.drop(("strategy", "none"))
    editor.rename(("none",), "some")
    assert editor.text == FILE


def test_a_field_is_dropped_with_what_is_in_it():
    editor = Editor(FILE, "file.yaml")
    editor.drop(("hold",))
    assert editor.text == FILE[: FILE.index("hold:")] + FILE[FILE.index("# the end") :]
    editor.drop(("strategy", "analysis"))
    assert "analysis" not in editor.text
    assert lint(editor.text) == []


def test_a_field_is_renamed():
    editor = Editor(FILE, "file.yaml")
    editor.rename(("strategy", "canary"), "steps")
    assert editor.text == FILE.replace("canary", "steps")


@pytest.mark.parametrize(
    ("text", "loc"),
    [
        ("a: &x 1\nb: *x\n", ("a",)),
        ("a: &x {c: 1}\nb: *x\n", ("b", "c")),
        ("a: [1, 2]\n", ("a", "b")),
        ("a: 1\n", ("a", "b")),
        ("? a\n: 1\n", ("a",)),
        ("- 1\n", ("a",)),
    ],
)
def test_what_cannot_be_edited_is_refused_with_line_and_field(text: str, loc: tuple[str, ...]):
    editor = Editor(text, "file.yaml")
    with pytest.raises(InvalidInput) as caught:
        editor.put(loc, 7)
    (problem,) = caught.value.problems
    assert problem.where.startswith("file.yaml:")
    assert problem.field == ".".join(loc)
    assert editor.text == text


def test_a_field_inside_braces_is_not_dropped_by_the_line():
    editor = Editor("a: {b: 1, c: 2}\n", "file.yaml")
    with pytest.raises(InvalidInput):
        editor.drop(("a", "b"))


places = st.sampled_from(
    [("release",), ("hold",), ("strategy",), ("strategy", "analysis"), ("hold", "by"), ("new",), ("nothing",)]
)


@examples(20)
@given(place=places, value=values)
def test_any_value_goes_anywhere_and_all_else_stays(place: tuple[str, ...], value: Any):
    after = edited(place, value)
    wanted = yaml.safe_load(FILE)
    inner = wanted
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    assert yaml.safe_load(after) == wanted
    assert lint(after) == []
    assert edited(place, value, after) == after
    comments = ("# Late arrivals", "# small town") if place != ("strategy",) else ("# Late arrivals",)
    assert all(comment in after for comment in comments)


@examples(20)
@given(key=keys, value=values)
def test_any_field_is_added(key: str, value: Any):
    after = edited(("strategy", key), value)
    assert yaml.safe_load(after)["strategy"][key] == value
    assert lint(after) == []


def test_a_long_value_inside_braces_is_folded():
    after = edited(("inputs", "window"), f"{LONG} and {LONG}")
    assert yaml.safe_load(after)["inputs"]["window"] == f"{LONG} and {LONG}"
    assert lint(after) == []


ROOT = Path(__file__).parents[5]
PLACES = ("packages/runtime/src/mlops/spec/_edit.py", "packages/runtime/src/mlops/spec/_yaml.py")
WRITERS = ("packages/runtime/src/mlops/spec/_emit.py", "packages/engine/src/mlops/targets/azure/batch.py")
"""The latter for Azure ML, into a temporary folder: nobody commits it."""


@pytest.mark.parametrize(
    ("words", "allowed"),
    [(("yaml.compose", "start_mark", "yaml.parse("), PLACES), (("yaml.dump", "yaml.safe_dump"), WRITERS)],
)
def test_nobody_else_edits_or_writes_yaml(words: tuple[str, ...], allowed: tuple[str, ...]):
    found = {
        str(path.relative_to(ROOT))
        for folder in ("src", "packages", "infra")
        for path in (ROOT / folder).rglob("*.py")
        if "tests" not in path.parts and any(word in path.read_text(encoding="utf-8") for word in words)
    }
    assert found - set(allowed) == set()
