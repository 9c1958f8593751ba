"""Raw data are those that the code of today makes: a fork's first edit must not train on the example's data.

What does not make them may change freely, because loading may take an hour.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.errors import TargetError
from mlops.targets.local.data import LocalData
from mlops.targets.local.maker import FILES, changes, maker

PACKAGE = {
    "__init__.py": '''
"""A use case."""
from toyfresh.names import TARGET

class UseCase:
    """One."""
    name, task, target, time, slices = "toy", "binary", TARGET, "t", ()
    size = 2

    def load(self, folder):
        """Write rows."""
        from toyfresh import data
        data.write(folder, self.size)

    def features(self, raw, window):
        from toyfresh import data
        return data.features(raw)

    def contract(self): ...
    def build(self, params):
        from toyfresh import model
        return model.build(params)
    def evaluate(self, truth, prediction): ...

usecase = UseCase()
''',
    "data.py": '''
"""Raw data."""
from toyfresh.names import FILE as WHERE
from toyfresh import helper

SEED = 2024
UNUSED = 1

def write(folder, size):
    """Write them."""
    rows = helper.rows(SEED, size)  # a comment
    (folder / WHERE).write_text(rows)

def features(raw):
    return UNUSED
''',
    "names.py": 'FILE = "rows.csv"\nTARGET = "y"\n',
    "helper.py": '''
import pandas

def rows(seed, size):
    return _one(seed) * size if pandas else ""


def _one(seed):
    return f'{seed}\\n'


def other():
    return 1
''',
    "model.py": "def build(params):\n    return 1\n",
    "ingest.py": "def ingest():\n    return 1\n",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "src" / "toyfresh"
    folder.mkdir(parents=True)
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)
    (tmp_path / "pipelines" / "toy").mkdir(parents=True)
    (tmp_path / "pipelines" / "toy" / "data.yml").write_text('name: toydata\nversion: "1"\n')
    monkeypatch.setattr(sys, "path", [str(tmp_path / "src"), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "toyfresh"]:
        del sys.modules[name]


def resolved(root: Path) -> str:
    """What the raw data say, as a new process would find them."""
    _forget()
    folder = LocalData(root, root / "state", {"toy": "toyfresh"}).resolve("toydata", "1")
    return (Path(folder) / "rows.csv").read_text()


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = root / "src" / "toyfresh" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def loads(root: Path) -> int:
    """A mark in the folder is gone once the data were replaced; in the count of notes nothing changes."""
    return int((root / "state" / "data" / "toydata" / "1" / "rows.csv").stat().st_ino)


NEW: list[tuple[str, str, str, str]] = [
    ("data.py", "SEED = 2024", "SEED = 1", "1\n1\n"),
    ("data.py", "rows = helper.rows(SEED, size)", "rows = helper.rows(SEED, 1)", "2024\n"),
    ("helper.py", "f'{seed}\\n'", "f'{seed}!\\n'", "2024!\n2024!\n"),
    ("__init__.py", "size = 2", "size = 3", "2024\n2024\n2024\n"),
    ("__init__.py", "data.write(folder, self.size)", "data.write(folder, 1)", "2024\n"),
]


@pytest.mark.parametrize(("name", "old", "new", "expected"), NEW)
def test_a_change_of_what_makes_the_data_makes_them_anew(  # noqa: PLR0917 - pytest passes them by name
    root: Path, caplog: pytest.LogCaptureFixture, name: str, old: str, new: str, expected: str
) -> None:
    assert resolved(root) == "2024\n2024\n"
    edit(root, name, old, new)
    assert resolved(root) == expected
    assert "loaded anew" in caplog.text and "other data than before" in caplog.text
    caplog.clear()
    assert resolved(root) == expected
    assert not caplog.text, "once is enough"
    manifest = json.loads((root / "state/data/toydata/1/manifest.json").read_text())
    assert (manifest["name"], manifest["version"]) == ("toydata", "1")
    assert sorted(p.name for p in (root / "state/data/toydata").iterdir()) == [
        "1", "1.maker.json", "1.stamp.json",
    ]  # fmt: skip


KEPT: list[tuple[str, str, str]] = [
    ("data.py", "# a comment", "# another"),
    ("data.py", '"""Write them."""', '"""Write them all."""'),
    ("data.py", "UNUSED = 1", "UNUSED = 2"),
    ("data.py", "    return UNUSED", "    return UNUSED + 1"),
    ("helper.py", "return 1", "return 2"),
    ("model.py", "return 1", "return 2"),
    ("ingest.py", "return 1", "return 2"),
    ("names.py", 'TARGET = "y"', 'TARGET = "z"'),
    ("__init__.py", "def contract(self): ...", "def contract(self): return 1"),
]


@pytest.mark.parametrize(("name", "old", "new"), KEPT)
def test_a_change_of_anything_else_does_not(
    root: Path, caplog: pytest.LogCaptureFixture, name: str, old: str, new: str
) -> None:
    resolved(root)
    before = loads(root)
    edit(root, name, old, new)
    resolved(root)
    assert loads(root) == before
    assert not caplog.text


def test_other_code_that_makes_the_same_data_keeps_the_folder(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    resolved(root)
    before = loads(root)
    edit(root, "helper.py", "_one(seed) * size", "size * _one(seed)")
    resolved(root)
    assert loads(root) == before
    assert "they are the same" in caplog.text and "toyfresh.helper.rows" in caplog.text


def test_a_folder_that_was_deleted_is_made_again(root: Path) -> None:
    resolved(root)
    shutil.rmtree(root / "state" / "data" / "toydata" / "1")
    edit(root, "data.py", "SEED = 2024", "SEED = 7")
    assert resolved(root) == "7\n7\n"


def test_a_folder_of_which_nobody_knows_the_maker_is_taken_as_it_is(root: Path) -> None:
    resolved(root)
    (root / "state/data/toydata/1.maker.json").unlink()
    before = loads(root)
    assert resolved(root) == "2024\n2024\n"
    assert loads(root) == before
    edit(root, "data.py", "SEED = 2024", "SEED = 7")
    assert resolved(root) == "7\n7\n"


def test_data_that_cannot_be_made_anew_stop_the_run_and_the_old_ones_stay(root: Path) -> None:
    resolved(root)
    edit(root, "helper.py", "return _one(seed) * size", "raise OSError(101, 'Network is unreachable') #")
    for _ in range(2):
        with pytest.raises(TargetError, match="Network is unreachable"):
            resolved(root)
    assert (root / "state/data/toydata/1/rows.csv").read_text() == "2024\n2024\n"


def test_another_version_of_a_package_that_the_code_names_is_a_change(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    resolved(root)
    true = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda n: "99" if n == "pandas" else true(n))
    resolved(root)
    assert "package pandas" in caplog.text


# --- how far names are followed ----------------------------------------------------------------------------


def made(tmp_path: Path, **modules: str) -> dict[str, str]:
    folder = tmp_path / "src" / "pkg"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    return maker(tmp_path / "src", "pkg")


START = "class U:\n    def load(self, folder):\n        from pkg import data\n        data.write(folder)\n"
GO = ("def go(): return 1\n", "def go(): return 2\n")
TABLE = "from pkg.other import T\ndef write(f): T\n"
FOLLOWED: list[tuple[str, str, str]] = [
    ("import pkg.other\ndef write(f): pkg.other.go()\n", *GO),
    ("import pkg.other as o\ndef write(f): o.go()\n", *GO),
    ("from pkg.other import go\ndef write(f): go()\n", *GO),
    ("from .other import go\ndef write(f): go()\n", *GO),
    ("from . import other\ndef write(f): other.go()\n", *GO),
    ("from pkg.other import *\ndef write(f): go()\n", *GO),
    ("from pkg import other\ndef write(f): use(other)\n", *GO),
    ("from pkg import other\ndef write(f): getattr(other, 'go')()\n", *GO),
    ("def write(f):\n  from pkg.other import go\n  go()\n", *GO),
    ("from pkg.other import A\ndef write(f): A().go()\n", *(f"class A:\n  {go}" for go in GO)),
    (TABLE, "T = {}\nT['a'] = 1\n", "T = {}\nT['a'] = 2\n"),
    (TABLE, "T = []\nT.append(1)\n", "T = []\nT.append(2)\n"),
    (TABLE, "if 1:\n  T = 1\n", "if 1:\n  T = 2\n"),
]


@pytest.mark.parametrize(("data", "before", "after"), FOLLOWED)
def test_names_are_followed_through_every_kind_of_import(
    tmp_path: Path, data: str, before: str, after: str
) -> None:
    one = made(tmp_path, __init__=START, data=data, other=before)
    assert made(tmp_path, other=before) == one
    assert changes(one, made(tmp_path, other=after))


def test_code_that_looks_names_up_counts_as_a_whole(tmp_path: Path) -> None:
    data = "def write(f): globals()['hidden']()\ndef hidden(): return {}\n"
    one = made(tmp_path, __init__=START, data=data.format(1))
    assert changes(one, made(tmp_path, data=data.format(2)))


def test_a_load_that_is_not_in_the_package_makes_all_of_it_count(tmp_path: Path) -> None:
    one = made(tmp_path, __init__="from pkg.case import U\nusecase = U()\n", case=START, model="a = 1\n")
    assert changes(one, made(tmp_path, model="a = 2\n"))


def test_files_beside_the_code_count_when_it_looks_at_its_own_place(tmp_path: Path) -> None:
    (tmp_path / "src" / "pkg").mkdir(parents=True)
    table = tmp_path / "src" / "pkg" / "rows.csv"
    table.write_text("1")
    blind = made(tmp_path, __init__=START, data="def write(f): pass\n")
    seeing = made(tmp_path, data="from pathlib import Path\ndef write(f): Path(__file__)\n")
    assert FILES not in blind and FILES in seeing
    table.write_text("2")
    assert changes(seeing, made(tmp_path)) == [FILES]


def test_packages_are_known_by_import_and_by_text(tmp_path: Path) -> None:
    data = "LIBRARIES = ('sklearn', 'numpy')\ndef write(f):\n  import pandas\n  return LIBRARIES\n"
    found = made(tmp_path, __init__=START, data=data)
    assert {name for name in found if name.startswith("package ")} == {
        "package sklearn", "package numpy", "package pandas",
    }  # fmt: skip


def test_a_file_that_is_no_python_is_left_to_whoever_imports_it(tmp_path: Path) -> None:
    one = made(tmp_path, __init__=START, data="def write(:\n")
    assert made(tmp_path, data="def write(:\n") == one


def test_a_package_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    assert maker(tmp_path, "absent") == {}
