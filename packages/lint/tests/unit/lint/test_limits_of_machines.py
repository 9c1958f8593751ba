"""Sizes, quantities and environments, at the edges: one step inside is right, one step outside is not."""

from __future__ import annotations

import pytest

from mlops.lint.environment import environment_fields, unpinned_image
from mlops.lint.machine import size_problem
from mlops.lint.serving import quantity
from tests.unit.lint.one_edit import at


@pytest.mark.parametrize(
    "size",
    [
        "Standard_DS3_v2",
        "standard_ds3_v2",
        "STANDARD_D2S_V3",
        "Standard_E4-2s_v3",
        "Standard_NC24ads_A100_v4",
        "Standard_NC4as_T4_v3",
        "Standard_NC24rs_v3",
        "Basic_A1",
        "Standard_NC6_Promo",
        "Standard_F4s_v2",
        "${{parent.inputs.size}}",
        "Standard_ND96amsr_A100_v4",
    ],
)
def test_sizes_that_azure_has(size):
    assert size_problem(size) == ""


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ("Standard_D3s", "no series"),
        ("Standard_DS3v2", "is no size"),
        ("Standard_DS3_v9", "no series"),
        ("Standard_DS9_v2", "this series has"),
        ("Standard_NC5as_T4_v3", "this series has"),
        ("Standard_NC4as_A100_v3", "no series"),
        ("DS3_v2", "is no size"),
        ("Standard_", "is no size"),
        ("Standard_E4-4s_v3", "fewer"),
        ("Standard_NC24ads_v4", "no series"),
    ],
)
def test_sizes_that_azure_does_not_have(size, why):
    assert why in size_problem(size)


def test_a_size_may_be_vouched_for():
    assert size_problem("Standard_Z1", frozenset({"standard_z1"})) == ""


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
