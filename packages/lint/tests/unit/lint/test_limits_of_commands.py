"""Which script a command needs, and what may bring it."""

from __future__ import annotations

import pytest

from mlops.lint.command import check_scripts, check_work
from mlops.lint.files import Files
from tests.unit.lint.one_edit import at


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("python a.py", []),
        ("python b.py", ["b.py"]),
        ("python3.11 -u b.py", ["b.py"]),
        ("A=1 B=2 python b.py", ["b.py"]),
        ("ls; python b.py", ["b.py"]),
        ("python a.py || python b.py", ["b.py"]),
        ("cd sub && python c.py", []),
        ("cd sub && python a.py", ["a.py"]),
        ("cd ${{inputs.x}} && python b.py", []),
        ("cd /tmp/x y && python b.py", []),
        ("git clone x && python b.py", []),
        ("python b.py && git clone x", ["b.py"]),
        ("python /opt/b.py", []),
        ("python ${{inputs.x}}/b.py", []),
        ("python b.py.txt", []),
        ("echo python b.py", []),
        ("sh a.sh", ["a.sh"]),
        ("Rscript a.R", ["a.R"]),
        ("python -m pkg.mod", []),
        ("python -m pkg", []),
        ("python -m pkg.other", ["pkg.other"]),
        ("python -m a.b", ["a.b"]),
        ("python -m torch.distributed.launch", []),
        ("python more/x.py", []),
        ("python more/y.py", ["more/y.py"]),
        ("python ./alone.py", []),
    ],
)
def test_scripts_of_a_command(command, missing, tmp_path):
    for name in ("a.py", "sub/c.py", "pkg/__main__.py", "pkg/mod.py", "other/more/x.py", "other/alone.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    place = at("command: x", tmp_path)["command"]
    more = {"more": tmp_path / "other" / "more", "alone.py": tmp_path / "other" / "alone.py"}
    found = list(check_scripts(place, command, tmp_path, more))
    assert all(f.id == "missing-script" for f in found)
    assert [f.message.split("'")[1] for f in found] == missing


@pytest.mark.parametrize(
    ("beside", "command", "missing"),
    [
        ("", "python b.py", True),
        ("", "python a.py", False),
        ("code.additional_includes", "python b.py", False),
        ("x.additional_includes", "python b.py", False),
        ("other.additional_includes", "python b.py", True),
    ],
)
def test_a_list_of_more_code_beside_it_may_bring_the_script(*, beside, command, missing, tmp_path):
    """Beside the folder of code or the file itself, as older pipelines have it."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("")
    if beside:
        (tmp_path / beside).write_text("../more\n")
    work = at(f"code: ./code/\nenvironment: azureml:e:1\ncommand: {command}", tmp_path)
    assert [f.id for f in check_work(work, Files())] == (["missing-script"] if missing else [])


@pytest.mark.parametrize(
    "program",
    [
        "git",
        "wget",
        "curl",
        "unzip",
        "tar",
        "cp",
        "mv",
        "ln",
        "azcopy",
        "gsutil",
        "aws",
        "touch",
        "tee",
        "mkdir",
        "cat",
        "echo",
        "jupyter",
    ],
)
def test_a_program_may_bring_the_script_along(program, tmp_path):
    place = at("command: x", tmp_path)["command"]
    assert list(check_scripts(place, f"{program} x && python b.py", tmp_path, {})) == []
    assert len(list(check_scripts(place, f"my{program} x && python b.py", tmp_path, {}))) == 1


@pytest.mark.parametrize("switch", ["-u", "-B", "-E", "-I", "-s", "-O", "-uB", "-u -O"])
def test_switches_of_python_stand_before_the_script(switch, tmp_path):
    place = at("command: x", tmp_path)["command"]
    assert len(list(check_scripts(place, f"python {switch} b.py", tmp_path, {}))) == 1
    (tmp_path / "pkg").mkdir()
    assert len(list(check_scripts(place, f"python {switch} -m pkg.b", tmp_path, {}))) == 1
