"""A path that is not there: the sentence says where it does exist, within the repository and no further."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.lint.references import check_path, lacks
from tests.unit.lint.one_edit import at


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """A folder two levels below the top of a repository, which lies in a folder that has a `data` too."""
    folder = tmp_path / "home" / "repo" / "pipelines" / "jobs"
    folder.mkdir(parents=True)
    (tmp_path / "home/repo/.git").mkdir()
    for name in ("home/data", "home/repo/src", "home/repo/pipelines/near", "home/repo/pipelines/jobs/here"):
        (tmp_path / name).mkdir()
    return folder


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("./src", "repo"),
        ("src", "repo"),
        ("file:./src", "repo"),
        ("./near", "pipelines"),
        ("./data", ""),
        ("../src", ""),
        ("/src", ""),
        ("./none", ""),
    ],
)
def test_a_path_from_another_folder(jobs: Path, path: str, said: str) -> None:
    (found,) = check_path(at(f"a: {path}", jobs)["a"])
    assert found.id == "missing-file" and path in found.message
    _, there, where = found.message.partition("although it does in ")
    assert bool(there) is bool(said)
    assert Path(where.partition(";")[0]).name == said


def test_a_path_that_is_there(jobs: Path) -> None:
    assert list(check_path(at("a: ./here", jobs)["a"])) == []


def test_outside_of_a_repository_nothing_else_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "data").mkdir()
    (found,) = check_path(at("a: ./data", tmp_path / "jobs")["a"])
    assert "although" not in found.message


def test_what_a_script_gives_is_given_to_the_whole_file_only(tmp_path: Path) -> None:
    (tmp_path / "go.sh").write_text("az ml model create -f x.yml --set path=./a\n")
    top = at("a: {b: 1}", tmp_path)
    assert [f.id for f in lacks(top, "path", "missing-field", "needs `path`")] == ["given-later"]
    assert [f.id for f in lacks(top["a"], "path", "missing-field", "needs `path`")] == ["missing-field"]
    assert [f.id for f in lacks(top, "type", "missing-field", "needs `type`")] == ["missing-field"]
