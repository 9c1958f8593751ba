"""A digest that does not count what is loaded is worth nothing: a model behind a link could be exchanged, and
every check above would still call it the released one. So an artifact holds regular files only, wherever it
is made, moved or loaded."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mlops.errors import IntegrityError, InvalidInput
from mlops.pipeline.run.cache import StepCache, content_digest
from mlops.serving import testing
from mlops.serving.score import core
from mlops.spec.artifact import artifact_files, inside, leads_outside, plain_files
from mlops.spec.digest import tree_digest
from mlops.steps import dataset
from mlops.steps.ingest import source_digest


def linked_folder(model: Path, beside: Path) -> None:
    shutil.move(model / "onnx", beside / "onnx")
    (model / "onnx").symlink_to(beside / "onnx")


def linked_file(model: Path, beside: Path) -> None:
    shutil.move(model / "onnx" / "model.onnx", beside / "model.onnx")
    (model / "onnx" / "model.onnx").symlink_to(beside / "model.onnx")


def link_inside(model: Path, beside: Path) -> None:
    (model / "again").symlink_to("onnx")


def link_to_nothing(model: Path, beside: Path) -> None:
    (model / "onnx" / "gone").symlink_to(beside / "nothing")


def link_to_itself(model: Path, beside: Path) -> None:
    (model / "onnx" / "up").symlink_to("..")


def hard_link(model: Path, beside: Path) -> None:
    os.link(model / "onnx" / "model.onnx", beside / "model.onnx")


def hard_link_inside(model: Path, beside: Path) -> None:
    os.link(model / "serving.json", model / "onnx" / "serving.json")


def named_pipe(model: Path, beside: Path) -> None:
    os.mkfifo(model / "onnx" / "pipe")


def a_socket(model: Path, beside: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(model / "s"))


def case_twin(model: Path, beside: Path) -> None:
    (model / "Serving.JSON").write_text("{}")


def accent_twin(model: Path, beside: Path) -> None:
    (model / "caf\u00e9").write_text("")
    (model / "cafe\u0301").write_text("")


def twin_folders(model: Path, beside: Path) -> None:
    (model / "ONNX").mkdir()
    (model / "ONNX" / "model.onnx").write_text("")


def twin_folders_of_other_files(model: Path, beside: Path) -> None:
    (model / "ONNX").mkdir()
    (model / "ONNX" / "weights").write_text("")


def file_like_a_folder(model: Path, beside: Path) -> None:
    (model / "Onnx").write_text("")


def letters_that_are_two_in_lower_case(model: Path, beside: Path) -> None:
    (model / "\u01f0").write_text("")
    (model / "J\u030c").write_text("")


def control_character(model: Path, beside: Path) -> None:
    (model / "a\nb").write_text("")


def dot_at_the_end(model: Path, beside: Path) -> None:
    (model / "serving.json.").write_text("")


def folder_with_a_blank_at_the_end(model: Path, beside: Path) -> None:
    (model / "onnx ").mkdir()
    (model / "onnx " / "model.onnx").write_text("")


def second_stream(model: Path, beside: Path) -> None:
    (model / "serving.json:hidden").write_text("")


def backslash(model: Path, beside: Path) -> None:
    (model / "..\\evil.py").write_text("")


def no_text(model: Path, beside: Path) -> None:
    Path(os.fsdecode(os.fsencode(model) + b"/caf\xe9")).write_text("")


def twin_to_the_eye(model: Path, beside: Path) -> None:
    (model / "serving\u200b.json").write_text("{}")


def written_backwards(model: Path, beside: Path) -> None:
    (model / "model\u202exnno.py").write_text("")


def device_on_windows(model: Path, beside: Path) -> None:
    (model / "onnx" / "Com1 .json").write_text("")


def folder_that_is_a_device_on_windows(model: Path, beside: Path) -> None:
    (model / "NUL.d").mkdir()
    (model / "NUL.d" / "x").write_text("")


def pattern_on_windows(model: Path, beside: Path) -> None:
    (model / "model?.onnx").write_text("")


LINKS = [
    linked_folder,
    linked_file,
    link_inside,
    link_to_nothing,
    link_to_itself,
    named_pipe,
    a_socket,
    no_text,
]
ALL = [
    *LINKS, hard_link, hard_link_inside, case_twin, accent_twin, twin_folders, backslash, control_character,
    twin_folders_of_other_files, file_like_a_folder, letters_that_are_two_in_lower_case, dot_at_the_end,
    folder_with_a_blank_at_the_end, second_stream, twin_to_the_eye, written_backwards, device_on_windows,
    folder_that_is_a_device_on_windows, pattern_on_windows,
]  # fmt: skip
Break = Callable[[Path, Path], None]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    testing.write_onnx(folder)
    (tmp_path / "beside").mkdir()
    return folder


@pytest.mark.parametrize("breaks", ALL, ids=lambda f: f.__name__)
def test_no_digest_and_no_load_of_what_is_no_regular_file(model: Path, tmp_path: Path, breaks: Break) -> None:
    digest = tree_digest(model)
    breaks(model, tmp_path / "beside")
    with pytest.raises(IntegrityError, match="only regular files count"):
        tree_digest(model)
    with pytest.raises(IntegrityError):
        core.load(model, digest=digest)


@pytest.mark.parametrize("breaks", LINKS, ids=lambda f: f.__name__)
def test_data_deliveries_and_outputs_of_steps_hold_no_links_either(
    model: Path, tmp_path: Path, breaks: Break
) -> None:
    facts = {"name": "d", "version": "1", "digest": tree_digest(model)}
    (model / dataset.MANIFEST).write_text(json.dumps(facts))
    assert dataset.read_raw(model).name == "d"
    breaks(model, tmp_path / "beside")
    with pytest.raises(IntegrityError):
        dataset.read_raw(model)
    with pytest.raises(IntegrityError):
        content_digest(model)
    with pytest.raises(InvalidInput):
        source_digest(model)


def test_a_cached_output_behind_a_link_is_made_again(tmp_path: Path) -> None:
    cache = StepCache(tmp_path / "cache")
    work = cache.begin("run", "step")
    (work / "outputs" / "rows").mkdir()
    (work / "outputs" / "rows" / "a").write_text("1")
    cache.commit(work, key="k", step="step", run_id="run", names=["rows"], seconds=0.0)
    cache.release()
    shutil.move(cache.output("k", "rows") / "a", tmp_path / "a")
    (cache.output("k", "rows") / "a").symlink_to(tmp_path / "a")
    assert cache.find("k") is None


def test_order_times_modes_and_empty_folders_do_not_count(model: Path) -> None:
    before = tree_digest(model)
    (model / "empty" / "below").mkdir(parents=True)
    (model / "serving.json").chmod(0o600)
    os.utime(model / "serving.json", (1, 1))
    assert tree_digest(model) == before
    assert artifact_files(model) == plain_files(model) == sorted(p for p in model.rglob("*") if p.is_file())


def test_the_artifact_itself_may_be_reached_by_a_link(model: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(model)
    assert tree_digest(tmp_path / "latest") == tree_digest(model)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("onnx/model.onnx", True),
        ("a..b/model", True),
        ("", False),
        ("/etc/passwd", False),
        ("../model.onnx", False),
        ("onnx/../../model.onnx", False),
        ("..\\model.onnx", False),
        ("C:\\model.onnx", False),
        ("c:model.onnx", False),
        ("\\\\host\\share\\model.onnx", False),
    ],
)
def test_a_path_stays_inside_by_its_text(name: str, wanted: bool) -> None:
    assert inside(name) is wanted


@pytest.mark.parametrize("file", ["../model.onnx", "/tmp/model.onnx", "onnx/../../x.onnx"])
def test_the_graph_that_serving_json_names_lies_inside(model: Path, tmp_path: Path, file: str) -> None:
    shutil.copy(model / "onnx" / "model.onnx", tmp_path / "model.onnx")
    described = json.loads((model / "serving.json").read_text())
    described["onnx"]["file"] = file
    (model / "serving.json").write_text(json.dumps(described))
    with pytest.raises(InvalidInput) as refusal:
        core.load(model, digest=tree_digest(model))
    assert refusal.value.problems[0].field == "onnx.file"


def test_what_mlmodel_names_lies_inside(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    testing.write_pyfunc(folder)
    described = yaml.safe_load((folder / "MLmodel").read_text())
    shutil.move(folder / "code", elsewhere)
    described["flavors"]["python_function"]["code"] = str(elsewhere)
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    with pytest.raises(IntegrityError, match=r"flavors\.python_function\.code"):
        core.load(folder, digest=tree_digest(folder))


def test_where_a_file_came_from_is_no_path_that_is_read() -> None:
    artifacts = {"table": {"path": "artifacts/table.csv", "uri": "/home/ada/table.csv"}}
    flavors = {"python_function": {"artifacts": artifacts, "code": None, "env": {"conda": "conda.yaml"}}}
    assert leads_outside({"flavors": flavors}) == []
    artifacts["table"]["path"] = "../table.csv"
    assert leads_outside({"flavors": flavors}) == [
        "flavors.python_function.artifacts.table.path: ../table.csv"
    ]
