# ruff: noqa: E501 (whole files as text)
"""A tiny pipeline written to a temporary folder, files of the other kinds, and a tracker in memory."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops.errors import NotFound
from mlops.pipeline import WHOLE, JobResult, Selection, StepEvent, run_pipeline

STEPS = """
import argparse, json, os, pathlib, sys, time
p = argparse.ArgumentParser()
p.add_argument("name")
for option in ("--source", "--other", "--out", "--factor", "--seed", "--file"):
    p.add_argument(option)
a = p.parse_args()
print("running", a.name, flush=True)
with open(os.environ["COUNTER"], "a") as stream:
    stream.write(f"{a.name} {time.time()}\\n")
if a.name == os.environ.get("SLEEP_IN"):
    pathlib.Path(a.out, "half.txt").write_text("half")
    time.sleep(float(os.environ["SLEEP"]))
if a.name == os.environ.get("FAIL_IN"):
    print("the column dep_delay is missing", file=sys.stderr)
    sys.exit(int(os.environ.get("FAIL_WITH", "1")))
read = {k: v for k, v in vars(a).items() if v is not None and k not in ("out", "file")}
texts = {k: pathlib.Path(v, "d.json").read_text() for k, v in read.items()
         if os.path.isfile(os.path.join(v, "d.json"))}
if a.out:
    pathlib.Path(a.out, "d.json").write_text(json.dumps({**{k: v for k, v in read.items() if k not in texts}, **texts}))
if a.file:
    pathlib.Path(a.file).write_text("registered")
with open(os.environ["COUNTER"], "a") as stream:
    stream.write(f"/{a.name} {time.time()}\\n")
"""

COMPONENT = """
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: {name}
version: "1"
inputs:
{inputs}
outputs:
{outputs}
code: ../src
environment: file:../environment.yml
command: python steps.py {name} {arguments}
"""


@dataclass
class MemoryTracker:
    """Runs in a dictionary, kept in a file when it must outlive the process."""

    file: Path | None = None
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def create_parent(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        return self._create(name, {**tags, "experiment": experiment})

    def create_child(self, parent: str, name: str, tags: Mapping[str, str]) -> str:
        return self._create(name, {**tags, "mlflow.parentRunId": parent})

    def finish(self, run_id: str, status: str) -> None:
        self.load()
        self.runs[run_id]["status"] = status
        self._save()

    def left_open(self, parent: str = "") -> dict[str, Mapping[str, str]]:
        self.load()
        found = {k: r["tags"] for k, r in self.runs.items() if r["status"] == "RUNNING"}
        return {k: tags for k, tags in found.items() if tags.get("mlflow.parentRunId", "") == parent}

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        self.runs[run_id]["tags"].update(tags)
        self._save()

    def env(self) -> Mapping[str, str]:
        return {"MLFLOW_TRACKING_URI": "memory:"}

    def copy_results(self, from_run: str, to_run: str) -> None:
        if from_run not in self.runs:
            raise NotFound(f"no run {from_run}")
        self.runs[to_run]["copied"] = from_run
        self._save()

    def log_artifacts(self, run_id: str, folder: Path, path: str) -> None:
        kept = self.runs[run_id].setdefault("artifacts", {})
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            kept[f"{path}/{file.relative_to(folder)}"] = file.read_text()
        self._save()

    def history(self, run_id: str, metric: str) -> list[float]:
        """A step logs a metric by a line in `$METRICS/<run>`."""
        path = Path(os.environ.get("METRICS", "/nowhere"), run_id)
        return [float(line) for line in path.read_text().splitlines()] if path.exists() else []

    def children(self, parent: str) -> dict[str, dict[str, Any]]:
        self.load()
        found = [r for r in self.runs.values() if r["tags"].get("mlflow.parentRunId") == parent]
        return {r["name"]: r for r in found}

    def load(self) -> None:
        if self.file is not None and self.file.exists():
            self.runs.update(json.loads(self.file.read_text()))

    def _create(self, name: str, tags: dict[str, str]) -> str:
        self.load()
        run_id = os.urandom(6).hex()
        self.runs[run_id] = {"name": name, "status": "RUNNING", "tags": tags}
        self._save()
        return run_id

    def _save(self) -> None:
        if self.file is not None:
            # Two processes save at the same time.
            draft = self.file.with_suffix(f".{os.getpid()}.new")
            draft.write_text(json.dumps(self.runs))
            draft.rename(self.file)


@dataclass
class Project:
    """prep → (left, right in parallel) → join, which is not deterministic, in `root`."""

    root: Path
    tracker: MemoryTracker
    counter: Path

    @property
    def pipeline(self) -> Path:
        return self.root / "pipeline.yml"

    @property
    def state(self) -> Path:
        return self.root / "state"

    def edit(self, file: str, old: str, new: str) -> int:
        """Replace text that must be there once; the line (1-based) where it stands."""
        path = self.root / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new))
        return text[: text.index(old)].count("\n") + 1

    def run(
        self,
        *,
        progress: Callable[[StepEvent], None] = lambda _: None,
        selection: Selection = WHOLE,
        **inputs: str,
    ) -> JobResult:
        return run_pipeline(
            self.pipeline,
            inputs,
            tracker=self.tracker,
            state_dir=self.state,
            resolve_asset=lambda name, version: str(self.root / "assets" / name / version),
            progress=progress,
            environment_digest=os.environ.get("INSTALLED", ""),
            preload=(),
            selection=selection,
        )

    def ran(self) -> list[str]:
        """Steps whose process was started since the last call, in order of their start."""
        lines = self.counter.read_text().splitlines() if self.counter.exists() else []
        self.counter.write_text("")
        return [line.split()[0] for line in lines if not line.startswith("/")]


def component(name: str, inputs: str, outputs: str, arguments: str) -> str:
    def indent(text: str) -> str:
        return textwrap.indent(textwrap.dedent(text).strip(), "  ")

    made = COMPONENT.format(name=name, inputs=indent(inputs), outputs=indent(outputs), arguments=arguments)
    return made.lstrip()


def write_project(root: Path) -> None:
    files = {
        "src/steps.py": STEPS,
        "src/.amlignore": "notes/\n*.md\n",
        "src/notes/x.txt": "not code",
        "assets/raw/1/d.json": "[1]",
        "environment.yml": 'name: train\nversion: "1"\nimage: example.azurecr.io/train:3\n',
        "components/prep.yml": component(
            "prep",
            "raw: {type: uri_folder}\nfactor: {type: number, min: 0, max: 10}\n"
            "seed: {type: integer, optional: true}",
            "out: {type: uri_folder}",
            "--source ${{inputs.raw}} --factor ${{inputs.factor}} $[[--seed ${{inputs.seed}}]] "
            "--out ${{outputs.out}}",
        ),
        **{
            f"components/{name}.yml": component(
                name,
                "data: {type: uri_folder}",
                "out: {type: uri_folder}",
                "--source ${{inputs.data}} --out ${{outputs.out}}",
            )
            for name in ("left", "right")
        },
        "components/join.yml": component(
            "join",
            "one: {type: uri_folder}\ntwo: {type: uri_folder}\n"
            "mode: {type: string, enum: [fast, slow], default: fast}",
            "file: {type: uri_file}",
            "--source ${{inputs.one}} --other ${{inputs.two}} --seed ${{inputs.mode}} --file ${{outputs.file}}",
        ).replace('version: "1"', 'version: "1"\nis_deterministic: false'),
        "pipeline.yml": """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
name: tiny
experiment_name: tiny-experiment
inputs:
  raw: {type: uri_folder, path: "azureml:raw:1"}
  factor: 2.5
outputs:
  result: {type: uri_file}
settings:
  default_compute: azureml:cpu
jobs:
  prep:
    type: command
    component: components/prep.yml
    inputs:
      raw: ${{parent.inputs.raw}}
      factor: ${{parent.inputs.factor}}
  left:
    type: command
    component: components/left.yml
    inputs:
      data: ${{parent.jobs.prep.outputs.out}}
    environment_variables: {COLOUR: blue}
  right:
    type: command
    component: components/right.yml
    inputs:
      data: ${{parent.jobs.prep.outputs.out}}
    resources: {instance_count: 1}
  join:
    type: command
    component: components/join.yml
    inputs:
      one: ${{parent.jobs.left.outputs.out}}
      two: ${{parent.jobs.right.outputs.out}}
    outputs:
      file: ${{parent.outputs.result}}
""",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


GOOD = {
    "schedule.yml": "name: nightly\ntrigger:\n  type: cron\n  expression: '0 3 * * mon-fri'\n  time_zone: UTC\ncreate_job: ./pipeline.yml\n",
    "recurrence.yml": "name: weekly\ntrigger:\n  type: recurrence\n  frequency: week\n  interval: 1\n  schedule:\n    hours: [3]\n    minutes: 15\n    week_days: [monday]\ncreate_job: ./pipeline.yml\n",
    "sweep.yml": "type: sweep\nsampling_algorithm: random\nsearch_space:\n  depth: {type: choice, values: [2, 3]}\n  rate: {type: loguniform, min_value: -3, max_value: 0}\nobjective: {goal: maximize, primary_metric: roc_auc}\nlimits: {max_total_trials: 8, max_concurrent_trials: 2, timeout: 3600}\nearly_termination: {type: bandit, slack_factor: 0.1}\ntrial:\n  code: ./src\n  command: python steps.py ${{search_space.depth}} ${{search_space.rate}}\n  environment: file:./environment.yml\n",
    "endpoint.yml": "$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineEndpoint.schema.json\nname: freight-prod\nauth_mode: key\ntraffic: {blue: 90, green: 10}\nmirror_traffic: {grey: 20}\n",
    "deployment.yml": "name: blue\nendpoint_name: freight-prod\nmodel: azureml:freight:1\nenvironment: azureml:serve:2\ncode_configuration: {code: ./src, scoring_script: steps.py}\ninstance_type: Standard_DS3_v2\ninstance_count: 1\nrequest_settings: {request_timeout_ms: 5000}\n",
    "monitor.yml": "name: watch\ntrigger: {type: recurrence, frequency: day, interval: 1}\ncreate_monitor:\n  compute: {instance_type: standard_e4s_v3, runtime_version: '3.4'}\n  monitoring_signals:\n    drift:\n      type: data_drift\n      metric_thresholds: {numerical: {jensen_shannon_distance: 0.01}}\n",
}


SPARK = """\
$schema: https://azuremlschemas.azureedge.net/latest/sparkComponent.schema.json
type: spark
name: prep_spark
version: "1"
inputs:
  raw: {type: uri_folder, mode: direct}
  factor: {type: number, min: 0, max: 10}
outputs:
  out: {type: uri_folder, mode: direct}
code: ../src
entry: {file: steps.py}
environment: file:../environment.yml
args: prep --source ${{inputs.raw}} --factor ${{inputs.factor}} --out ${{outputs.out}}
conf:
  spark.driver.cores: 1
  spark.driver.memory: 2g
  spark.executor.cores: 2
  spark.executor.memory: 2g
  spark.executor.instances: 2
"""

SPARK_JOB = """\
  prep:
    type: spark
    component: components/prep_spark.yml
    resources: {instance_type: standard_e4s_v3, runtime_version: "3.5"}
"""
SPARK_COMPONENT = "components/prep_spark.yml"


def on_spark(project: Project) -> Project:
    """The tiny pipeline with its first step on Spark."""
    (project.root / SPARK_COMPONENT).write_text(SPARK)
    project.edit(
        "pipeline.yml", "  prep:\n    type: command\n    component: components/prep.yml\n", SPARK_JOB
    )
    return project
