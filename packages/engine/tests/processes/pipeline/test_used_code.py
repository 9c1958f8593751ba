"""A step runs again when code that it uses changes, and only then.

Reusing what changed code would have made registers a model that the code in git did not make; running again
what did not change costs a person minutes, and a version that nobody needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.pipeline.run.used import UsedFiles, digest, meaning, recorded
from mlops.spec import engine

MAIN = """
import json, os, pathlib, sys
name, out = sys.argv[1:]
from pack import shared
if name == "left":
    from pack import only_left
    text = only_left.TEXT
else:
    text = (pathlib.Path(__file__).parent / "words.txt").read_text()
with open(os.environ["COUNTER"], "a") as stream:
    stream.write(f"{name} 0\\n")
pathlib.Path(out, "d.json").write_text(json.dumps(shared.TEXT + text))
"""
NODE = """
  {name}:
    command: python main.py {name} ${{{{outputs.out}}}}
    code: ./src
    environment: azureml:tools:3
    outputs: {{out: {{type: uri_folder}}}}
"""
PIPELINE = (
    "type: pipeline\nsettings: {default_compute: azureml:cpu}\njobs:"
    + NODE.format(name="left")
    + NODE.format(name="right")
)


@pytest.fixture
def code(project):
    """The project with a pipeline of two steps that share one module and have one of their own."""
    files = {
        "main.py": MAIN,
        "words.txt": "words",
        "pack/__init__.py": "",
        "pack/shared.py": "TEXT = 'shared'\n",
        "pack/only_left.py": "TEXT = 'left'\n",
        "pack/nobody.py": "TEXT = 'nobody'\n",
        "other/__init__.py": "",
    }
    for name, text in files.items():
        path = project.root / "src" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    project.pipeline.write_text(PIPELINE)
    project.run()
    assert sorted(project.ran()) == ["left", "right"]
    return project


@pytest.mark.parametrize(
    ("file", "text", "again"),
    [
        ("pack/shared.py", "TEXT = 'new'\n", {"left", "right"}),
        ("pack/shared.py", "# a comment\n\nTEXT = 'shared'  # another\n", set()),
        ("pack/only_left.py", "TEXT = 'new'\n", {"left"}),
        ("pack/nobody.py", "TEXT = 'new'\n", set()),
        ("pack/nobody.py", "not Python at all", set()),
        ("pack/json.py", "", {"left", "right"}),
        ("json.py", "", {"left", "right"}),
        ("other/new.py", "", set()),
        ("words.txt", "others", {"left", "right"}),
        ("main.py", MAIN.replace("name ==", "'left' == name and name =="), {"left", "right"}),
        ("main.py", MAIN.replace("import json", "# why\nimport json"), set()),
    ],
)
def test_what_a_change_of_code_runs_again(code, file, text, again):
    path = code.root / "src" / file
    path.write_text(text)
    code.run()
    assert set(code.ran()) == again


def test_a_change_that_is_taken_back_runs_nothing(code):
    path = code.root / "src" / "pack" / "only_left.py"
    path.write_text("TEXT = 'new'\n")
    code.run()
    path.write_text("TEXT = 'left'\n")
    code.ran()
    result = code.run()
    assert code.ran() == []
    assert (result.outputs["left.out"] / "d.json").read_text() == '"sharedleft"'


@pytest.mark.parametrize(
    "start",
    [
        "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)",
        "import os; os.system('true')",
        "import os; os.fork() or os._exit(0)",
        "import multiprocessing as m; p = m.get_context('spawn').Process(target=print); p.start(); p.join()",
    ],
)
def test_all_code_counts_where_a_step_starts_processes_that_may_read_more(code, start):
    shared = code.root / "src" / "pack" / "shared.py"
    shared.write_text(f"if __name__ != '__mp_main__':\n    {start}\nTEXT = 'shared'\n")
    code.run()
    code.ran()
    (code.root / "src" / "pack" / "nobody.py").write_text("TEXT = 'new'\n")
    code.run()
    assert set(code.ran()) == {"left", "right"}


def test_all_code_counts_for_a_shell(code):
    code.pipeline.write_text(
        PIPELINE.replace("command: python main.py right", "command: true && python main.py right")
    )
    code.run()
    code.ran()
    (code.root / "src" / "pack" / "nobody.py").write_text("TEXT = 'new'\n")
    code.run()
    assert set(code.ran()) == {"right"}


def test_what_is_remembered_may_be_deleted_or_broken(code):
    used = code.state / "cache" / "used"
    for path in used.iterdir():
        path.write_text("{")
    (code.root / "src" / "pack" / "nobody.py").write_text("TEXT = 'new'\n")
    code.run()
    assert set(code.ran()) == {"left", "right"}, "what is not known counts"


def test_the_newest_sets_are_remembered_first_and_once(tmp_path: Path) -> None:
    used = UsedFiles(tmp_path)
    for number in range(10):
        used.remember("step", (f"{number}.py",))
    used.remember("step", ("5.py",))
    assert [row[0] for row in used.known("step")] == [f"{n}.py" for n in (5, 9, 8, 7, 6, 4, 3, 2)]
    assert used.known("another") == []


def test_a_module_that_is_gone_matches_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")
    assert digest(tmp_path, ("a.py",)) is not None
    assert digest(tmp_path, ("a.py", "b.py")) is None


def test_only_what_runs_is_the_meaning_of_a_module(tmp_path: Path) -> None:
    texts = {"a": "x = 1\n", "b": "# c\n\nx  =  1\n", "c": "x = 2\n", "d": "'doc'\nx = 1\n", "e": "x = (\n"}
    told = {}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        told[name] = meaning(tmp_path / name)
    assert told["a"] == told["b"]
    assert len(set(told.values())) == 4


@pytest.mark.parametrize("text", ["", "[1]", '{"files": [], "started": true}'])
def test_a_record_that_does_not_tell_all_is_none(tmp_path: Path, text: str) -> None:
    record = tmp_path / "record"
    if text:
        record.write_text(text)
    assert recorded(record, tmp_path) is None


@pytest.fixture
def _digest_of_this_test() -> Iterator[None]:
    """What is read once a process must not outlive the roots that a test puts in their place."""
    yield
    engine.digest.cache_clear()


@pytest.mark.usefixtures("_digest_of_this_test")
def test_a_module_of_the_engine_counts_as_code(code, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """An edit of what a step imports from the engine runs the step again."""
    part = tmp_path / "engine" / "mlops"
    part.mkdir(parents=True)
    module = part / "words_of_this_test.py"
    module.write_text("TEXT = 'one'\n")
    monkeypatch.setenv("PYTHONPATH", str(part.parent))
    monkeypatch.setattr(engine, "roots", lambda: [part])
    (code.root / "src/pack/only_left.py").write_text("from mlops.words_of_this_test import TEXT\n")
    ran = []
    for text in ("TEXT = 'one'\n", "TEXT = 'one'  # a comment\n", "TEXT = 'two'\n"):
        module.write_text(text)
        engine.digest.cache_clear()
        code.run()
        ran.append(set(code.ran()))
    assert ran == [{"left"}, set(), {"left"}]
