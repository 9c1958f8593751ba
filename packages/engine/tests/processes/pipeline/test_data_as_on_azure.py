"""Data and code are here what they are on Azure ML: mounts that nobody may change, copies that one may,
addresses, and what is refused before anything starts."""

from __future__ import annotations

import os

import pytest
from as_on_azure import shows
from step_world import World, one

from mlops.errors import InvalidInput, StepFailed

DATA = 'inputs: {d: {type: uri_folder, path: "./da ta"%s}}'


READS = 'inputs: {d: "${{parent.inputs.d}}"}'


SPOIL = (
    "chmod -R u+w ${{inputs.d}}; echo spoiled >> ${{inputs.d}}/x.csv; cp ${{inputs.d}}/x.csv ${{outputs.o}}/a"
)


@pytest.mark.parametrize("mode", ["", ", mode: ro_mount"])
@shows(
    "an input with `mode: ro_mount`, the default",
    azure="a write fails",
    here="the step reads a read-only copy; a step that changed it fails, and your data stay as they are",
)
def test_data_that_are_mounted_read_only_stay_as_they_are(world: World, mode: str) -> None:
    original = world.write("da ta/x.csv", "1\n")
    with pytest.raises(StepFailed, match="input 'd'"):
        world.run(one(SPOIL, READS, DATA % mode))
    assert original.read_text() == "1\n"


@pytest.mark.parametrize(
    "command",
    ["mkdir ${{inputs.d}}/new", "rmdir ${{inputs.d}}/empty", "mv ${{inputs.d}}/x.csv ${{inputs.d}}/y.csv"],
)
@shows("an input with `mode: ro_mount`, the default")
def test_a_change_of_folders_and_names_is_a_write_too(world: World, command: str) -> None:
    world.write("da ta/x.csv", "1\n")
    (world.root / "da ta/empty").mkdir()
    spoil = f"chmod -R u+w ${{{{inputs.d}}}}; {command}; echo > ${{{{outputs.o}}}}/a"
    with pytest.raises(StepFailed, match="input 'd'"):
        world.run(one(spoil, READS, DATA % ""))
    assert (world.root / "da ta/empty").is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write what is read-only")
@shows("an input with `mode: ro_mount`, the default")
def test_a_write_into_read_only_data_fails_at_once(world: World) -> None:
    world.write("da ta/x.csv", "1\n")
    with pytest.raises(StepFailed, match="Permission denied"):
        world.run(one("echo spoiled >> ${{inputs.d}}/x.csv", READS, DATA % ""))


@shows(
    "`mode: download`",
    azure="a copy that the step may change",
    here="the same",
)
def test_downloaded_data_may_be_written_and_the_original_stays(world: World) -> None:
    original = world.write("da ta/x.csv", "1\n")
    assert world.said(one(SPOIL, READS, DATA % ", mode: download")) == "1\nspoiled\n"
    assert original.read_text() == "1\n"


@pytest.mark.parametrize("mode", ["rw_mount", "eval_mount"])
@shows(
    "another mode of an input, such as `rw_mount`",
    azure="refused by azure-ai-ml",
    here="refused before the start",
)
def test_a_mode_that_azure_refuses_is_refused_before_the_start(world: World, mode: str) -> None:
    original = world.write("da ta/x.csv", "1\n")
    with pytest.raises(InvalidInput, match=r"inputs\.d\.mode: must be one of direct, download, ro_mount"):
        world.run(one(SPOIL, READS, DATA % f", mode: {mode}"))
    assert original.read_text() == "1\n"


@pytest.mark.parametrize(("node", "ok"), [("", False), ("ro_mount", False), ("download", True)])
@shows(
    "any mode of what another step has made",
    azure="kept",
    here="kept; `download` gives a copy",
)
def test_what_another_step_has_made_is_never_changed(world: World, node: str, ok: bool) -> None:
    mode = f", mode: {node}" if node else ""
    text = """
    jobs:
      one:
        command: echo 1 > ${{outputs.o}}/x.csv
        environment: azureml:tools:3
        outputs: {o: {type: uri_folder}}
      two:
        command: chmod -R u+w ${{inputs.d}}; echo spoiled >> ${{inputs.d}}/x.csv
        environment: azureml:tools:3
        inputs: {d: {type: uri_folder, path: "${{parent.jobs.one.outputs.o}}"MODE}}
    """.replace("MODE", mode)
    if ok:
        assert (world.run(text).outputs["one.o"] / "x.csv").read_text() == "1\n"
        return
    with pytest.raises(StepFailed, match="input 'd'"):
        world.run(text)
    text = text.replace("echo spoiled >> ${{inputs.d}}/x.csv", "cat ${{inputs.d}}/x.csv > ${{outputs.o}}/a")
    text = text.rstrip() + "\n        outputs: {o: {type: uri_folder}}\n"
    assert world.said(text, "two.o") == "1\n", "what was spoiled must not be used again"


@pytest.mark.parametrize(
    "path",
    [
        "https://example.com/a.csv",
        "azureml://datastores/store/paths/rows/",
        "abfss://rows@account.dfs.core.windows.net/a",
        "wasbs://rows@account.blob.core.windows.net/a",
    ],
)
@shows(
    "`path: https://…`, `azureml://…`, `abfss://…`",
    azure="mounted or downloaded",
    here="refused before the start: give a copy when you run it, `--input NAME=PATH`, or `JOB.NAME=PATH`",
)
def test_data_that_lie_elsewhere_are_refused_before_anything_starts(world: World, path: str) -> None:
    text = one(
        "echo ${{inputs.d}} > ${{outputs.o}}/a", READS, f'inputs: {{d: {{type: uri_file, path: "{path}"}}}}'
    )
    with pytest.raises(InvalidInput, match="d=PATH") as caught:
        world.run(text)
    assert caught.value.problems[0].field == "inputs.d"
    assert world.tracker.runs == {}
    copy = world.write("copy.csv", "1")
    assert world.said(text, d=str(copy)).strip().endswith("copy.csv")


@pytest.mark.parametrize("asset", ["azureml:rows@latest", "azureml:rows"])
@shows("`path: https://…`, `azureml://…`, `abfss://…`")
def test_a_data_asset_without_a_version_is_refused_before_anything_starts(world: World, asset: str) -> None:
    text = one(
        "ls ${{inputs.d}} > ${{outputs.o}}/a", READS, f'inputs: {{d: {{type: uri_folder, path: "{asset}"}}}}'
    )
    with pytest.raises(InvalidInput, match="names no version of a data asset") as caught:
        world.run(text)
    assert repr(asset) in str(caught.value) and world.tracker.runs == {}


@shows(
    "the same with `mode: direct`",
    azure="the step gets the address",
    here="the same",
)
def test_an_address_that_is_asked_for_as_such_is_given(world: World) -> None:
    text = one(
        "echo ${{inputs.d}} > ${{outputs.o}}/a",
        READS,
        'inputs: {d: {type: uri_file, path: "https://example.com/a.csv", mode: direct}}',
    )
    assert world.said(text) == "https://example.com/a.csv\n"


@shows("`path: https://…`, `azureml://…`, `abfss://…`")
def test_a_file_address_is_a_path(world: World) -> None:
    path = world.write("rows.csv", "1")
    text = one(
        "cat ${{inputs.d}} > ${{outputs.o}}/a",
        READS,
        f'inputs: {{d: {{type: uri_file, path: "file://{path}"}}}}',
    )
    assert world.said(text) == "1"


@pytest.mark.parametrize(
    "code", ["git+https://github.com/o/r.git", "https://example.com/c.zip", "azureml:code:1"]
)
@shows(
    "`code` in git, on the web or in the workspace",
    azure="refused by azure-ai-ml, or read from the workspace",
    here="refused before the start",
)
def test_code_that_is_not_here_is_refused_before_anything_starts(world: World, code: str) -> None:
    with pytest.raises(InvalidInput):
        world.run(one("ls > ${{outputs.o}}/a", f'code: "{code}"'))
    assert world.tracker.runs == {}


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("uri_folder", "x.csv", "is a file; uri_folder needs a folder"),
        ("mlflow_model", "x.csv", "is a file; mlflow_model needs a folder"),
        ("uri_file", "folder", "is a folder; uri_file needs a file"),
        ("mltable", "folder", "a folder without a file MLTable"),
    ],
)
@shows(
    "data of another kind than declared, also when given for a run",
    azure="fails when they are mounted",
    here="refused before the start",
)
def test_data_of_another_kind_than_declared_are_refused(
    world: World, kind: str, given: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("x.csv", "1")
    world.write("folder/y.csv", "1")
    world.write("right/MLTable", "paths: []")
    monkeypatch.chdir(world.root)
    right = "x.csv" if kind == "uri_file" else "right"
    text = one("ls ${{inputs.d}} ${{outputs.o}}", READS, f"inputs: {{d: {{type: {kind}, path: ./{right}}}}}")
    with pytest.raises(InvalidInput, match=said):
        world.run(text, d=given)
    assert world.tracker.runs == {}
    world.run(text)
