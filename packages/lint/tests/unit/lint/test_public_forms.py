# ruff: noqa: E501 (whole files as text)
"""Forms that public Azure ML files use and `azure-ai-ml` takes: read without an error; and their wrong siblings."""

from __future__ import annotations

import pytest

HELLO = 'type: command\nname: hello\nversion: "1"\ninputs: {n: {type: integer, default: 1}}\noutputs: {out: {type: uri_folder}}\nenvironment: azureml:tools:3\ncommand: echo ${{inputs.n}} > ${{outputs.out}}/a.txt\n'
PIPELINE = "type: pipeline\nsettings: {default_compute: azureml:small}\n"

GOOD = {
    "an output with no settings": f"{PIPELINE}jobs:\n  one:\n    component: ./hello.yml\n    outputs:\n      out:\n",
    "a pipeline's output with no settings": f"{PIPELINE}outputs:\n  result:\njobs:\n  one: {{component: ./hello.yml, outputs: {{out: '${{{{parent.outputs.result}}}}'}}}}\n",
    "a path with macros": f"{PIPELINE}jobs:\n  one: {{component: ./hello.yml, outputs: {{out: {{type: uri_folder, path: 'azureml://datastores/${{{{default_datastore}}}}/paths/${{{{name}}}}/x', mode: rw_mount}}}}}}\n",
    "a component written inside": f"{PIPELINE}jobs:\n  one:\n    type: command\n    component: {{type: command, command: echo hi, environment: 'azureml:tools:3'}}\n",
    "a pipeline from a pipeline component": "type: pipeline\ncomponent: ./inner.yml\nsettings: {default_compute: azureml:small}\ninputs: {data: {type: uri_folder, path: ./folder}}\n",
    "serverless compute": "type: pipeline\nsettings: {default_compute: serverless}\njobs:\n  one: {component: ./hello.yml}\n",
    "a size in place of a compute": f"{PIPELINE.splitlines()[0]}\njobs:\n  one: {{command: echo, environment: 'azureml:t:3', resources: {{instance_type: Standard_DS3_v2}}}}\n",
    "a tier in place of a compute": f"{PIPELINE.splitlines()[0]}\njobs:\n  one: {{command: echo, environment: 'azureml:t:3', queue_settings: {{job_tier: spot}}}}\n",
    "a binding inside of a text": f"{PIPELINE}inputs: {{n: 3}}\njobs:\n  one: {{command: 'echo ${{{{inputs.text}}}}', environment: 'azureml:t:3', inputs: {{text: 'n is ${{{{parent.inputs.n}}}}'}}}}\n",
    "a bound count": f"{PIPELINE}inputs: {{n: 3}}\njobs:\n  one: {{component: ./hello.yml, resources: {{instance_count: '${{{{parent.inputs.n}}}}'}}}}\n",
    "on_init and on_finalize": "type: pipeline\nsettings: {default_compute: azureml:small, on_finalize: one}\njobs:\n  one: {component: ./hello.yml}\n",
    "a group of inputs": f"{PIPELINE}inputs: {{group: {{}}}}\njobs:\n  one: {{component: ./hello.yml, inputs: {{n: '${{{{parent.inputs.group.n}}}}'}}}}\n",
    "a module of the environment": HELLO.replace("name: hello\n", "name: hello\ncode: ./src\n").replace("echo", "python -m nltk.downloader"),
    "a monitor out of the box": "name: watch\ntrigger: {type: cron, expression: '0 3 * * *'}\ncreate_monitor: {compute: {instance_type: standard_e4s_v3, runtime_version: '3.4'}, monitoring_target: {endpoint_deployment_id: 'azureml:e:d'}}\n",
    "a trial in place that says what it is": f"{PIPELINE}jobs:\n  tune:\n    type: sweep\n    sampling_algorithm: random\n    objective: {{primary_metric: m, goal: maximize}}\n    search_space: {{x: {{type: choice, values: [1, 2]}}}}\n    limits: {{max_total_trials: 2}}\n    trial: {{type: command, command: 'echo ${{{{inputs.x}}}}', environment: 'azureml:tools:3', inputs: {{x: {{type: integer}}}}}}\n",
    "a component of a registry": f"{PIPELINE}jobs:\n  one: {{component: 'azureml://registries/azureml/components/x/versions/0.0.3', inputs: {{any: 3}}}}\n",
    "a type in capitals": HELLO.replace("type: command", "type: Command"),
    "an old schema": "$schema: http://azureml/sdk-2-0/CommandComponent.json\n" + HELLO,
    "extra files beside the code": HELLO.replace("name: hello\n", "name: hello\ncode: ./folder\nadditional_includes: [./src/train.py]\n").replace("echo", "python train.py"),
}  # fmt: skip

WRONG = {
    "on_finalize of nobody": ("unknown-job", GOOD["on_init and on_finalize"].replace("on_finalize: one", "on_finalize: two")),
    "a pipeline component without its input": ("missing-input", GOOD["a pipeline from a pipeline component"].replace("data:", "dates:")),
    "a pipeline component with another input": ("unknown-input", GOOD["a pipeline from a pipeline component"].replace("data:", "dates:")),
    "an inline component with a wrong script": ("missing-script", GOOD["a component written inside"].replace("command: echo hi", "code: ./src, command: python no.py")),
    "an inline component without environment": ("no-environment", GOOD["a component written inside"].replace(", environment: 'azureml:tools:3'", "")),
    "neither jobs nor component": ("missing-field", PIPELINE),
    "no job": ("missing-field", f"{PIPELINE}jobs: {{}}\n"),
    "no compute anywhere": ("no-compute", GOOD["a size in place of a compute"].replace("instance_type: Standard_DS3_v2", "instance_count: 1")),
    "a script that no include brings": ("missing-script", GOOD["extra files beside the code"].replace("python train.py", "python score.py")),
    "a trial in place that is something else": ("wrong-value", GOOD["a trial in place that says what it is"].replace("trial: {type: command", "trial: {type: spark")),
    "a name with a hyphen": ("bad-name", f"{PIPELINE}jobs:\n  step-one: {{component: ./hello.yml}}\n"),
    "a name in capitals": ("bad-name", f"{PIPELINE}jobs:\n  One: {{component: ./hello.yml}}\n"),
    "request settings that are a word": ("wrong-type", "name: blue\nendpoint_name: my-ep\nmodel: azureml:m:1\nrequest_settings: fast\ninstance_type: Standard_DS3_v2\n"),
    "a monitor that is a list": ("wrong-type", "name: watch\ntrigger: cron\ncreate_monitor: [drift]\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_azure_takes_is_taken(shelf, name):
    shelf.write("hello.yml", HELLO)
    shelf.write("it.yml", GOOD[name])
    assert [str(f) for f in shelf.findings("it.yml", house=False) if f.level == "error"] == []


@pytest.mark.parametrize("name", WRONG)
def test_and_its_wrong_sibling_is_not(shelf, name):
    rule, text = WRONG[name]
    shelf.write("hello.yml", HELLO)
    shelf.write("it.yml", text)
    assert rule in {f.id for f in shelf.findings("it.yml", house=False)}


def test_one_job_that_cannot_run_here_hides_no_other(shelf):
    """A sweep beside a command with a mistake: both are read."""
    text = f"{PIPELINE}jobs:\n  tune: {{type: sweep, trial: ./hello.yml, search_space: {{n: {{type: choice, values: [1]}}}}, objective: {{goal: maximize, primary_metric: a}}, limits: {{max_total_trials: 0}}}}\n  one: {{component: ./hello.yml, inputs: {{m: 3}}}}\n"
    shelf.write("hello.yml", HELLO)
    shelf.write("it.yml", text)
    assert {f.id for f in shelf.findings("it.yml", house=False)} == {"sweep-limits", "unknown-input"}


def test_a_component_that_is_only_used_needs_no_name(shelf):
    """Azure ML runs it without one; registering the file itself is another matter."""
    shelf.write("hello.yml", HELLO.replace("name: hello\n", ""))
    shelf.write("other.yml", HELLO.replace("name: hello\n", "name: say-hello\n"))
    shelf.write(
        "it.yml", f"{PIPELINE}jobs:\n  one: {{component: ./hello.yml}}\n  two: {{component: ./other.yml}}\n"
    )
    assert shelf.findings("it.yml", house=False) == ()
    assert [(f.file, f.id) for f in shelf.findings(house=False)] == [
        ("flow.yml", "preview"),
        ("flow.yml", "preview"),
    ], "nor in a folder that holds both"
    (shelf.root / "it.yml").unlink()
    alone = [("hello.yml", "missing-field"), ("other.yml", "bad-name")]
    assert [(f.file, f.id) for f in shelf.findings(house=False) if f.level == "error"] == alone
    assert [f.id for f in shelf.findings("hello.yml", house=False)] == ["missing-field"]
    assert [f.id for f in shelf.findings("other.yml", house=False)] == ["bad-name"]
