"""What runs here means what it means on Azure ML, or is refused before it starts, or says how it differs.

A pipeline that runs well here and fails there, or the other way round, is found out too late.
"""

from __future__ import annotations

import os
import textwrap
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from as_on_azure import shows
from tiny_pipeline import MemoryTracker

from mlops.errors import InvalidInput, StepFailed
from mlops.pipeline import WHOLE, JobResult, Selection, StepEvent, run_pipeline

HEAD = "type: pipeline\nsettings: {default_compute: azureml:small}\n"
OUT = "outputs: {o: {type: uri_folder}}"
COMPONENT = """
type: command
name: part
version: "1"
environment: azureml:tools:3
"""


@dataclass
class World:
    """A folder with a space in its name, in which a test writes a pipeline and runs it."""

    root: Path
    tracker: MemoryTracker = field(default_factory=MemoryTracker)
    events: list[StepEvent] = field(default_factory=list)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def run(
        self,
        text: str,
        *,
        head: str = HEAD,
        workers: int | None = None,
        selection: Selection = WHOLE,
        **inputs: str,
    ) -> JobResult:
        return run_pipeline(
            self.write("pipeline.yml", head + textwrap.dedent(text)),
            inputs,
            tracker=self.tracker,
            state_dir=self.root / "state",
            resolve_asset=lambda name, version: str(self.root / "assets" / name / version),
            progress=self.events.append,
            preload=(),
            workers=workers,
            selection=selection,
        )

    def said(self, text: str, step: str = "one.o", **inputs: str) -> str:
        """What the file `a` of an output holds after the run."""
        return (self.run(text, **inputs).outputs[step] / "a").read_text(encoding="utf-8")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "a b")


def one(command: str, more: str = "", inputs: str = "") -> str:
    """A pipeline of one step with an output folder `o`; `more` are lines of the step."""
    lines = [f"command: {command}", "environment: azureml:tools:3", OUT, *more.splitlines()]
    return f"{inputs}\njobs:\n  one:\n" + "".join(f"    {line}\n" for line in lines)


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


DATA = 'inputs: {d: {type: uri_folder, path: "./da ta"%s}}'
READS = 'inputs: {d: "${{parent.inputs.d}}"}'
SPOIL = (
    "chmod -R u+w ${{inputs.d}}; echo spoiled >> ${{inputs.d}}/x.csv; cp ${{inputs.d}}/x.csv ${{outputs.o}}/a"
)


@pytest.mark.parametrize("mode", ["", ", mode: ro_mount"])
@shows(
    "an input with `mode: ro_mount`, the default",
    azure="a write fails",
    here="the step reads a read-only copy; a step that changed it fails, and your data stay as they are",
)
def test_data_that_are_mounted_read_only_stay_as_they_are(world: World, mode: str) -> None:
    original = world.write("da ta/x.csv", "1\n")
    with pytest.raises(StepFailed, match="input 'd'"):
        world.run(one(SPOIL, READS, DATA % mode))
    assert original.read_text() == "1\n"


@pytest.mark.parametrize(
    "command",
    ["mkdir ${{inputs.d}}/new", "rmdir ${{inputs.d}}/empty", "mv ${{inputs.d}}/x.csv ${{inputs.d}}/y.csv"],
)
@shows("an input with `mode: ro_mount`, the default")
def test_a_change_of_folders_and_names_is_a_write_too(world: World, command: str) -> None:
    world.write("da ta/x.csv", "1\n")
    (world.root / "da ta/empty").mkdir()
    spoil = f"chmod -R u+w ${{{{inputs.d}}}}; {command}; echo > ${{{{outputs.o}}}}/a"
    with pytest.raises(StepFailed, match="input 'd'"):
        world.run(one(spoil, READS, DATA % ""))
    assert (world.root / "da ta/empty").is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write what is read-only")
@shows("an input with `mode: ro_mount`, the default")
def test_a_write_into_read_only_data_fails_at_once(world: World) -> None:
    world.write("da ta/x.csv", "1\n")
    with pytest.raises(StepFailed, match="Permission denied"):
        world.run(one("echo spoiled >> ${{inputs.d}}/x.csv", READS, DATA % ""))


@shows(
    "`mode: download`",
    azure="a copy that the step may change",
    here="the same",
)
def test_downloaded_data_may_be_written_and_the_original_stays(world: World) -> None:
    original = world.write("da ta/x.csv", "1\n")
    assert world.said(one(SPOIL, READS, DATA % ", mode: download")) == "1\nspoiled\n"
    assert original.read_text() == "1\n"


@pytest.mark.parametrize("mode", ["rw_mount", "eval_mount"])
@shows(
    "another mode of an input, such as `rw_mount`",
    azure="refused by azure-ai-ml",
    here="refused before the start",
)
def test_a_mode_that_azure_refuses_is_refused_before_the_start(world: World, mode: str) -> None:
    original = world.write("da ta/x.csv", "1\n")
    with pytest.raises(InvalidInput, match=r"inputs\.d\.mode: must be one of direct, download, ro_mount"):
        world.run(one(SPOIL, READS, DATA % f", mode: {mode}"))
    assert original.read_text() == "1\n"


@pytest.mark.parametrize(("node", "ok"), [("", False), ("ro_mount", False), ("download", True)])
@shows(
    "any mode of what another step has made",
    azure="kept",
    here="kept; `download` gives a copy",
)
def test_what_another_step_has_made_is_never_changed(world: World, node: str, ok: bool) -> None:
    mode = f", mode: {node}" if node else ""
    text = """
    jobs:
      one:
        command: echo 1 > ${{outputs.o}}/x.csv
        environment: azureml:tools:3
        outputs: {o: {type: uri_folder}}
      two:
        command: chmod -R u+w ${{inputs.d}}; echo spoiled >> ${{inputs.d}}/x.csv
        environment: azureml:tools:3
        inputs: {d: {type: uri_folder, path: "${{parent.jobs.one.outputs.o}}"MODE}}
    """.replace("MODE", mode)
    if ok:
        assert (world.run(text).outputs["one.o"] / "x.csv").read_text() == "1\n"
        return
    with pytest.raises(StepFailed, match="input 'd'"):
        world.run(text)
    text = text.replace("echo spoiled >> ${{inputs.d}}/x.csv", "cat ${{inputs.d}}/x.csv > ${{outputs.o}}/a")
    text = text.rstrip() + "\n        outputs: {o: {type: uri_folder}}\n"
    assert world.said(text, "two.o") == "1\n", "what was spoiled must not be used again"


@pytest.mark.parametrize(
    "path",
    [
        "https://example.com/a.csv",
        "azureml://datastores/store/paths/rows/",
        "abfss://rows@account.dfs.core.windows.net/a",
        "wasbs://rows@account.blob.core.windows.net/a",
    ],
)
@shows(
    "`path: https://…`, `azureml://…`, `abfss://…`",
    azure="mounted or downloaded",
    here="refused before the start: give a copy when you run it, `--input NAME=PATH`, or `JOB.NAME=PATH`",
)
def test_data_that_lie_elsewhere_are_refused_before_anything_starts(world: World, path: str) -> None:
    text = one(
        "echo ${{inputs.d}} > ${{outputs.o}}/a", READS, f'inputs: {{d: {{type: uri_file, path: "{path}"}}}}'
    )
    with pytest.raises(InvalidInput, match="d=PATH") as caught:
        world.run(text)
    assert caught.value.problems[0].field == "inputs.d"
    assert world.tracker.runs == {}
    copy = world.write("copy.csv", "1")
    assert world.said(text, d=str(copy)).strip().endswith("copy.csv")


@pytest.mark.parametrize("asset", ["azureml:rows@latest", "azureml:rows"])
@shows("`path: https://…`, `azureml://…`, `abfss://…`")
def test_a_data_asset_without_a_version_is_refused_before_anything_starts(world: World, asset: str) -> None:
    text = one(
        "ls ${{inputs.d}} > ${{outputs.o}}/a", READS, f'inputs: {{d: {{type: uri_folder, path: "{asset}"}}}}'
    )
    with pytest.raises(InvalidInput, match="names no version of a data asset") as caught:
        world.run(text)
    assert repr(asset) in str(caught.value) and world.tracker.runs == {}


@shows(
    "the same with `mode: direct`",
    azure="the step gets the address",
    here="the same",
)
def test_an_address_that_is_asked_for_as_such_is_given(world: World) -> None:
    text = one(
        "echo ${{inputs.d}} > ${{outputs.o}}/a",
        READS,
        'inputs: {d: {type: uri_file, path: "https://example.com/a.csv", mode: direct}}',
    )
    assert world.said(text) == "https://example.com/a.csv\n"


@shows("`path: https://…`, `azureml://…`, `abfss://…`")
def test_a_file_address_is_a_path(world: World) -> None:
    path = world.write("rows.csv", "1")
    text = one(
        "cat ${{inputs.d}} > ${{outputs.o}}/a",
        READS,
        f'inputs: {{d: {{type: uri_file, path: "file://{path}"}}}}',
    )
    assert world.said(text) == "1"


@pytest.mark.parametrize(
    "code", ["git+https://github.com/o/r.git", "https://example.com/c.zip", "azureml:code:1"]
)
@shows(
    "`code` in git, on the web or in the workspace",
    azure="refused by azure-ai-ml, or read from the workspace",
    here="refused before the start",
)
def test_code_that_is_not_here_is_refused_before_anything_starts(world: World, code: str) -> None:
    with pytest.raises(InvalidInput):
        world.run(one("ls > ${{outputs.o}}/a", f'code: "{code}"'))
    assert world.tracker.runs == {}


@shows(
    "`code`",
    azure="each job gets a snapshot of its own",
    here="the same; `.amlignore` and `.gitignore` count",
)
def test_each_step_has_a_copy_of_the_code(world: World) -> None:
    world.write("src/go.py", "")
    text = """
    jobs:
      one:
        command: echo hi > marker.txt && echo x > ${{outputs.o}}/a
        code: ./src
        environment: azureml:tools:3
        outputs: {o: {type: uri_folder}}
      two:
        command: ls > ${{outputs.o}}/a && cat ${{inputs.i}}/a
        code: ./src
        environment: azureml:tools:3
        inputs: {i: "${{parent.jobs.one.outputs.o}}"}
        outputs: {o: {type: uri_folder}}
    """
    assert world.said(text, "two.o").split() == ["go.py", "logs", "outputs"]
    assert not (world.root / "src" / "marker.txt").exists()


@shows(
    "`./outputs` and `./logs`",
    azure="made, and kept with the run",
    here="the same, as artifacts of the run",
)
def test_outputs_and_logs_are_there_and_kept_with_the_run(world: World) -> None:
    world.run(one("echo hi > ./outputs/a.txt; echo ho > ./logs/b.txt; echo ${{outputs.o}}"))
    (child,) = [r for r in world.tracker.runs.values() if "mlops.step" in r["tags"]]
    assert child["artifacts"] == {"outputs/a.txt": "hi\n", "logs/b.txt": "ho\n"}


@shows(
    "a step has failed",
    azure="nothing new starts, unless `continue_on_step_failure`",
    here="the same",
)
def test_nothing_new_starts_after_a_failure(world: World) -> None:
    text = """
    jobs:
      bad: {command: exit 3, environment: azureml:tools:3}
      slow: {command: sleep 1, environment: azureml:tools:3}
      side:
        command: echo x > ${{outputs.o}}/a
        environment: azureml:tools:3
        outputs: {o: {type: uri_folder}}
    """
    with pytest.raises(StepFailed, match="bad"):
        world.run(text, workers=2)
    assert {e.step: e.state for e in world.events}["side"] == "skipped"


@shows("a step has failed")
def test_other_steps_go_on_where_the_pipeline_says_so(world: World) -> None:
    text = """
    jobs:
      bad: {command: exit 3, environment: azureml:tools:3}
      side: {command: echo, environment: azureml:tools:3}
    """
    path = world.write("pipeline.yml", "")
    with pytest.raises(StepFailed):
        run_pipeline(
            world.write(
                path.name,
                HEAD.replace("{default", "{continue_on_step_failure: true, default") + textwrap.dedent(text),
            ),
            {},
            tracker=world.tracker,
            state_dir=world.root / "state",
            resolve_asset=lambda name, version: "",
            progress=world.events.append,
            preload=(),
            workers=1,
        )
    assert {e.step: e.state for e in world.events}["side"] == "finished"


@shows(
    "`AZUREML_RUN_ID`, `AZUREML_ROOT_RUN_ID`",
    azure="set",
    here="set, to the runs of MLflow",
)
def test_a_step_knows_its_run_as_on_azure(world: World) -> None:
    said = world.said(one("echo $AZUREML_RUN_ID $AZUREML_ROOT_RUN_ID > ${{outputs.o}}/a")).split()
    parent, child = sorted(world.tracker.runs, key=lambda r: "mlops.step" in world.tracker.runs[r]["tags"])
    assert said == [child, parent]


@shows(
    "an output with a `path` on a datastore",
    azure="goes there",
    here="stays on this machine; a note at the step",
)
def test_an_output_that_would_go_elsewhere_says_so(world: World) -> None:
    place = "azureml://datastores/store/paths/here/"
    text = one("echo x > ${{outputs.o}}/a").replace(
        "{type: uri_folder}", f"{{type: uri_folder, path: {place}}}"
    )
    world.run(text)
    world.run(text)
    first, second = [e.note for e in world.events if e.state in ("running", "reused")]
    assert place in first and "o" in first.split()
    assert second == first, "a step that is reused says so too"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (", name: rows, version: 3", "becomes the asset rows:3"),
        (", name: rows", "becomes the asset rows"),
        (", mode: direct", "gives the command an address"),
    ],
)
@pytest.mark.parametrize("where", ["job", "pipeline"])
@shows(
    "an output with a `name`, or with `mode: direct`",
    azure="becomes a data asset; the command gets an address",
    here="a folder that is registered nowhere; a note at the step",
)
def test_an_output_that_would_be_something_else_says_so(
    world: World, where: str, more: str, said: str
) -> None:
    wanted = f"{{type: uri_folder{more}}}"
    text = one("echo x > ${{outputs.o}}/a")
    if where == "job":
        text = text.replace("{type: uri_folder}", wanted)
    else:
        text = f"outputs: {{r: {wanted}}}\n" + text.replace("{type: uri_folder}", '"${{parent.outputs.r}}"')
    world.run(text)
    (note,) = [e.note for e in world.events if e.state == "running"]
    assert said in note


@shows(
    "an output that is a file, and that the command does not write",
    azure="the step ends well, and whatever reads the output cannot start",
    here="the same, and a note at the step",
)
def test_a_file_that_was_never_written_is_told_and_stops_what_reads_it(world: World) -> None:
    alone = """
    jobs:
      one:
        command: echo ${{outputs.r}}
        environment: azureml:tools:3
        outputs: {r: {type: uri_file}}
    """
    world.run(alone)
    assert [e.note for e in world.events if e.state == "finished"] == ["left no file as its output r"]
    reads = """
      two:
        command: cat ${{inputs.i}}
        environment: azureml:tools:3
        inputs: {i: "${{parent.jobs.one.outputs.r}}"}
    """
    with pytest.raises(StepFailed, match="'two' cannot start: its input 'i'"):
        world.run(alone.rstrip() + "\n" + reads.strip("\n"))


@pytest.mark.parametrize("where", ["command", "code", "include"])
@shows(
    "another variable that Azure ML sets, such as `AZUREML_ARM_WORKSPACE_NAME`",
    azure="set",
    here="not set; a note at the step that reads it",
)
def test_a_variable_that_only_azure_sets_is_told(world: World, where: str) -> None:
    name = "AZUREML_ARM_WORKSPACE_NAME"
    asked = f"import os\nprint(os.environ.get('{name}'))\n"
    world.write("src/go.py", asked if where == "code" else "")
    world.write("lib/more.py", asked if where == "include" else "")
    world.write("src/.amlignore", "ignored.py\n")
    world.write("src/ignored.py", "AZUREML_EXPERIMENT_ID")
    command = f"echo ${name} $AZUREML_RUN_ID" if where == "command" else "python go.py"
    world.write(
        "c.yml",
        f"{COMPONENT}code: ./src\nadditional_includes: [./lib]\n{OUT}\n"
        f"command: {command} ${{{{outputs.o}}}}\n",
    )
    world.run("jobs:\n  one: {component: ./c.yml}\n")
    (note,) = [e.note for e in world.events if e.state == "running"]
    assert note == f"it reads the variable {name}, which Azure ML sets and this machine does not"


@shows("another variable that Azure ML sets, such as `AZUREML_ARM_WORKSPACE_NAME`")
def test_a_variable_that_the_file_sets_is_not(world: World) -> None:
    world.run(one("echo $AZUREML_X > ${{outputs.o}}/a", "environment_variables: {AZUREML_X: 1}"))
    assert [e.note for e in world.events if e.state == "running"] == [""]


@shows(
    "an output `artifacts` that the command does not fill",
    azure="holds `./outputs` and `./logs` of the job",
    here="the same",
)
def test_the_artifacts_of_a_job_are_an_output(world: World) -> None:
    text = """
    jobs:
      one:
        environment: azureml:t:3
        command: echo 7 > ./outputs/n.txt
        outputs: {artifacts: }
      two:
        environment: azureml:t:3
        command: cat ${{inputs.i}}/outputs/n.txt > ${{outputs.o}}/a
        inputs: {i: "${{parent.jobs.one.outputs.artifacts}}"}
        outputs: {o: {type: uri_folder}}
    """
    assert world.said(text, "two.o") == "7\n"


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("uri_folder", "x.csv", "is a file; uri_folder needs a folder"),
        ("mlflow_model", "x.csv", "is a file; mlflow_model needs a folder"),
        ("uri_file", "folder", "is a folder; uri_file needs a file"),
        ("mltable", "folder", "a folder without a file MLTable"),
    ],
)
@shows(
    "data of another kind than declared, also when given for a run",
    azure="fails when they are mounted",
    here="refused before the start",
)
def test_data_of_another_kind_than_declared_are_refused(
    world: World, kind: str, given: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("x.csv", "1")
    world.write("folder/y.csv", "1")
    world.write("right/MLTable", "paths: []")
    monkeypatch.chdir(world.root)
    right = "x.csv" if kind == "uri_file" else "right"
    text = one("ls ${{inputs.d}} ${{outputs.o}}", READS, f"inputs: {{d: {{type: {kind}, path: ./{right}}}}}")
    with pytest.raises(InvalidInput, match=said):
        world.run(text, d=given)
    assert world.tracker.runs == {}
    world.run(text)
