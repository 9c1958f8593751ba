"""What a file names: assets, paths, addresses, computes. Each good form stands beside a bad one."""

from __future__ import annotations

import pytest

from mlops.lint.finding import Finding
from mlops.lint.monitor import _EMAIL
from mlops.lint.references import check_asset, check_compute_name, check_path, is_placeholder, is_remote
from tests.unit.lint.one_edit import at


@pytest.mark.parametrize(
    ("reference", "rule"),
    [
        ("azureml:a:1", ""),
        ("azureml:a@stable", "pin-asset"),
        ("azureml:a-b_c.d/e:1.0", ""),
        ("azureml:a", "pin-asset"),
        ("azureml:a@latest", "pin-asset"),
        ("azureml:a:latest", "pin-asset"),
        ("azureml:a@latest:1", "bad-reference"),
        ("azureml:a:1:2", "bad-reference"),
        ("azureml:", "bad-reference"),
        ("azureml::1", "bad-reference"),
        ("azureml:a:", "bad-reference"),
        ("azureml://registries/r/models/m/versions/1", ""),
        ("azureml://registries/r/models/m/labels/latest", "pin-asset"),
        ("azureml://registries/r/models/m", "pin-asset"),
        ("azureml://datastores/d/paths/p", ""),
        ("azureml:/subscriptions/s/x", ""),
        ("./a", ""),
        ("azureml:${{x}}", ""),
    ],
)
def test_references_to_assets(reference, rule, tmp_path):
    found = list(check_asset(at(f"a: '{reference}'", tmp_path)["a"]))
    assert [f.id for f in found] == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("path", "rule", "says"),
    [
        ("azureml://datastore/x/paths/y", "bad-reference", "'datastores', not 'datastore'"),
        ("azureml://Subscription/x/y", "bad-reference", "'subscriptions', not 'Subscription'"),
        ("azureml://registry/x/models/m/versions/1", "bad-reference", "'registries', not 'registry'"),
        ("azureml://jobs/x/outputs/y", "", ""),
        ("azureml://location/x", "bad-reference", "'locations'"),
        ("azureml://somewhere/x", "", ""),
        ("azureml:///subscriptions/x", "", ""),
        ("azureml://datastores/x/path/y", "bad-reference", "/paths/<path>"),
        ("azureml://datastores/x/", "", ""),
        ("azureml://datastores/x/paths", "", ""),
        ("azureml://DataStores/x/pathsy", "bad-reference", "/paths/<path>"),
        ("htps://a/?from=https://b", "bad-reference", "did you mean https"),
        ("HTTPS://a/b", "", ""),
        ("htpp://a/b", "bad-reference", "did you mean http://?"),
        ("abfsss://a/b", "bad-reference", "did you mean abfss://?"),
        ("mongo-db://a", "", ""),
        ("__https__", "", ""),
        ("zz://a", "", ""),
        ("azureml:x", "pin-asset", "names no version"),
        ("none", "missing-file", "the data 'none' does not exist"),
        ("file:x.yml", "missing-file", "'file:x.yml'"),
        ("file:there.yml", "", ""),
    ],
)
def test_paths_and_addresses(path, rule, says, tmp_path):
    (tmp_path / "there.yml").write_text("")
    found = list(check_path(at(f"a: '{path}'", tmp_path)["a"], what="data"))
    assert [f.id for f in found] == ([rule] if rule else [])
    assert says in "".join(f.message for f in found)


@pytest.mark.parametrize(
    "scheme",
    ["http", "https", "azureml", "abfs", "abfss", "wasb", "wasbs", "adl", "file", "mongodb", "s3", "gs"],
)
def test_schemes_that_something_opens(scheme, tmp_path):
    def said(path):
        return "".join(f.message for f in check_path(at(f"a: '{path}'", tmp_path)["a"]))

    assert "no scheme" not in said(f"{scheme}://a/b")
    assert f"did you mean {scheme}://?" in said(f"{scheme[0]}{scheme}://a/b")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("azureml:cpu", True),
        ("AzureML:cpu", True),
        ("cpu", True),
        ("local", True),
        ("azureml:cpu:1", False),
        ("azureml:cpu@latest", False),
        ("a b", False),
        (" cpu ", True),
        ("azureml:", False),
        (" ", False),
        ("<cpu a>", True),
        ("${{parent.inputs.a b}}", True),
        ("/subscriptions/a b/computes/c", True),
        ("azureml:/subscriptions/a:b/computes/c", True),
    ],
)
def test_names_of_computes(text, right, tmp_path):
    found = list(check_compute_name(at(f"a: '{text}'", tmp_path)["a"]))
    assert [f.id for f in found] == ([] if right else ["bad-reference"])
    assert list(check_compute_name(at("a: 3", tmp_path)["a"])) == []


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("azureml:a:1", True),
        ("https://a/b", True),
        ("/subscriptions/x", True),
        ("a/${{name}}/b", True),
        ("<path>", True),
        ("./a", False),
        ("a:b", False),
        ("", False),
    ],
)
def test_what_names_no_file_here(text, remote):
    assert is_remote(text) is remote


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("<A>", True),
        (" <A b> ", True),
        ("{{a}}", True),
        ("$A", True),
        ("${A}", True),
        ("__a__", True),
        ("a<b>", False),
        ("$a/b", False),
        ("__init__.py", False),
        ("a", False),
    ],
)
def test_what_waits_to_be_filled_in(text, waits):
    assert is_placeholder(text) is waits


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a@b.io", True),
        ("first.last+tag@mail.example.com", True),
        ("a@b", False),
        ("a.b.io", False),
        ("a@@b.io", False),
        ("a b@c.io", False),
        ("a@b.i", False),
        ("a@b.io,c@d.io", False),
        ("a@b.io.", False),
    ],
)
def test_addresses(text, right):
    assert (_EMAIL.fullmatch(text) is not None) is right


def test_a_place_answers_whatever_stands_there(tmp_path):
    place = at("a: {b: [1, {c: x}]}\nd: 3", tmp_path)
    assert place.at("a", "b").names() == []
    assert [inner.value for inner in place["a"]["b"].elements()] == [1, {"c": "x"}]
    assert (place["none"]["deeper"].value, place["none"].there, place["d"].there) == (None, False, True)
    assert (place["d"].text, place["d"].word, place["d"].number, place["d"].whole) == (None, "", 3.0, 3)
    assert place["a"]["b"].says("yaml", "x") == Finding("yaml", "x.yml", 1, "a.b", "x")
    assert "b" in place["a"]
    assert "b" not in place["d"]
