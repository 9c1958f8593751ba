"""Entry scripts: every way to bind a function counts, and what is no Python is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.lint.parallel import check_entry
from tests.unit.lint.one_edit import at

BOTH = "def init(): pass\ndef run(b): pass\n"


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        (BOTH, ""),
        ("def init(): pass\n", "no function run"),
        ("def run(b): pass\n", "no function init"),
        ("", "no function init and no run"),
        ("async def init(): pass\nclass run: pass\n", ""),
        ("import init\nfrom a import run\n", ""),
        ("import init.run\n", "no function run"),
        ("import a as init\nfrom a import b as run\n", ""),
        ("import init as a\nfrom b import run as c\n", "no function init and no run"),
        ("from a import *\n", ""),
        ("import os\nfrom a import *\n", ""),
        ("from a import b\n", "no function init and no run"),
        ("from a import b, init\ndef run(): pass\n", ""),
        ("init = run = print\n", ""),
        ("init, run = a, b\n", ""),
        ("(init, [run]) = a\n", ""),
        ("init: object = a\nrun: object = b\n", ""),
        ("init: object\nrun: object\n", "no function init and no run"),
        ("a.init = b\nrun = c\n", "no function init"),
        ("init.a = b\nrun = c\n", "no function init"),
        ("x = 1\nif x:\n    def init(): pass\nelse:\n    run = x\n", ""),
        ("run = 1\nif 1:\n    def init(): pass\n", ""),
        ("try:\n    from a import init\nexcept ImportError:\n    run = 1\n", ""),
        ("try:\n    pass\nexcept ImportError:\n    pass\nelse:\n    init = 1\nfinally:\n    run = 1\n", ""),
        ("with a:\n    init = 1\nfor _ in a:\n    run = 1\n", ""),
        ("while a:\n    init = 1\nelse:\n    run = 1\n", ""),
        ("def a():\n    init = 1\n    run = 1\n", "no function init and no run"),
        ("class A:\n    def init(self): pass\n    def run(self): pass\n", "no function init and no run"),
        ("def init(: pass\n", "is not Python"),
        ("a = '\0'\n", "is not Python"),
    ],
)
def test_what_an_entry_script_binds(tmp_path: Path, text: str, lacks: str) -> None:
    path = tmp_path / "score.py"
    path.write_text(text, encoding="utf-8")
    found = list(check_entry(at("script: score.py", tmp_path)["script"], path))
    assert [f.id for f in found] == (["entry-function"] if lacks else [])
    assert lacks in "".join(f.message for f in found)


def test_a_script_may_hold_any_letter(tmp_path: Path) -> None:
    path = tmp_path / "score.py"
    path.write_bytes(("# größer\n" + BOTH).encode())
    assert list(check_entry(at("script: score.py", tmp_path)["script"], path)) == []
    path.write_bytes(b"# gr\xf6\xdfer\n" + BOTH.encode())
    (found,) = check_entry(at("script: score.py", tmp_path)["script"], path)
    assert found.id == "entry-function"


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    (found,) = check_entry(at("script: score.py", tmp_path)["script"], tmp_path / "score.py")
    assert found.id == "missing-script"


def test_the_functions_that_are_needed_are_those_that_are_named(tmp_path: Path) -> None:
    path = tmp_path / "score.py"
    path.write_text("def run(b): pass\n")
    assert list(check_entry(at("script: score.py", tmp_path)["script"], path, needs=("run",))) == []
