"""A part of a pipeline, a step in this process, and messages that name the files somebody can edit."""

from __future__ import annotations

import sys

import pytest

from mlops.errors import InvalidInput, StepFailed
from mlops.pipeline import Selection


def test_only_runs_the_step_anew_with_what_it_needs(project):
    result = project.run(selection=Selection(only=("left",)))
    assert sorted(project.ran()) == ["left", "prep"] and "left.out" in result.outputs
    assert "join.file" not in result.outputs and "result" not in result.outputs
    again = project.run(selection=Selection(only=("left",)))
    assert [(e.step, e.state) for e in again.steps] == [("prep", "reused"), ("left", "finished")]


def test_only_never_works_on_yesterdays_data(project):
    project.run()
    project.ran()
    project.run(selection=Selection(only=("left",)), factor="3")
    assert project.ran() == ["prep", "left"], "what stands before is run when it has changed"


def test_from_runs_what_comes_after_anew(project):
    project.run()
    project.ran()
    project.run(selection=Selection(start=("right",)))
    assert project.ran() == ["right", "join"]


def test_what_somebody_waits_for_runs_before_what_comes_after(project):
    project.run(selection=Selection(first=("right",)))
    ran = project.ran()
    assert ran[:2] == ["prep", "right"]
    assert sorted(ran[2:]) == ["join", "left"]


@pytest.fixture
def quiet_process(monkeypatch, project):
    """This process with a step's counter, and its arguments and path to be found again."""
    monkeypatch.setenv("COUNTER", str(project.counter))
    return sys.argv, list(sys.path)


def test_here_is_this_process_on_the_files_of_the_checkout(project, quiet_process, capfd):
    source = project.root / "src" / "steps.py"
    source.write_text(source.read_text() + "\nprint('file', __file__, 'process', os.getpid())\n")
    import os

    before = dict(os.environ)
    project.run(selection=Selection(only=("left",), here=True))
    assert f"file {source} process {os.getpid()}" in capfd.readouterr().out
    assert (sys.argv, sys.path) == quiet_process and dict(os.environ) == before
    project.ran()
    project.run()
    assert "left" in project.ran(), "what a debugger may have touched is reused by nobody"


def test_pdb_opens_where_a_step_that_runs_here_fails(project, quiet_process, monkeypatch, capfd):
    source = project.root / "src" / "steps.py"
    source.write_text(source.read_text() + "\nif a.name == 'left':\n    {}['no such key']\n")
    line = source.read_text().splitlines().index("    {}['no such key']") + 1
    seen = []
    monkeypatch.setattr("pdb.post_mortem", seen.append)
    with pytest.raises(StepFailed, match="'left' failed in this process"):
        project.run(selection=Selection(only=("left",), here=True, debug=True))
    last = seen[0]
    while last.tb_next:
        last = last.tb_next
    assert (last.tb_frame.f_code.co_filename, last.tb_lineno) == (str(source), line)
    assert f'File "{source}", line {line}' in capfd.readouterr().err


def test_a_step_of_a_shell_cannot_run_here(project):
    project.edit("components/left.yml", "command: python", "command: echo hi && python")
    with pytest.raises(InvalidInput, match=r"step 'left' runs a shell.*leave out --here"):
        project.run(selection=Selection(only=("left",), here=True))


def test_a_traceback_names_the_file_that_somebody_can_edit(project, monkeypatch):
    source = project.root / "src" / "steps.py"
    source.write_text(source.read_text() + "\n{}['no such key']\n")
    monkeypatch.chdir(project.root)
    with pytest.raises(StepFailed) as failure:
        project.run()
    log = str(failure.value).rsplit("log: ", 1)[1]
    for text in (str(failure.value), open(log).read()):  # noqa: PTH123, SIM115
        assert 'File "src/steps.py", line' in text and "/code/" not in text, text
