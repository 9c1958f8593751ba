"""The decisions of the lint at their edges: one step inside is right, one step outside is not."""

from __future__ import annotations

import pytest

from mlops.lint.command import check_scripts, check_work
from mlops.lint.cron import cron_problem
from mlops.lint.environment import environment_fields, unpinned_image
from mlops.lint.expression import Hole, broken, holes
from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.monitor import _EMAIL, DURATION
from mlops.lint.node import At, number_of
from mlops.lint.references import check_asset, check_compute_name, check_path, is_placeholder, is_remote
from mlops.lint.schedule import check_schedule
from mlops.lint.serving import quantity
from mlops.lint.values import fits, mismatch
from mlops.spec._yaml import Document

BOMB = "a: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 30)
)


def at(text: str, tmp_path) -> At:
    document = Document(text, "x.yml")
    return At(document, tmp_path / "x.yml", (), document.value)


@pytest.mark.parametrize(
    "expression", ["0 3 * * *", "*/5 * * * *", "0-59/15 0,23 * * 0-6", "59 23 * * SAT", "0 0 * * mon-fri"]
)
def test_crontabs_that_azure_honours(expression):
    assert cron_problem(expression) == ""


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("60 3 * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 3 0 * *", "day of month"),
        ("0 3 32 * *", "day of month"),
        ("0 3 * 0 *", "the month"),
        ("0 3 * 13 *", "the month"),
        ("0 3 * * 7", "day of week"),
        ("0 3 * * fri-mon", "day of week"),
        ("0/0 3 * * *", "minute"),
        ("*-3 3 * * *", "minute"),
        ("0 x * * *", "hour"),
        ("0 3-x * * *", "hour"),
        ("0 3 * *", "five fields"),
        ("0 3 * * * *", "five fields"),
        ("0 3 1 * *", "ignores"),
        ("0 3 * 1 *", "ignores"),
        ("", "five fields"),
    ],
)
def test_crontabs_that_it_refuses_or_ignores(expression, why):
    assert why in cron_problem(expression)


@pytest.mark.parametrize(
    "name", ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
)
def test_months_have_names(name):
    assert cron_problem(f"0 3 * {name},{name.upper()} *", parts=False) == ""
    assert "the month" in cron_problem(f"0 3 * {name}x *", parts=False)
    assert "the hour" in cron_problem(f"0 {name} * * *", parts=False)


@pytest.mark.parametrize("name", ["sun", "mon", "tue", "wed", "thu", "fri", "sat"])
def test_days_have_names(name):
    assert cron_problem(f"0 3 * * {name}-sat") == ""
    assert "day of week" in cron_problem(f"0 3 * * {name}x")


@pytest.mark.parametrize(
    ("expression", "right"),
    [
        ("0,59 0 * * *", True),
        ("0,60 0 * * *", False),
        ("60,0 0 * * *", False),
        ("0-0 0 * * *", True),
        ("1-0 0 * * *", False),
        ("*/1 0 * * *", True),
        ("*/0 0 * * *", False),
        ("0-10/5 0 * * *", True),
        ("-1 0 * * *", False),
        ("0 0 1 1 0", True),
        ("0 0 0 1 0", False),
        ("0 0 1 0 0", False),
        ("0 0 32 1 0", False),
        ("0 0 1 13 0", False),
        ("0 0 1 1 7", False),
        ("0 24 1 1 0", False),
        ("0 0 31 12 6", True),
        ("0 0 * mon *", False),
        ("0 0 * jan-mar *", True),
        ("0 0 * mar-jan *", False),
        ("0 0 * 1-mar *", True),
        ("0 0 * 4-mar *", False),
        ("* * * * *", True),
        ("*/5/5 * * * *", False),
    ],
)
def test_every_part_of_a_crontab(expression, right):
    assert (cron_problem(expression, parts=False) == "") is right


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-01-01", "2026-01-02", []),
        ("2026-01-02", "2026-01-02", ["window trigger.end_time"]),
        ("2026-01-31", "2026-01-02", ["window trigger.end_time"]),
        ("2026-01-01T00:00:00", "2026-01-01", ["window trigger.end_time"]),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01", []),
        ("2026-01-01T00:00:01Z", "2026-01-01T00:00:01", []),  # in which zone is the end?
        ("'2026-01-01T00:00:02+01:00'", "'2026-01-01T00:00:01Z'", []),
        ("'2026-01-01T00:00:02+01:00'", "'2025-12-31T23:00:02Z'", ["window trigger.end_time"]),
        ("'2026-01-01'", "2026-02-01", []),
        ("soon", "later", ["window trigger.end_time", "window trigger.start_time"]),
        ("[]", "{}", []),
        ("2026-01-01", "", []),
    ],
)
def test_a_schedule_ends_after_it_starts(start, end, said, tmp_path):
    text = f"trigger: {{type: cron, start_time: {start}, end_time: {end}}}\ncreate_job: azureml:j:1"
    found = check_schedule(at(text, tmp_path))
    assert sorted(f"{f.id} {f.field}" for f in found) == said


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


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("a/b:1", ""),
        ("a/b@sha256:0", ""),
        ("a/b:latest@sha256:0", ""),
        ("${{inputs.image}}", ""),
        ("a/b", "has no tag"),
        ("a:1/b", "has no tag"),
        ("a:1/b:latest", "moves"),
        ("b:latest", "moves"),
        ("b:latest-1", ""),
    ],
)
def test_images_that_stay(image, why):
    assert (why in unpinned_image(image)) if why else unpinned_image(image) == ""


def test_a_compute_instance_honours_every_part():
    assert cron_problem("0 3 1 1 *", parts=False) == ""
    assert cron_problem("0 3 32 1 *", parts=False) != ""


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


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("P7D", True),
        ("P1M", True),
        ("PT12H", True),
        ("P1DT12H30M", True),
        ("P2W", True),
        ("PT0.5S", True),
        ("P", False),
        ("PT", False),
        ("P1DT", False),
        ("7D", False),
        ("P7", False),
        ("p7d", False),
        ("P-7D", False),
        ("7 days", False),
    ],
)
def test_durations(text, right):
    assert (DURATION.fullmatch(text) is not None) is right


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
    ("value", "number"),
    [
        (1, 1.0),
        (1.5, 1.5),
        ("2", 2.0),
        ("1e3", 1000.0),
        (True, None),
        (None, None),
        ("x", None),
        ("nan", None),
        ("inf", None),
        (-(10**400), None),
        ([], None),
    ],
)
def test_numbers(value, number):
    assert number_of(value) == number


PORTS = """
whole: {type: integer, min: 1, max: 3}
number: {type: number, min: 0.5, max: 1.5}
listed: {type: number, enum: [1, 2.5]}
flag: {type: boolean}
word: {type: string, enum: [a, b]}
free: {type: string}
data: {type: uri_file}
"""


@pytest.mark.parametrize(
    ("port", "value", "right"),
    [
        ("whole", 1, True),
        ("whole", 3, True),
        ("whole", "2", True),
        ("whole", 0, False),
        ("whole", 4, False),
        ("whole", 1.5, False),
        ("whole", "1.0", False),
        ("whole", True, False),
        ("number", 0.5, True),
        ("number", 1.5, True),
        ("number", 0.4, False),
        ("number", 1.6, False),
        ("number", "x", False),
        ("listed", "2.5", True),
        ("listed", 2, False),
        ("flag", True, True),
        ("flag", "FALSE", True),
        ("flag", 1, False),
        ("flag", "yes", False),
        ("word", "a", True),
        ("word", "c", False),
        ("free", 3, True),
        ("data", "x", True),
        ("data", 3, False),
    ],
)
def test_literals_and_their_inputs(port, value, right, tmp_path):
    assert (mismatch(value, at(PORTS, tmp_path)[port]) == "") is right


@pytest.mark.parametrize(
    ("produced", "wanted", "right"),
    [
        ("uri_file", "uri_file", True),
        ("uri_file", "uri_folder", False),
        ("uri_folder", "uri_file", False),
        ("mltable", "uri_folder", True),
        ("uri_folder", "mltable", False),
        ("mlflow_model", "custom_model", True),
        ("uri_folder", "mlflow_model", True),
        ("mltable", "mlflow_model", False),
        ("mlflow_model", "uri_file", False),
        ("integer", "number", True),
        ("number", "integer", False),
        ("boolean", "string", True),
        ("string", "boolean", False),
        ("string", "uri_file", False),
        ("uri_file", "string", False),
        ("", "uri_file", True),
        ("uri_file", "", True),
        ("path", "uri_file", True),
        ("uri_file", "path", True),
    ],
)
def test_outputs_and_the_inputs_that_they_feed(produced, wanted, right):
    assert fits(produced, wanted) is right


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("${{parent.inputs.a}}", [Hole("${{parent.inputs.a}}", "parent.input", "a", whole=True)]),
        (" ${{ parent.inputs.a.b }} ", [Hole("${{ parent.inputs.a.b }}", "parent.input", "a", whole=True)]),
        ("x ${{parent.outputs.a}}", [Hole("${{parent.outputs.a}}", "parent.output", "a")]),
        (
            "${{parent.jobs.j.outputs.o}}",
            [Hole("${{parent.jobs.j.outputs.o}}", "job.output", "o", "j", whole=True)],
        ),
        ("${{parent.jobs.j}}", [Hole("${{parent.jobs.j}}", "job", "j", "j", whole=True)]),
        (
            "${{parent.jobs.j.inputs.o}}",
            [Hole("${{parent.jobs.j.inputs.o}}", "", "parent.jobs.j.inputs.o", whole=True)],
        ),
        (
            "$[[--a ${{inputs.a}}]] ${{inputs.b}}",
            [Hole("${{inputs.a}}", "inputs", "a", optional=True), Hole("${{inputs.b}}", "inputs", "b")],
        ),
        (
            "${{search_space.a}}${{outputs.o}}",
            [Hole("${{search_space.a}}", "search_space", "a"), Hole("${{outputs.o}}", "outputs", "o")],
        ),
        ("${{name}}", [Hole("${{name}}", "", "name", whole=True)]),
        ("${{}}", [Hole("${{}}", "", "", whole=True)]),
        ("no hole $[[x]]", []),
    ],
)
def test_expressions(text, found):
    assert list(holes(text)) == found


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("${{inputs.a}}", []),
        ("{{inputs.a}}", ["{{inputs.a}}"]),
        ("${inputs.a}", ["${inputs.a}"]),
        ("${{inputs.a}", ["${{inputs.a}"]),
        ("${{ parent.jobs.a.outputs.b }", ["${{ parent.jobs.a.outputs.b }"]),
        ("{inputs.a}", []),
        ("x{{inputs.a}}", []),
        ("x.{{inputs.a}}", []),
        ("${HOME} {{name}}", []),
        ("{{search_space.a}} {{outputs.b}}", ["{{search_space.a}}", "{{outputs.b}}"]),
        ("$[[--a ${{inputs.a}}]]", []),
        ("$[[--a ${{inputs.a}}]", ["$[["]),
        ("$[[a]] $[[b", ["$[["]),
        ("$[[a\n]]", []),
    ],
)
def test_what_is_meant_as_an_expression_and_is_none(text, pieces):
    assert list(broken(text)) == pieces


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("python a.py", []),
        ("python b.py", ["b.py"]),
        ("python3.11 -u b.py", ["b.py"]),
        ("A=1 B=2 python b.py", ["b.py"]),
        ("ls; python b.py", ["b.py"]),
        ("python a.py || python b.py", ["b.py"]),
        ("cd sub && python c.py", []),
        ("cd sub && python a.py", ["a.py"]),
        ("cd ${{inputs.x}} && python b.py", []),
        ("cd /tmp/x y && python b.py", []),
        ("git clone x && python b.py", []),
        ("python b.py && git clone x", ["b.py"]),
        ("python /opt/b.py", []),
        ("python ${{inputs.x}}/b.py", []),
        ("python b.py.txt", []),
        ("echo python b.py", []),
        ("sh a.sh", ["a.sh"]),
        ("Rscript a.R", ["a.R"]),
        ("python -m pkg.mod", []),
        ("python -m pkg", []),
        ("python -m pkg.other", ["pkg.other"]),
        ("python -m a.b", ["a.b"]),
        ("python -m torch.distributed.launch", []),
        ("python more/x.py", []),
        ("python more/y.py", ["more/y.py"]),
        ("python ./alone.py", []),
    ],
)
def test_scripts_of_a_command(command, missing, tmp_path):
    for name in ("a.py", "sub/c.py", "pkg/__main__.py", "pkg/mod.py", "other/more/x.py", "other/alone.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    place = at("command: x", tmp_path)["command"]
    more = {"more": tmp_path / "other" / "more", "alone.py": tmp_path / "other" / "alone.py"}
    found = list(check_scripts(place, command, tmp_path, more))
    assert all(f.id == "missing-script" for f in found)
    assert [f.message.split("'")[1] for f in found] == missing


@pytest.mark.parametrize(
    ("beside", "command", "missing"),
    [
        ("", "python b.py", True),
        ("", "python a.py", False),
        ("code.additional_includes", "python b.py", False),
        ("x.additional_includes", "python b.py", False),
        ("other.additional_includes", "python b.py", True),
    ],
)
def test_a_list_of_more_code_beside_it_may_bring_the_script(*, beside, command, missing, tmp_path):
    """Beside the folder of code or the file itself, as older pipelines have it."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("")
    if beside:
        (tmp_path / beside).write_text("../more\n")
    work = at(f"code: ./code/\nenvironment: azureml:e:1\ncommand: {command}", tmp_path)
    assert [f.id for f in check_work(work, Files())] == (["missing-script"] if missing else [])


@pytest.mark.parametrize(
    "program",
    [
        "git",
        "wget",
        "curl",
        "unzip",
        "tar",
        "cp",
        "mv",
        "ln",
        "azcopy",
        "gsutil",
        "aws",
        "touch",
        "tee",
        "mkdir",
        "cat",
        "echo",
        "jupyter",
    ],
)
def test_a_program_may_bring_the_script_along(program, tmp_path):
    place = at("command: x", tmp_path)["command"]
    assert list(check_scripts(place, f"{program} x && python b.py", tmp_path, {})) == []
    assert len(list(check_scripts(place, f"my{program} x && python b.py", tmp_path, {}))) == 1


@pytest.mark.parametrize("switch", ["-u", "-B", "-E", "-I", "-s", "-O", "-uB", "-u -O"])
def test_switches_of_python_stand_before_the_script(switch, tmp_path):
    place = at("command: x", tmp_path)["command"]
    assert len(list(check_scripts(place, f"python {switch} b.py", tmp_path, {}))) == 1
    (tmp_path / "pkg").mkdir()
    assert len(list(check_scripts(place, f"python {switch} -m pkg.b", tmp_path, {}))) == 1


def test_a_place_answers_whatever_stands_there(tmp_path):
    place = at("a: {b: [1, {c: x}]}\nd: 3", tmp_path)
    assert place.at("a", "b").names() == []
    assert [inner.value for inner in place["a"]["b"].elements()] == [1, {"c": "x"}]
    assert (place["none"]["deeper"].value, place["none"].there, place["d"].there) == (None, False, True)
    assert (place["d"].text, place["d"].word, place["d"].number, place["d"].whole) == (None, "", 3.0, 3)
    assert place["a"]["b"].says("yaml", "x") == Finding("yaml", "x.yml", 1, "a.b", "x")
    assert "b" in place["a"]
    assert "b" not in place["d"]
