# ruff: noqa: E501 (tables of cases)
"""Whatever stands in a file is told in sentences: each part of each good file, replaced by each wrong type."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from azure_shelf import SHELF

from mlops.lint.check import check_file
from mlops.lint.classify import kind_of
from mlops.lint.files import Files
from mlops.lint.kinds import KINDS
from mlops.lint.node import At
from mlops.spec._yaml import Document

WRONG: tuple[Any, ...] = (
    None, "", "x", "${{", "azureml:", "file:none.yml", "a\0b", "z" * 5000, 3, -1, 0.5, 10**400, True, date(2026, 1, 1),
    [], ["a"], [[]], [{}], {}, {"a": 1}, {1: 2}, {"type": []}, {"path": {}},
)  # fmt: skip


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*above, key))


def replaced(value: Any, place: tuple[Any, ...], wrong: Any) -> Any:
    if not place:
        return wrong
    changed = copy.deepcopy(value)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = wrong
    return changed


@pytest.mark.parametrize("name", SHELF)
def test_a_wrong_type_anywhere_is_no_traceback(shelf, name):
    document = Document.read(shelf.root / name, name)
    kind = kind_of(document.value)
    files, step = Files(), 19 if name == "pipeline.yml" else 6
    for number, place in enumerate(places(document.value)):
        for wrong in WRONG[number % step :: step]:  # each place meets some; its neighbours meet the others
            value = replaced(document.value, place, wrong)
            kinds = {kind, kind_of(value) if isinstance(value, dict) else kind} & KINDS.keys()
            for read_as in kinds:
                for finding in check_file(At(document, shelf.root / name, (), value), read_as, files):
                    assert finding.message, (place, wrong)
                    assert "Traceback" not in finding.message


@pytest.mark.parametrize("name", SHELF)
def test_a_required_field_of_another_type_is_an_error(shelf, name):
    """A list in the place of a whole part is never right, and never silent."""
    document = Document.read(shelf.root / name, name)
    kind = kind_of(document.value)
    for key in document.value.keys() - {"$schema", "type"}:
        value = replaced(document.value, (key,), [[["wrong"]]])
        found = [f.field for f in check_file(At(document, shelf.root / name, (), value), kind, Files())]
        assert any(field.split(".")[0] == key for field in found), (key, found)


def test_a_file_that_holds_itself_and_one_that_explodes_end(shelf):
    shelf.write("job.yml", "type: command\ncommand: x\nenvironment: &a {image: *a}\n")
    assert [f.id for f in shelf.findings("job.yml")] == ["yaml"]
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    shelf.write("bomb.yml", f"$schema: azureml/commandJob.schema.json\n{bomb}command: *a39\n")
    assert [f.id for f in shelf.findings("bomb.yml")] == ["yaml"]


@pytest.mark.parametrize(
    "text", ["", "- a\n", "text\n", "3\n", "a: 1\n---\nb: 2\n", "\x00", "a: !!python/x 1\n"]
)
def test_a_file_of_another_form_ends_in_a_sentence(shelf, text):
    path = shelf.write("odd.yml", text)
    found = shelf.findings("odd.yml")
    assert [f.file for f in found] == [path.name]
    assert found[0].id in ("yaml", "not-read")


def test_merge_keys_and_anchors_are_read_and_their_lines_known(shelf):
    text = (shelf.root / "endpoint.yml").read_text().replace("name: freight-prod\n", "")
    shelf.write("merged.yml", f"{text}tags: &tags {{a: b}}\n<<: {{name: freight-prod}}\nproperties: *tags\n")
    assert shelf.findings("merged.yml") == ()
    shelf.edit("merged.yml", "<<: {name: freight-prod}", "<<: {name: f}")
    (found,) = shelf.findings("merged.yml")
    assert (found.id, found.line) == ("bad-name", 6)
