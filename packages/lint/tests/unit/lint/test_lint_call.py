# ruff: noqa: E501 (tables of cases)
"""One call: which files are read, which rules count where, what a comment silences, and what is only a note."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from mlops.errors import InvalidInput, Problem
from mlops.lint import Options, examine, lint, oracle, rule_names
from mlops.lint.finding import Finding, ordered
from mlops.lint.kinds import KINDS
from mlops.spec.vm_sizes import Series, Table

PLAIN = Options(azure=False)


def test_no_file_of_a_folder_is_skipped_without_a_word(shelf):
    shelf.write(
        "flow.dag.yaml", "$schema: https://azuremlschemas.azureedge.net/promptflow/latest/Flow.schema.json\n"
    )
    shelf.write("ci/build.yaml", "stages: []\n")
    shelf.write("broken.yml", "a: [\n")
    shelf.write("half.yml", "$schema: https://azuremlschemas.azureedge.net/latest/data.schema.json\na: [\n")
    shelf.write(".git/x.yml", "a: 1\n")
    verdict = examine([shelf.root], PLAIN)
    states = {state.file: state.state for state in verdict.files}
    yaml = [p for p in shelf.root.rglob("*.y*ml") if ".git" not in p.parts]
    assert set(states) == {str(p.relative_to(shelf.root)) for p in yaml}
    assert (states["flow.dag.yaml"], states["ci/build.yaml"], states["job.yml"]) == (
        "unread",
        "other",
        "read",
    )
    assert states["half.yml"] == "unread"
    said = {(f.file, f.id) for f in verdict.findings}
    assert ("flow.dag.yaml", "not-read") in said, "a kind that is not read is a note"
    assert ("half.yml", "yaml") in said, "a broken file of Azure ML is an error"
    assert "broken.yml" not in {file for file, _ in said}, "another program's file is not ours to judge"


def test_a_file_that_was_named_is_never_silent(shelf):
    shelf.write("broken.yml", "a: [\n")
    shelf.write("other.yml", "a: 1\n")
    assert [f.id for f in examine([shelf.root / "broken.yml"], PLAIN).findings] == ["yaml"]
    assert [f.id for f in examine([shelf.root / "other.yml"], PLAIN).findings] == ["not-read"]
    assert examine([shelf.root / "other.yml"], PLAIN).blocking == ()


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(InvalidInput, match="does not exist"):
        lint(tmp_path / "none.yml")
    with pytest.raises(InvalidInput, match="no YAML file"):
        lint(tmp_path)


def test_what_a_file_names_is_read_with_it_and_once(shelf):
    shelf.edit("train.yml", "python train.py", "python trian.py")
    named = examine([shelf.root / "pipeline.yml"], PLAIN)
    assert [(f.file, f.id) for f in named.blocking] == [("train.yml", "missing-script")]
    assert {"inner.yml", "judge.yml", "environment.yml"} <= {state.file for state in named.files}
    whole = examine([shelf.root], PLAIN)
    assert [f.id for f in whole.findings].count("missing-script") == 1


def test_a_component_without_a_type_of_its_own_is_read_as_what_names_it(shelf):
    shelf.write("bare.yml", "name: bare\ncomand: echo\n")
    shelf.edit("pipeline.yml", "file:./judge.yml", "./bare.yml")
    assert ("bare.yml", "dropped-field") in {(f.file, f.id) for f in shelf.findings("pipeline.yml")}


@pytest.mark.parametrize(
    ("reference", "found"),
    [("azureml:tools@latest", "pin-asset"), ("azureml:tools@latest:1", "bad-reference")],
)
def test_house_rules_count_in_the_house_and_errors_everywhere(shelf, reference, found):
    shelf.edit(
        "job.yml",
        "environment:\n  image: example.azurecr.io/tools:3\n  conda_file: ./conda.yml",
        f"environment: {reference}",
    )
    assert [f.id for f in shelf.findings("job.yml")] == [found]
    outside = [f.id for f in shelf.findings("job.yml", house=False)]
    assert outside == ([found] if found == "bad-reference" else [])
    options = Options(house=(shelf.root,), off=frozenset({"pin-asset"}), azure=False)
    assert [f.id for f in examine([shelf.root / "job.yml"], options).findings] == outside
    elsewhere = Options(house=(shelf.root / "pipelines",), azure=False)
    assert [f.id for f in examine([shelf.root / "job.yml"], elsewhere).findings] == outside
    exactly = Options(house=(shelf.root / "job.yml",), azure=False)
    assert [f.id for f in examine([shelf.root / "job.yml"], exactly).findings] == [found]


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("image: x/y  # lint: pin-image - rebuilt every night", []),
        ("image: x/y  # lint: pin-image rebuilt every night", []),
        ("image: x/y  # lint: pin-image, unused-input - both are meant", []),
        ("# lint: pin-image - rebuilt every night\nimage: x/y", []),
        ("# lint: pin-image - rebuilt every night\n\nimage: x/y", ["pin-image"]),
        ("image: x/y  # lint: pin-image", ["pin-image", "silence"]),
        ("image: x/y  # lint: pin-image - ab", ["pin-image", "silence"]),
        ("image: x/y  # lint: pin-image - abc", []),
        ("image: x/y  # lint: pin-asset - another rule", ["pin-image"]),
        ("image: x/y  # lint: pin-imag - a typing error", ["pin-image", "silence"]),
        ("image: x/y  # lint: image-and-build - an error", ["pin-image", "silence"]),
    ],
)
def test_a_comment_silences_a_rule_beside_it_with_a_reason(shelf, line, left):
    text = f"$schema: https://azuremlschemas.azureedge.net/latest/environment.schema.json\nname: a\nversion: 1\n{line}\n"
    shelf.write("quiet.yml", text)
    assert sorted(f.id for f in shelf.findings("quiet.yml")) == left


def test_an_error_cannot_be_silenced(shelf):
    shelf.edit("endpoint.yml", "blue: 90, green: 10}", "blue: 80, green: 10}  # lint: traffic - we know")
    assert {f.id for f in shelf.findings("endpoint.yml", house=False)} == {"traffic"}


def test_a_size_that_the_repository_vouches_for_is_right(shelf):
    shelf.edit("cluster.yml", "Standard_DS3_v2", "Standard_Z9_v9")
    sizes = Options(azure=False, vm_sizes=frozenset({"standard_z9_v9"}))
    assert [f.id for f in examine([shelf.root / "cluster.yml"], PLAIN).findings] == ["vm-size"]
    assert examine([shelf.root / "cluster.yml"], sizes).findings == ()


def test_what_this_machine_cannot_run_is_a_note_of_a_file_that_is_right(shelf):
    def here(path: Path) -> list[Problem]:
        return [Problem(f"{path.name}:7", "cannot run here", "jobs.tune"), Problem(path.name, "nor this")]

    options = Options(azure=False, here=here)
    verdict = examine([shelf.root / "sweep.yml"], options)
    assert [(f.id, f.line, f.field) for f in verdict.findings] == [
        ("not-here", 1, ""),
        ("not-here", 7, "jobs.tune"),
    ]
    assert verdict.blocking == ()
    assert examine([shelf.root / "data.yml"], options).findings == (), "only jobs run"
    shelf.edit("sweep.yml", "goal: maximize", "goal: maximise")
    assert [f.id for f in examine([shelf.root / "sweep.yml"], options).findings] == ["wrong-value"]


def test_a_path_that_git_ignores_may_come_later(shelf):
    shelf.edit("data.yml", "./rows.csv", "./made/rows.csv")
    assert [f.id for f in shelf.findings("data.yml")] == ["missing-file"]
    shelf.write(".gitignore", "made/\n")
    assert [f.id for f in shelf.findings("data.yml")] == ["given-later"]


def test_a_name_that_is_left_to_the_command_line_is_a_note(shelf):
    shelf.edit("deployment.yml", "endpoint_name: freight-prod\n", "")
    assert [(f.id, f.level) for f in shelf.findings("deployment.yml")] == [("given-later", "note")]


@pytest.mark.parametrize(
    "text", ["<ENDPOINT_NAME>", "$ENDPOINT", "${ENDPOINT}", "{{endpoint}}", "__endpoint__"]
)
def test_a_placeholder_is_nobodys_mistake(shelf, text):
    shelf.edit("deployment.yml", "endpoint_name: freight-prod", f"endpoint_name: '{text}'")
    assert shelf.findings("deployment.yml") == ()


def test_lint_gives_the_verbs_errors_only(shelf):
    shelf.edit("environment.yml", "/tools:3", "/tools")
    shelf.edit("endpoint.yml", "blue: 90", "blue: 80")
    (problem,) = lint(shelf.root)
    assert (problem.where, problem.field) == ("endpoint.yml:4", "traffic")


def test_without_azure_ai_ml_the_verdict_says_so(shelf, monkeypatch):
    monkeypatch.setattr(oracle, "installed", lambda: "")
    verdict = examine([shelf.root / "data.yml"])
    assert [f.id for f in verdict.findings] == ["azure-unasked"]
    assert verdict.azure == ""
    assert verdict.blocking == ()
    shelf.write("other.yml", "a: 1\n")
    assert "azure-unasked" not in {f.id for f in examine([shelf.root / "other.yml"]).findings}


def test_what_azure_ai_ml_refuses_is_part_of_the_verdict(shelf, monkeypatch):
    monkeypatch.setattr(oracle, "installed", lambda: "9.9")
    monkeypatch.setattr(
        oracle, "refusals", lambda top, kind: [(("path",), "no such thing"), (("version",), "odd")]
    )
    verdict = examine([shelf.root / "data.yml"])
    assert verdict.azure == "9.9"
    assert [(f.id, f.line, f.field) for f in verdict.blocking] == [
        ("refused", 3, "version"),
        ("refused", 5, "path"),
    ]
    shelf.edit("data.yml", "./rows.csv", "./row.csv")
    told = [(f.id, f.field) for f in examine([shelf.root / "data.yml"]).blocking]
    assert told == [("refused", "version"), ("missing-file", "path")], "a place is told once"


def test_its_answers_are_kept_by_content(shelf, monkeypatch):
    asked: list[str] = []

    def refusals(top, kind):
        asked.append(top.document.name)
        return [(("type",), "odd")]

    monkeypatch.setattr(oracle, "installed", lambda: "9.9")
    monkeypatch.setattr(oracle, "refusals", refusals)
    options = Options(memory=shelf.root / "memory")
    first = examine([shelf.root / "judge.yml"], options)
    assert sorted(asked) == ["environment.yml", "judge.yml"]
    assert examine([shelf.root / "judge.yml"], options) == first
    assert len(asked) == 2, "nothing changed, nothing asked"
    shelf.edit("environment.yml", "/tools:3", "/tools:4")
    examine([shelf.root / "judge.yml"], options)
    assert len(asked) == 4, "a file that it names has changed"
    (shelf.root / "src" / "more.py").write_text("")
    examine([shelf.root / "judge.yml"], options)
    assert asked[4:] == ["judge.yml"], "its code folder has changed"
    monkeypatch.setattr(oracle, "installed", lambda: "10.0")
    examine([shelf.root / "judge.yml"], options)
    assert len(asked) == 7, "another version may say otherwise"


def test_rules_are_switched_off_by_name():
    assert rule_names(["pin-image"]) == {"pin-image"}
    for wrong in ("pin-imag", "traffic", "not-read"):
        with pytest.raises(InvalidInput, match=wrong):
            rule_names([wrong])


def test_findings_are_told_once_and_in_order():
    one, two = Finding("yaml", "a", 2, "", "x"), Finding("yaml", "a", 1, "", "y")
    assert list(ordered([one, two, one])) == [two, one]


def test_every_kind_has_a_shape_or_asks_azure_ai_ml():
    from mlops.lint.shape import shapes

    without = {kind for kind in KINDS if kind not in shapes()["kinds"]}
    assert without == {"job.automl"}


@pytest.mark.parametrize(
    ("size", "day", "inside", "outside"),
    [
        ("Standard_NC6s_v3", date(2026, 11, 29), ["retired-size"], ["ending-size"]),
        ("Standard_NC6s_v3", date(2025, 1, 1), ["ending-size"], ["ending-size"]),
        ("STANDARD_NV12s_v3", date(2026, 11, 29), ["retired-size"], ["ending-size"]),
        ("Standard_NC6s_v3", None, [], []),
        ("Standard_DS3_v2", date(2026, 11, 29), [], []),
    ],
)
def test_a_size_that_azure_takes_away_is_told(shelf, size, day, inside, outside):
    shelf.edit("cluster.yml", "Standard_DS3_v2", size)

    def found(**more):
        return examine([shelf.root / "cluster.yml"], Options(azure=False, today=day, **more))

    house = found(house=(shelf.root,))
    assert [f.id for f in house.findings] == inside
    assert [f.id for f in found().findings] == outside
    assert [f.id for f in house.blocking] == [i for i in inside if i == "retired-size"]
    assert found(house=(shelf.root,), off=frozenset({"retired-size"})).blocking == ()


def test_the_repositorys_table_says_when_a_size_ends(shelf):
    gone = Series(series="Ours", sizes="DS3_v2", ends=date(2026, 1, 1))
    options = Options(
        azure=False, sizes=Table(read=date(2026, 1, 1), series=(gone,)), today=date(2026, 11, 29)
    )
    (finding,) = examine([shelf.root / "cluster.yml"], options).findings
    assert "of the series Ours, which Azure retired on 01 January 2026" in finding.message


def test_an_answer_that_depends_on_too_many_files_is_asked_anew(shelf, monkeypatch):
    """Beyond the files that a key may hold, a change would go unseen."""
    asked: list[str] = []
    monkeypatch.setattr(oracle, "installed", lambda: "9.9")
    monkeypatch.setattr(oracle, "refusals", lambda top, kind: asked.append(top.document.name) or [])
    monkeypatch.setattr("mlops.lint.memory._MAX_FILES", 1)
    options = Options(memory=shelf.root / "memory")
    examine([shelf.root / "judge.yml"], options)
    examine([shelf.root / "judge.yml"], options)
    assert asked.count("judge.yml") == 2, "it names other files"


def test_an_environment_of_many_components_is_checked_once_and_told_all_the_same(shelf, monkeypatch):
    from mlops.lint import environment

    before = environment.environment_fields
    seen: list[str] = []
    monkeypatch.setattr(
        environment, "environment_fields", lambda top: (seen.append(top.document.name), before(top))[1]
    )
    text = (shelf.root / "judge.yml").read_text()
    for number in range(3):
        (shelf.root / f"judge{number}.yml").write_text(text)
    shelf.edit("environment.yml", "/tools:3", "/tools:latest")
    verdict = examine([shelf.root], Options(azure=False, house=(shelf.root,)))
    assert {f.file.rpartition("/")[2] for f in verdict.findings if f.id == "pin-image"} == {"environment.yml"}
    assert sum(name.endswith("environment.yml") for name in seen) == 1
