"""A repository whose pipeline has two small steps that import nothing: the way to Azure is tested."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]

_PIPELINE = """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
display_name: tiny
experiment_name: tiny
inputs:
  raw: {type: uri_folder, path: azureml:tinydata:1}
  word: hello
  count: 2
outputs:
  registered: {type: uri_file}
settings: {default_compute: azureml:cpu-cluster}
jobs:
  make:
    type: command
    component: make.yml
    inputs:
      raw: ${{parent.inputs.raw}}
      word: ${{parent.inputs.word}}
      count: ${{parent.inputs.count}}
  tell:
    type: command
    component: tell.yml
    inputs:
      made: ${{parent.jobs.make.outputs.made}}
    outputs:
      registered: ${{parent.outputs.registered}}
"""
_MAKE = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: make
version: "1"
inputs:
  raw: {type: uri_folder}
  word: {type: string}
  count: {type: integer, min: 1, max: 9}
outputs:
  made: {type: uri_folder}
code: code
environment: file:environment.yml
command: >-
  python work.py make ${{inputs.raw}} ${{inputs.word}} ${{inputs.count}} ${{outputs.made}}
"""
_TELL = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: tell
version: "1"
is_deterministic: false
inputs:
  made: {type: uri_folder}
outputs:
  registered: {type: uri_file}
code: code
environment: file:environment.yml
command: >-
  python work.py tell ${{inputs.made}} ${{outputs.registered}}
"""
_WORK = """\
import os, pathlib, sys, time

action, *words = sys.argv[1:]
if action == "make":
    raw, word, count, made = words
    if word == "sleep":
        time.sleep(60)
    if word == "fail":
        print("the word is fail")
        sys.exit("this step was told to fail")
    text = pathlib.Path(raw, "a.txt").read_text() + word * int(count)
    pathlib.Path(made, "text.txt").write_text(text)
else:
    made, registered = words
    text = pathlib.Path(made, "text.txt").read_text()
    pathlib.Path(registered).write_text(f"{text} {os.environ['MLFLOW_RUN_ID']}")
"""
_SWEEP = """\
$schema: https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json
type: sweep
experiment_name: tiny-sweep
compute: azureml:cpu-cluster
inputs:
  raw: {type: uri_folder, path: azureml:tinydata:1}
  bonus: 1
sampling_algorithm: {type: random, seed: 7}
search_space:
  x: {type: choice, values: [1, 2, 3, 4, 5, 6]}
objective: {goal: maximize, primary_metric: score}
limits: {max_total_trials: 2, max_concurrent_trials: 1, timeout: 600}
trial:
  code: code
  environment: file:environment.yml
  command: >-
    python trial.py ${{inputs.raw}} ${{inputs.bonus}} ${{search_space.x}}
"""
_TRIAL = """\
import sys

from mlops import tracking

raw, bonus, x = sys.argv[1:]
tracking.log_params({"x": x})
tracking.log_metrics({"score": float(x) + float(bonus)})
"""
_ENVIRONMENT = """\
$schema: https://azuremlschemas.azureedge.net/latest/environment.schema.json
name: tiny
version: "1"
image: mcr.microsoft.com/azureml/openmpi5.0-ubuntu24.04:20260901.v1
conda_file: conda.yml
"""
_USECASE = """\
class Tiny:
    name, task, target, time, slices = "tiny", "binary", "y", "t", ()

    def load(self, folder):
        (folder / "a.txt").write_text("data ")

    def features(self, raw, window): ...
    def contract(self): ...
    def build(self, params): ...
    def evaluate(self, truth, prediction): ...


usecase = Tiny()
"""


def make(root: Path) -> Path:
    """The path of the pipeline in a new repository at `root`, with the stack files of this one."""
    sys.modules.pop("tiny_usecase", None)  # another test's repository had one
    folder = root / "pipelines" / "tiny"
    (folder / "code").mkdir(parents=True)
    for name, text in (
        ("training.yml", _PIPELINE),
        ("make.yml", _MAKE),
        ("tell.yml", _TELL),
        ("environment.yml", _ENVIRONMENT),
        ("conda.yml", "name: tiny\nchannels: [conda-forge]\ndependencies: [python=3.11]\n"),
        ("code/work.py", _WORK),
        ("code/trial.py", _TRIAL),
        ("sweep.yml", _SWEEP),
        ("data.yml", 'name: tinydata\nversion: "1"\ntype: uri_folder\ntags: {window: 2013-01..2013-02}\n'),
    ):
        (folder / name).write_text(text)
    package = root / "src" / "tiny_usecase"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(_USECASE)
    (root / "environments").mkdir()
    for path in (ROOT / "environments").glob("Pulumi.*.yaml"):
        shutil.copy(path, root / "environments")
    (root / "mlops.toml").write_text(
        'target = "azure"\n[project]\nname = "flights-mlops"\n[models.tiny]\nusecase = "tiny_usecase"\n'
    )
    return folder / "training.yml"
