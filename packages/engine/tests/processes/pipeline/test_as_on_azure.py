"""What runs here means what it means on Azure ML, or is refused before it starts, or says how it differs.

A pipeline that runs well here and fails there, or the other way round, is found out too late.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from as_on_azure import shows
from step_world import COMPONENT, HEAD, OUT, World, one

from mlops.errors import InvalidInput, StepFailed

TEXT = "inputs: {t: %s}"


BOUND = 'inputs: {t: "${{parent.inputs.t}}"}'


@pytest.mark.parametrize(
    ("command", "value", "expected"),
    [
        ('printf "[%s]" "${{inputs.t}}" > ${{outputs.o}}/a', "hello big world", "[hello big world]"),
        ("printf '[%s]' '${{inputs.t}}' > ${{outputs.o}}/a", "hello big world", "[hello big world]"),
        ('printf "[%s]" ${{inputs.t}} > ${{outputs.o}}/a', "hello big world", "[hello][big][world]"),
        ('printf "[%s]" --t=${{inputs.t}} > ${{outputs.o}}/a', "x y", "[--t=x][y]"),
        ('printf "[%s]" ${{inputs.t}} > "${{outputs.o}}/a"', "'x y'", "[x y]"),
        ('printf "[%s]" "${{inputs.t}}" > ${{outputs.o}}/a', "2.50", "[2.50]"),
        ("echo $(( ${{inputs.t}} + 1 )) > ${{outputs.o}}/a", "1", "2\n"),
    ],
)
@shows(
    "a value in a command, `${{inputs.x}}`",
    azure="put in as text: quotes around it count, several words are several words, `*` is a pattern",
    here="the same",
)
def test_a_value_is_put_into_the_command_as_text(
    world: World, command: str, value: str, expected: str
) -> None:
    quoted = value.replace("'", "''")
    assert world.said(one(command, BOUND, TEXT % f"'{quoted}'")) == expected


@pytest.mark.parametrize("quote", ["", '"', "'"])
@shows(
    "a path in a command",
    azure="never holds a space",
    here="may hold one, and stays one word",
)
def test_a_path_with_a_space_is_one_word_however_it_stands(world: World, quote: str) -> None:
    world.write("da ta/x.csv", "1")
    text = one(
        f"cat {quote}${{{{inputs.d}}}}/x.csv{quote} > {quote}${{{{outputs.o}}}}/a{quote}",
        'inputs: {d: "${{parent.inputs.d}}"}',
        'inputs: {d: {type: uri_folder, path: "./da ta"}}',
    )
    assert world.said(text) == "1"


@shows("a value in a command, `${{inputs.x}}`")
def test_a_pattern_in_a_value_is_expanded_by_the_shell(world: World) -> None:
    for name in ("a.csv", "b.csv", "c.txt"):
        world.write(f"da ta/{name}", "1")
    text = one(
        "ls ${{inputs.d}}/${{inputs.g}} > ${{outputs.o}}/a",
        'inputs: {d: "${{parent.inputs.d}}", g: "${{parent.inputs.g}}"}',
        'inputs: {d: {type: uri_folder, path: "./da ta"}, g: "*.csv"}',
    )
    assert [Path(line).name for line in world.said(text).splitlines()] == ["a.csv", "b.csv"]


@shows(
    "an output whose type only the pipeline's own output says",
    azure="a file where that says `uri_file`",
    here="the same",
)
def test_an_output_that_only_the_pipeline_calls_a_file_is_a_file(world: World) -> None:
    text = """
    outputs: {r: {type: uri_file}}
    jobs:
      one:
        command: echo hi > ${{outputs.r}}
        environment: azureml:tools:3
        outputs: {r: "${{parent.outputs.r}}"}
    """
    assert world.run(text).outputs["r"].read_text() == "hi\n"


@pytest.mark.parametrize(
    ("command", "declared"),
    [
        ("rmdir ${{outputs.o}} && echo x > ${{outputs.o}}", "uri_folder"),
        ("rmdir ${{outputs.o}}", "mlflow_model"),
        ("mkdir ${{outputs.o}}", "uri_file"),
    ],
)
@shows(
    "an output of another kind than declared",
    azure="the step fails, or the next one does",
    here="the step fails",
)
def test_an_output_of_another_kind_than_declared_fails_the_step(
    world: World, command: str, declared: str
) -> None:
    text = one(command).replace("uri_folder", declared)
    with pytest.raises(StepFailed, match=declared):
        world.run(text)


@shows(
    "`additional_includes`, in the component or in a file next to it",
    azure="copied next to the code, whose ignore file counts for them too; `x.zip` is packed",
    here="the same; an include is part of what makes a step run again",
)
def test_includes_are_copied_beside_the_code(world: World) -> None:
    world.write("src/go.py", "")
    world.write("extra/e.txt", "1")
    world.write("extra/skip.md", "no")
    world.write("extra/.amlignore", "*.md\n")
    world.write("more/one.txt", "2")
    world.write("packed/in/z.txt", "3")
    includes = "additional_includes: [./extra, ./more/one.txt, ./packed.zip]\n"
    command = "(cat extra/e.txt one.txt; ls extra) > ${{outputs.o}}/a; cp packed.zip ${{outputs.o}}"
    world.write("c.yml", COMPONENT + includes + f'code: ./src\n{OUT}\ncommand: "{command}"\n')
    made = world.run("jobs:\n  one: {component: ./c.yml}\n").outputs["one.o"]
    assert (made / "a").read_text() == "12e.txt\n"
    assert zipfile.ZipFile(made / "packed.zip").read("packed/in/z.txt") == b"3"
    again = world.run("jobs:\n  one: {component: ./c.yml}\n")
    assert [e.state for e in again.steps] == ["reused"], "packing again must not change the code"
    world.write("extra/e.txt", "9")
    assert world.said("jobs:\n  one: {component: ./c.yml}\n").startswith("92"), (
        "an include is part of the code"
    )


@shows("`additional_includes`, in the component or in a file next to it")
def test_includes_are_held_to_the_ignore_file_of_the_code(world: World) -> None:
    """Patterns count as if the include lay in the code, and so do ignore files further below."""
    world.write("src/.gitignore", "*.log\nextra/secret\n!keep.log\n")
    for name in ("src/x.log", "extra/a.txt", "extra/a.log", "extra/keep.log", "extra/secret/s", "notes.log"):
        world.write(name, "1")
    world.write("extra/in/.amlignore", "*.tmp\n")
    world.write("extra/in/b.tmp", "1")
    world.write("extra/in/b.txt", "1")
    world.write("pack/c.log", "1")
    world.write("pack/c.txt", "1")
    includes = "additional_includes: [./extra, ./notes.log, ./pack.zip]\n"
    command = "find . -type f | sort > ${{outputs.o}}/a; cp pack.zip ${{outputs.o}}"
    world.write("c.yml", COMPONENT + includes + f'code: ./src\n{OUT}\ncommand: "{command}"\n')
    made = world.run("jobs:\n  one: {component: ./c.yml}\n").outputs["one.o"]
    assert (made / "a").read_text().split() == [
        "./extra/a.txt",
        "./extra/in/b.txt",
        "./extra/keep.log",
        "./pack.zip",
    ]
    assert zipfile.ZipFile(made / "pack.zip").namelist() == ["pack/c.txt"]


@shows(
    "`settings.on_init` and `on_finalize`",
    azure="the job runs before, or after all others, whatever became of them",
    here="the same; it is never reused",
)
def test_jobs_before_and_after_all_others(world: World) -> None:
    head = HEAD.replace("small}", "small, on_init: first, on_finalize: last}")
    order = world.root / "order"
    job = "  {n}: {{environment: 'azureml:t:3', command: '{c}'}}\n"
    say = f'echo {{n}} >> "{order}"'
    jobs = {"last": say, "one": say, "first": say, "broken": f"{say}; exit 3", "two": say}
    text = "jobs:\n" + "".join(job.format(n=n, c=c.format(n=n)) for n, c in jobs.items())
    with pytest.raises(StepFailed, match="broken"):
        world.run(text, head=head, workers=1)
    said = order.read_text().split()
    assert (said[0], said[-1]) == ("first", "last")
    assert "two" not in said, "nothing but the last job starts after a failure"
    order.unlink()
    failing = text.replace(jobs["first"].format(n="first"), "exit 4")
    with pytest.raises(StepFailed, match="first"):
        world.run(failing, head=head)
    assert order.read_text().split() == ["last"]


@pytest.mark.parametrize(
    ("settings", "match"),
    [("on_init: none", "no job 'none'"), ("on_finalize: two", "must not be bound to others; it is, to one")],
)
@shows("`settings.on_init` and `on_finalize`")
def test_a_hook_that_azure_refuses_is_refused(world: World, settings: str, match: str) -> None:
    text = f"""
    jobs:
      one: {{environment: 'azureml:t:3', command: "date > ${{{{outputs.o}}}}/a", {OUT}}}
      two:
        environment: azureml:t:3
        command: cat ${{{{inputs.i}}}}/a
        inputs: {{i: "${{{{parent.jobs.one.outputs.o}}}}"}}
    """
    with pytest.raises(InvalidInput, match=match):
        world.run(text, head=HEAD.replace("small}", f"small, {settings}}}"))


@shows("`additional_includes`, in the component or in a file next to it")
def test_includes_may_be_listed_in_a_file_beside_the_component(world: World) -> None:
    world.write("extra/e.txt", "1")
    world.write("c.yml", COMPONENT + f"{OUT}\ncommand: cat extra/e.txt > ${{{{outputs.o}}}}/a\n")
    world.write("c.additional_includes", "./extra\n\n")
    assert world.said("jobs:\n  one: {component: ./c.yml}\n") == "1"


@pytest.mark.parametrize(("listed", "match"), [("./nowhere", "does not exist"), ("./x/src.txt", "rename")])
@shows("`additional_includes`, in the component or in a file next to it")
def test_an_include_that_cannot_be_copied_is_refused(world: World, listed: str, match: str) -> None:
    world.write("src/src.txt", "1")
    world.write("x/src.txt", "2")
    world.write(
        "c.yml",
        COMPONENT
        + f"additional_includes: [{listed}]\ncode: ./src\n{OUT}\ncommand: echo ${{{{outputs.o}}}}\n",
    )
    with pytest.raises(InvalidInput, match=match):
        world.run("jobs:\n  one: {component: ./c.yml}\n")


@shows(
    "`limits.timeout`",
    azure="ends the step",
    here="the same",
)
def test_a_step_that_takes_longer_than_its_limit_is_ended(world: World) -> None:
    text = one("sleep 60 && echo done > ${{outputs.o}}/a", "limits: {timeout: 1}")
    with pytest.raises(StepFailed, match=r"limits\.timeout"):
        world.run(text)
    (child,) = [r for r in world.tracker.runs.values() if "mlops.step" in r["tags"]]
    assert child["status"] == "FAILED"


@shows("`limits.timeout`")
def test_a_step_within_its_limit_is_not(world: World) -> None:
    assert world.said(one("echo done > ${{outputs.o}}/a", "limits: {timeout: 600}")) == "done\n"
