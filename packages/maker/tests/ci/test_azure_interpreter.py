"""The interpreter of Azure Pipelines' files decides as Azure does, and refuses what it does not know.

It is a yardstick: where it guessed, a pipeline that Azure refuses or skips would pass its tests here.
"""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

import pytest
from azure_pipelines import Event, Refused, Result, execute, load, triggers
from azure_pipelines.agent import Tools

HEAD = "name: t\ntrigger: none\npr: none\npool: {vmImage: ubuntu-24.04}\n"


def _write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yml").write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def _load(folder: Path, body: str, **given: str) -> Any:
    _write(folder, a="")
    (folder / "a.yml").write_text(HEAD + textwrap.dedent(body), encoding="utf-8")
    return load(folder, "a.yml", Event("Manual", "c").variables, given)


def _run(folder: Path, body: str, **event: Any) -> Result:
    """A pipeline of plain bash steps; nothing is checked out."""
    (folder / "a.yml").write_text(HEAD + textwrap.dedent(body), encoding="utf-8")
    tools = Tools(folder / "work", os.environ["PATH"], {"HOME": str(folder)}, token="secret")
    return execute(folder, "a.yml", Event("Manual", "c", **event), folder, tools)


def _stages(**scripts: str) -> str:
    """One stage with one job and one step each, in a row."""
    return "stages:\n" + "".join(
        f"- stage: {name}\n  jobs:\n  - job: j\n    timeoutInMinutes: 1\n    steps:\n    - bash: {script}\n"
        for name, script in scripts.items()
    )


TEMPLATES = """
    parameters:
      - {name: kind, type: string, values: [a, b, c], default: a}
      - {name: list, type: object, default: [x, y]}
      - {name: more, type: object, default: {K: v}}
    stages:
      - stage: s
        jobs:
          - job: j
            timeoutInMinutes: 1
            steps:
              - ${{ if eq(parameters.kind, 'a') }}:
                  - bash: is a
              - ${{ elseif eq(parameters.kind, 'b') }}:
                  - bash: is b
              - ${{ else }}:
                  - bash: is neither
              - ${{ each one in parameters.list }}:
                  - bash: item ${{ one }}
              - bash: last
                env:
                  ${{ insert }}: ${{ parameters.more }}
                  ${{ if ne(parameters.kind, 'a') }}:
                    OTHER: ${{ parameters.kind }}
                  ${{ each pair in parameters.more }}:
                    ${{ pair.key }}2: ${{ pair.value }}
"""


@pytest.mark.parametrize(
    ("kind", "first", "env"),
    [
        ("a", "is a", {"K": "v", "K2": "v"}),
        ("b", "is b", {"K": "v", "K2": "v", "OTHER": "b"}),
        ("c", "is neither", {"K": "v", "K2": "v", "OTHER": "c"}),
    ],
)
def test_templates_change_the_structure(tmp_path: Path, kind: str, first: str, env: dict[str, str]) -> None:
    (stage,) = _load(tmp_path, TEMPLATES, kind=kind).stages
    steps = stage.jobs[0].steps
    assert [step.what for step in steps] == [first, "item x", "item y", "last"]
    assert steps[-1].env == env


def test_a_template_gets_its_own_parameters_and_the_variables_of_the_pipeline(tmp_path: Path) -> None:
    _write(
        tmp_path,
        steps="""
            parameters:
              - {name: on, type: boolean, default: "false"}
            steps:
              - ${{ if parameters.on }}:
                - bash: on ${{ variables.WHERE }}
        """,
        variables="variables: {WHERE: here}\n",
    )
    body = """
        variables:
          - template: variables.yml
        stages:
          - stage: s
            jobs:
              - job: j
                timeoutInMinutes: 1
                steps:
                  - template: steps.yml
                  - template: steps.yml
                    parameters:
                      on: ${{ eq(variables.WHERE, 'here') }}
    """
    (stage,) = _load(tmp_path, body).stages
    assert [step.what for step in stage.jobs[0].steps] == ["on here"]


STAGE = "stages:\n- stage: s\n  jobs:\n  - job: j\n    timeoutInMinutes: 1\n    steps:\n"
REFUSED = [
    ("stages: []\nextends: x", r"a\.yml:6: .* knows no key 'extends' of a pipeline"),
    (
        STAGE + "    - powershell: x",
        r"a\.yml:11: .* knows steps with bash, checkout, publish, task; this one has pow",
    ),
    (
        STAGE + "    - bash: x\n      continueOnError: 'true'",
        r"a\.yml:12: .* no key 'continueOnError' of a step `bash`",
    ),
    (STAGE + "    - task: Docker@2", r"a\.yml:11: .* knows no task 'Docker@2'; it knows UsePythonVersion@0"),
    (STAGE + "    - task: UsePythonVersion@0", r"the task UsePythonVersion@0 needs the key 'versionSpec'"),
    (STAGE + "    - checkout: other", r"a\.yml:11: .* checks out `self` only"),
    (STAGE + "    - template: none.yml", r"a\.yml:11: there is no template none\.yml"),
    (
        STAGE + "    - bash: ${{ parameters.none }}",
        r"a\.yml:11: there is no parameter 'none', in the expression",
    ),
    (STAGE + "    - bash: ${{ split('a', ',') }}", r"a\.yml:11: .* knows no function split\(\)"),
    (STAGE + "    - ${{ else }}:\n      - bash: x", r"a\.yml:11: '\$\{\{ else \}\}' follows no if"),
    (STAGE + "    - bash: x\n      bash: y", r"a\.yml:12: the key 'bash' is there twice"),
    (STAGE + "    - bash: &a x", r"a\.yml:11: Azure Pipelines knows no anchors"),
    (
        STAGE + "    - ${{ each a of b }}:\n      - bash: x",
        r"a\.yml:11: .* must be of the form each NAME in LIST",
    ),
    (
        STAGE.replace("  jobs", "  pool: x\n  jobs") + "    - bash: x",
        r"a\.yml:7: .* no key 'pool' of a stage",
    ),
    (
        STAGE.replace("    timeoutInMinutes: 1\n", "") + "    - bash: x",
        r"a\.yml:8: a job needs the key 'timeoutInMin",
    ),
    (
        STAGE.replace("  jobs", "  dependsOn: t\n  jobs") + "    - bash: x",
        r"a\.yml:7: .* depends on 't', which is no",
    ),
    (
        "parameters:\n- {name: p, type: number, default: 1}\nstages: []",
        r"a\.yml:6: .* no parameter type 'number'",
    ),
    (
        "parameters:\n- {name: p, type: string}\nstages: []",
        r"the parameter 'p' is not given and has no default",
    ),
    ("resources: {pipelines: []}\nstages: []", r"a\.yml:5: .* knows no key 'pipelines' of resources"),
]


@pytest.mark.parametrize(("body", "sentence"), REFUSED, ids=[s.partition(": ")[2] for _, s in REFUSED])
def test_what_is_not_known_is_refused_with_its_place(tmp_path: Path, body: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        _load(tmp_path, body)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"kind": "z"}, "'kind' must be one of a, b, c; got 'z'"),
        ({"other": "z"}, "there is no parameter 'other'; there are kind, list, more"),
    ],
)
def test_a_wrong_parameter_is_refused(tmp_path: Path, given: dict[str, str], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        _load(tmp_path, TEMPLATES, **given)


def test_a_failure_skips_what_needs_it_near_and_far(tmp_path: Path) -> None:
    body = _stages(a="exit 1", b="echo b", c="echo c") + "  dependsOn: [a]\n  condition: failed()\n"
    result = _run(tmp_path, body)
    assert result.stages == {"a": "Failed", "b": "Skipped", "c": "Succeeded"}
    assert result.outcome == "Failed"


def test_a_stage_after_a_skipped_one_is_skipped_unless_it_says_otherwise(tmp_path: Path) -> None:
    body = _stages(a="echo a").replace("  jobs", "  condition: eq(variables.NONE, 'x')\n  jobs")
    more = _stages(b="echo b", c="echo c").removeprefix("stages:\n")
    more += "  dependsOn: a\n  condition: and(not(failed()), not(canceled()))\n"
    assert _run(tmp_path, body + more).stages == {"a": "Skipped", "b": "Skipped", "c": "Succeeded"}


OUTPUTS = """
    stages:
      - stage: a
        jobs:
          - deployment: d
            environment: e
            timeoutInMinutes: 1
            strategy:
              runOnce:
                deploy:
                  steps:
                    - bash: echo "##vso[task.setvariable variable=x;isOutput=true]yes"
                      name: set
      - stage: b
        condition: eq(dependencies.a.outputs['CONDITION'], 'yes')
        jobs:
          - job: j
            timeoutInMinutes: 1
            variables:
              X: $[ stageDependencies.a.d.outputs['VARIABLE'] ]
            steps:
              - bash: echo "X is $X"
              - bash: echo "##vso[task.setvariable variable=later]on"
              - bash: echo "later is $(later) and $LATER"
                condition: eq(variables.later, 'on')
"""


def test_outputs_reach_later_stages(tmp_path: Path) -> None:
    """A deployment job repeats its own name."""
    body = OUTPUTS.replace("CONDITION", "d.d.set.x").replace("VARIABLE", "d.set.x")
    result = _run(tmp_path, body)
    assert result.stages == {"a": "Succeeded", "b": "Succeeded"}
    assert result.log.output == "X is yes\nlater is on and on\n"
    assert result.deployments == ["e"]


@pytest.mark.parametrize("path", ["d.set.x", "d.d.sett.x", "e.e.set.x", "set.x"])
def test_an_output_that_nothing_can_set_is_refused(tmp_path: Path, path: str) -> None:
    """In Azure it is null, and the stage is skipped in silence."""
    with pytest.raises(Refused, match=r"a\.yml:\d+: stage 'a' has no output .*, only d\.d\.set\.…"):
        _run(tmp_path, OUTPUTS.replace("CONDITION", path))


def test_a_stage_cannot_ask_one_that_it_does_not_depend_on(tmp_path: Path) -> None:
    body = (
        _stages(a="echo a", b="echo b", c="echo c") + "  condition: eq(dependencies.a.result, 'Succeeded')\n"
    )
    with pytest.raises(Refused, match="stage 'c' depends on b and cannot ask for 'a'"):
        _run(tmp_path, body)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("##vso[task.complete result=Failed]", "knows no '##vso"),
        ("##vso[task.setvariable variable=a;isSecret=true]b", "knows no '##vso"),
        ("##vso[task.setvariable variable=a;isOutput=true]b", "the output 'a' of a step without a name"),
    ],
)
def test_a_logging_command_that_is_not_known_is_refused(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(Refused, match=rf"a\.yml:11: .*{sentence.replace('[', '.')}"):
        _run(tmp_path, _stages(a=f"'echo \"{line}\"'"))


def test_a_failing_step_skips_the_others_but_those_that_want_to_run(tmp_path: Path) -> None:
    body = _stages(a="exit 3") + "    - bash: echo no\n    - bash: echo yes\n      condition: failed()\n"
    result = _run(tmp_path, body)
    assert (result.stages["a"], result.log.output) == ("Failed", "yes\n")


def test_the_token_reaches_only_a_step_that_asks_for_it(tmp_path: Path) -> None:
    body = _stages(a="env | grep -c secret || true")
    body += "    - bash: echo $T\n      env: {T: $(System.AccessToken)}\n"
    assert _run(tmp_path, body).log.output == "0\nsecret\n"


def test_only_a_step_with_a_service_connection_is_logged_in(tmp_path: Path) -> None:
    """And each of them anew."""
    task = """    - task: AzureCLI@2
      inputs:
        azureSubscription: dev-train
        scriptType: bash
        scriptLocation: inlineScript
        inlineScript: echo $(date +%Y | wc -l) $WHO
"""
    (tmp_path / "a.yml").write_text(HEAD + _stages(a="echo nobody $WHO") + task + task, encoding="utf-8")
    logins: list[str] = []

    def login(connection: str) -> dict[str, str]:
        logins.append(connection)
        return {"WHO": f"{connection} {len(logins)}"}

    tools = Tools(tmp_path / "work", os.environ["PATH"], {"HOME": str(tmp_path)}, login=login)
    result = execute(tmp_path, "a.yml", Event("Manual", "c"), tmp_path, tools)
    assert result.log.output == "nobody\n1 dev-train 1\n1 dev-train 2\n"


def test_a_macro_that_means_nothing_is_refused_outside_of_scripts(tmp_path: Path) -> None:
    body = _stages(a="echo $(echo command)") + "    - bash: echo\n      env: {T: $(No.Such)}\n"
    with pytest.raises(Refused, match=r"a\.yml:13: there is no variable 'No\.Such'"):
        _run(tmp_path, body)


def test_a_path_that_a_step_adds_is_for_those_after_it(tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "own-tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho found\n", encoding="utf-8")
    tool.chmod(0o755)
    body = _stages(a=f"'echo \"##vso[task.prependpath]{tool.parent}\"'") + "    - bash: own-tool\n"
    assert _run(tmp_path, body).log.output == "found\n"


@pytest.mark.parametrize(
    ("artifact", "outcome", "issue"),
    [("made", "Succeeded", []), ("missing", "Failed", ["error: there is no missing to publish"])],
)
def test_publishing_what_is_not_there_fails(
    tmp_path: Path, artifact: str, outcome: str, issue: list[str]
) -> None:
    body = _stages(a="echo x > made") + f"    - publish: {artifact}\n      artifact: it\n"
    result = _run(tmp_path, body)
    assert (result.stages["a"], result.log.issues) == (outcome, issue)
    assert (tmp_path / "work/artifacts/it/made").exists() == (artifact == "made")


@pytest.mark.parametrize(
    ("branch", "changed", "starts"),
    [
        ("main", "a/b/c.py", True),
        ("main", "d/e.txt", True),
        ("main", "f.txt", True),
        ("main", "a/skip.x.txt", False),
        ("main", "ab/c.py", False),
        ("feature", "a/b.py", False),
    ],
)
def test_paths_and_branches_decide_what_a_push_starts(
    tmp_path: Path, branch: str, changed: str, starts: bool
) -> None:
    trigger = """trigger:
  branches: {include: [main]}
  paths: {include: [a/**, d, f.txt], exclude: [a/skip.*.txt]}
"""
    text = HEAD.replace("trigger: none\n", trigger) + "stages: []\n"
    (tmp_path / "a.yml").write_text(text, encoding="utf-8")
    assert triggers.by_push(tmp_path, "a.yml", branch, [changed]) is starts
    assert not triggers.by_pull_request(tmp_path, "a.yml", "main", [changed])
