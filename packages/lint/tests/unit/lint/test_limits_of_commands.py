"""Which script a command needs, and what may bring it."""

from __future__ import annotations

import pytest

from mlops.lint.command import check_includes, check_placeholders, check_scripts, check_work
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


INCLUDES = """
additional_includes: [./here.py, 'azureml://x/y', ./packed.zip, ./made.zip, ./gone.py, ./later.py, 3]
"""


def test_every_include_is_looked_at(tmp_path):
    """One that is there, elsewhere, or not there yet hides none that comes after it."""
    (tmp_path / "here.py").write_text("")
    (tmp_path / "packed").mkdir()
    (tmp_path / "made").write_text("no folder")
    (tmp_path / ".gitignore").write_text("later.py\n")
    found = [f"{f.id} {f.field}" for f in check_includes(at(INCLUDES, tmp_path))]
    assert found == [
        "missing-file additional_includes.3",
        "missing-file additional_includes.4",
        "given-later additional_includes.5",
    ]


def test_a_script_that_git_ignores_comes_later(tmp_path):
    (tmp_path / ".gitignore").write_text("made.py\n")
    place = at("command: x", tmp_path)["command"]
    found = check_scripts(place, "python made.py && python gone.py", tmp_path, {})
    assert [f"{f.id} {f.message.split(chr(39))[1]}" for f in found] == [
        "given-later made.py",
        "missing-script gone.py",
    ]


@pytest.mark.parametrize("folder", ["code", "codeX", "X"])
def test_a_list_of_more_code_has_the_name_of_its_folder(folder, tmp_path):
    (tmp_path / folder).mkdir()
    work = at(f"code: ./{folder}/\nenvironment: azureml:e:1\ncommand: python b.py", tmp_path)
    assert [f.id for f in check_work(work, Files())] == ["missing-script"]
    (tmp_path / f"{folder}.additional_includes").write_text("../more\n")
    assert [f.id for f in check_work(work, Files())] == []


@pytest.mark.parametrize(
    ("command", "declared", "said"),
    [
        ("$[[--a ${{inputs.must}}]]", True, ["optional-input"]),
        ("$[[--a ${{inputs.must}}]]", False, []),
        ("${{inputs.may}}", True, ["optional-input"]),
        ("${{inputs.may}}", False, []),
        ("$[[${{inputs.may}}]]", True, []),
        ("${{inputs.filled}}", True, []),
        ("${{outputs.must}}", True, ["placeholder"]),
        ("${{search_space.rate}}", True, ["placeholder"]),
        ("${{input.must}}", True, ["placeholder"]),
        ("${{jobs.a.outputs.b}}", True, ["placeholder"]),
        ("${{parent.jobs.a}}", True, ["placeholder"]),
        ("${{parent.inputs.a}}", True, []),
        ("${{}}", True, ["placeholder"]),
        ("${{inputs.must} $[[", True, ["placeholder", "placeholder"]),
    ],
)
def test_what_a_command_may_be_filled_with(command, declared, said, tmp_path):
    ports = at(
        "{must: {type: string}, may: {optional: true}, filled: {optional: true, default: 1}}", tmp_path
    )
    place = at(f"command: '{command}'", tmp_path)["command"]
    found = list(check_placeholders(place, dict(ports.fields()), {}, declared=declared))
    assert [f.id for f in found] == said
    assert all("inputs.m" in f.message for f in found if f.id == "optional-input")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("additional_includes: [./alone.py]", []),
        ("additional_includes: [./other.py]", ["missing-script"]),
        ("additional_includes: [{type: artifact}]", []),
    ],
)
def test_without_code_only_includes_bring_a_script(more, said, tmp_path):
    for name in ("alone.py", "other.py"):
        (tmp_path / name).write_text("")
    work = at(f"environment: azureml:e:1\ncommand: python alone.py\n{more}", tmp_path)
    assert [f.id for f in check_work(work, Files())] == said
