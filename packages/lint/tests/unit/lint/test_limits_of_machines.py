"""Sizes, quantities and environments, at the edges: one step inside is right, one step outside is not."""

from __future__ import annotations

from datetime import date

import pytest

from mlops.lint.environment import environment_fields, unpinned_image
from mlops.lint.files import Files
from mlops.lint.machine import check_size
from mlops.lint.serving import quantity
from mlops.spec.vm_sizes import Table, packaged
from tests.unit.lint.one_edit import at


@pytest.mark.parametrize(
    ("text", "field", "number"),
    [
        ("500m", "cpu", 0.5),
        ("1", "cpu", 1),
        (2, "cpu", 2),
        ("0.5Gi", "memory", 2**29),
        ("512Mi", "memory", 2**29),
        ("1G", "memory", 1e9),
        ("1Gi", "cpu", None),
        ("500m", "memory", None),
        ("1GB", "memory", None),
        ("half", "cpu", None),
        ("0", "cpu", None),
        ("-1", "cpu", None),
        (True, "cpu", None),
        ([], "cpu", None),
        ("1 Gi", "memory", None),
    ],
)
def test_quantities_of_kubernetes(text, field, number):
    assert quantity(text, field) == number


BOMB = "a: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 30)
)


@pytest.mark.parametrize(
    ("content", "rule", "says"),
    [
        (b"dependencies: [pip]\n", "", ""),
        (b"", "", ""),
        (b"name: x\n", "", ""),
        (b"dependencies: {pip: [a]}\n", "asset", "must be a list"),
        (b"dependencies: [\n", "asset", "cannot be read as YAML"),
        (b"name: \xff\n", "asset", "cannot be read as YAML"),
        (b"- pip\n", "asset", "has no fields"),
        (BOMB.encode(), "asset", "aliases (*name) repeat"),
        (b"dependencies: &a [*a]\n", "asset", "contains itself"),
    ],
)
def test_a_conda_file_lists_its_dependencies(content, rule, says, tmp_path):
    (tmp_path / "conda.yml").write_bytes(content)
    found = list(environment_fields(at("image: a/b:1\nconda_file: conda.yml", tmp_path)))
    assert [f.id for f in found] == ([rule] if rule else [])
    assert says in "".join(f.message for f in found)


def test_a_conda_file_that_nobody_may_read_is_said(tmp_path, monkeypatch):
    def refused(path, **_):
        raise PermissionError(13, "no", str(path))

    (tmp_path / "conda.yml").write_text("dependencies: []\n")
    monkeypatch.setattr("pathlib.Path.read_text", refused)
    place = at("image: a/b:1\nconda_file: conda.yml", tmp_path)
    assert [f.id for f in environment_fields(place)] == ["asset"]


def test_a_conda_file_of_another_place_is_not_read(tmp_path):
    (tmp_path / "azureml:x").write_text("- no fields\n")
    assert list(environment_fields(at("image: a/b:1\nconda_file: azureml:x", tmp_path))) == []


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("a/b:1", ""),
        ("a/b@sha256:0", ""),
        ("a/b:latest@sha256:0", ""),
        ("${{inputs.image}}", ""),
        ("a/b", "has no tag"),
        ("a:1/b", "has no tag"),
        ("a:1/b/c", "has no tag"),
        ("a:1/b/c:2", ""),
        ("a/b:1/c", "has no tag"),
        ("a:1/b:latest", "moves"),
        ("b:latest", "moves"),
        ("b:latest-1", ""),
    ],
)
def test_images_that_stay(image, why):
    assert (why in unpinned_image(image)) if why else unpinned_image(image) == ""


@pytest.mark.parametrize(
    ("day", "size", "rule"),
    [
        (date(2026, 6, 1), "Standard_NC6s_v3", "retired-size"),
        (date(2025, 3, 1), "standard_nc6s_v3", "ending-size"),
        (date(2023, 3, 1), "Standard_NC6s_v3", ""),
        (date(2026, 6, 1), " Standard_E4s_v3 ", ""),
        (None, "Standard_NC6s_v3", ""),
        (date(2026, 6, 1), "Standard_NC66s_v3", "vm-size"),
    ],
)
def test_sizes_are_judged_by_the_day(tmp_path, day, size, rule):
    found = list(check_size(at(f"size: '{size}'", tmp_path)["size"], Files(today=day)))
    assert [f.id for f in found] == ([rule] if rule else [])
    if rule.endswith("-size") and rule != "vm-size":
        assert "2025" in found[0].message


def test_a_repository_may_know_sizes_and_days_of_its_own(tmp_path):
    place = at("size: Standard_D2s_v99", tmp_path)["size"]
    assert [f.id for f in check_size(place, Files())] == ["vm-size"]
    assert list(check_size(place, Files(vm_sizes=frozenset({"standard_d2s_v99"})))) == []
    none = Table.model_validate({**packaged().model_dump(), "series": []})
    ended = at("size: Standard_NC6s_v3", tmp_path)["size"]
    assert list(check_size(ended, Files(today=date(2026, 6, 1), sizes=none))) == []
