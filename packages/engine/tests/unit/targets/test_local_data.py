"""Raw data are made once, whole, and are what their manifest says; else every digest below them is a lie."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from mlops.errors import IntegrityError, InvalidInput, NotFound, TargetError
from mlops.targets.local import data
from mlops.targets.local.data import LocalData

USECASE = """
from pathlib import Path

class _UseCase:
    name, task, target, time, slices = "toy", "binary", "y", "t", ()
    calls = 0
    def load(self, folder):
        _UseCase.calls += 1
        (folder / "rows.csv").write_text("a,b\\n1,2\\n")
        if (Path(__file__).parent / "full").exists():
            raise OSError(28, "No space left on device")
    def features(self, raw, window): ...
    def contract(self): ...
    def build(self, params): ...
    def evaluate(self, truth, prediction): ...

usecase = _UseCase()
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "src" / "toycase"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(USECASE)
    (tmp_path / "pipelines" / "toy").mkdir(parents=True)
    (tmp_path / "pipelines" / "toy" / "data.yml").write_text('name: toydata\nversion: "1"\n')
    monkeypatch.setattr(sys, "path", [str(tmp_path / "src"), *sys.path])
    monkeypatch.delitem(sys.modules, "toycase", raising=False)
    yield tmp_path
    sys.modules.pop("toycase", None)


@pytest.fixture
def assets(root: Path) -> LocalData:
    return LocalData(root, root / "state", {"toy": "toycase"})


def calls() -> int:
    return sys.modules["toycase"]._UseCase.calls


def test_data_are_loaded_once_with_a_manifest(assets, root):
    folder = Path(assets.resolve("toydata", "1"))
    assert folder == root / "state" / "data" / "toydata" / "1"
    assert assets.resolve("toydata", "1") == str(folder)
    assert calls() == 1
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["name"], manifest["version"]) == ("toydata", "1")
    assert manifest["digest"].startswith("sha256:")


def test_nothing_is_read_while_nothing_has_changed(assets, monkeypatch):
    assets.resolve("toydata", "1")
    monkeypatch.setattr(data, "tree_digest", lambda *_: pytest.fail("all bytes were read again"))
    assets.resolve("toydata", "1")


def test_changed_data_are_refused(assets):
    folder = Path(assets.resolve("toydata", "1"))
    (folder / "rows.csv").write_text("a,b\n9,9\n")
    with pytest.raises(IntegrityError, match="delete the folder"):
        assets.resolve("toydata", "1")
    with pytest.raises(IntegrityError):
        assets.resolve("toydata", "1")


def test_touched_but_equal_data_are_fine(assets):
    folder = Path(assets.resolve("toydata", "1"))
    os.utime(folder / "rows.csv", (1, 1))
    assert assets.resolve("toydata", "1") == str(folder)


def test_a_load_that_fails_leaves_nothing_and_can_be_repeated(assets, root):
    (root / "src" / "toycase" / "full").touch()
    with pytest.raises(TargetError, match="No space left"):
        assets.resolve("toydata", "1")
    assert list((root / "state" / "data" / "toydata").iterdir()) == []
    (root / "src" / "toycase" / "full").unlink()
    assert Path(assets.resolve("toydata", "1")).is_dir()


def test_an_asset_that_nobody_declares_is_named_with_those_that_are(assets):
    with pytest.raises(NotFound, match=r"toydata:2; declared: toydata:1"):
        assets.resolve("toydata", "2")


def test_a_version_without_quotes_is_refused_with_its_line(assets, root):
    (root / "pipelines" / "toy" / "data.yml").write_text("name: toydata\nversion: 1\n")
    with pytest.raises(InvalidInput, match=r"data\.yml:2: version: required, as text"):
        assets.resolve("toydata", "1")
