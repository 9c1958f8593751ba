"""A verb is forked from a process that another one left behind where that is as if it had been started."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.cli import _train, _warm
from mlops.cli._progress import Progress
from mlops.lifecycle.train.training import Trial
from mlops.pipeline.run import warm_start


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("train", "train"),
        ("-C other --target local train --try", "train"),
        ("--target=azure gate 7", "gate"),
        ("train --here", None),
        ("train --only train --here --pdb", None),
        ("train --detach", None),
        ("train --help", None),
        ("", None),
    ],
)
def test_which_verb_may_be_forked(line: str, expected: str | None) -> None:
    assert _warm.verb(line.split()) == expected


@pytest.mark.parametrize("name", ["CI", "TF_BUILD", "GITHUB_ACTIONS", "MLOPS_WARM"])
def test_ci_and_whoever_says_so_go_without(name: str) -> None:
    assert _warm.address({name: "true"}) is None


def test_a_folder_that_others_may_write_is_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    place = _warm.address({})
    assert place is not None
    place.parent.chmod(0o777)
    assert _warm.address({}) is None


def test_another_package_is_another_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "site-packages"
    (packages / "one-1.dist-info").mkdir(parents=True)
    monkeypatch.setattr(_warm.sys, "path", [str(packages)])
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    before = _warm.address({})
    assert before == _warm.address({})
    (packages / "two-1.dist-info").mkdir()
    assert _warm.address({}) != before


@pytest.mark.parametrize("bound", ["umask", "nice", "limit", "mounts", "memory"])
def test_who_may_use_less_of_the_machine_has_another_server(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training on a small disk, niced or with a limit must not be forked where there is none."""
    before = _warm.address({})
    assert before == _warm.address({})
    if bound == "umask":
        monkeypatch.setattr(_warm.os, "umask", lambda _: 0o52)
    elif bound == "nice":
        monkeypatch.setattr(_warm.os, "nice", lambda _: 17)
    elif bound == "limit":
        monkeypatch.setattr(_warm.resource, "getrlimit", lambda _: (1, 1))
    elif not Path("/proc/self/ns").is_dir():
        pytest.skip("only Linux has name spaces and control groups")
    elif bound == "mounts":
        monkeypatch.setattr(_warm.os, "readlink", lambda path: f"{path.name}:[1]")
    else:
        monkeypatch.setattr(_warm.Path, "read_text", lambda *_, **__: "0::/small.scope\n")
    assert _warm.address({}) != before


def test_a_training_goes_on_elsewhere_before_it_has_said_or_begun_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warm_start, "may_start", lambda: True)
    said: list[str] = []
    progress = Progress(quiet=False, spinner=None)
    monkeypatch.setattr(progress, "line", said.append)
    shows = _train._Shows("flights", Trial(), progress, quiet=False)
    with pytest.raises(_warm.Elsewhere):
        shows.begun({})
    assert len(said) == 1, "why it takes a moment"
    assert not shows._said, "the fork says what is trained"


@pytest.mark.parametrize("code", [0, 3])
def test_the_answer_of_the_fork_is_the_answer(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(warm_start, "run_there", lambda program: code)
    with pytest.raises(SystemExit) as end:
        _warm.go_on()
    assert end.value.code == code


def test_where_no_server_can_be_had_it_goes_on_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_start, "run_there", lambda program: None)
    _warm.go_on()
