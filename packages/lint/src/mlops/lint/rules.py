"""Every id that the lint can say, how much it weighs, and what it means. `docs/lint.md` shows this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Rule:
    """One id."""

    level: Literal["error", "rule", "note"]
    means: str
    outside: str = ""
    """The note that a house rule becomes where house rules do not count."""


def _errors() -> dict[str, str]:
    return {
        # The file itself
        "yaml": "the file cannot be read as YAML, has a key twice, or holds a merge conflict",
        "unknown-field": "Azure ML refuses a field that it does not know",
        "dropped-field": "a field that nobody refuses and nothing reads",
        "missing-field": "a field that Azure ML requires is not there",
        "wrong-type": "a value of another type than Azure ML reads there",
        "wrong-value": "a word or form that Azure ML does not know there",
        "out-of-range": "a number outside of what Azure ML allows",
        "refused": "`azure-ai-ml` refuses the file for another reason; the sentence is its own",
        # References
        "bad-reference": "a reference to an asset that cannot be one, such as `azureml:x@latest:1`",
        "bad-name": "a name with characters or a length that Azure refuses",
        "missing-file": "a file or folder that is named does not exist",
        "missing-script": "the command or task names a script or module that its code does not have",
        "entry-function": "an entry script lacks `init` or `run`, or is not Python",
        "git-code": "`code` names a git repository, which `azure-ai-ml` refuses",
        "no-environment": "code without the environment that it runs in",
        "image-and-build": "an environment with both of `image` and `build`, or neither",
        # Wiring
        "bad-binding": "an expression that is no binding of this place",
        "unknown-input": "an input that nobody declares",
        "unknown-output": "an output that nobody declares",
        "unknown-job": "a job that the pipeline does not have",
        "missing-input": "a required input is not given",
        "type-mismatch": "an output or input of one type bound to another",
        "bad-literal": "a literal or default that does not fit its input's type, range or words",
        "cycle": "jobs that wait for one another",
        "two-writers": "several jobs write one output of the pipeline",
        "no-writer": "no job writes an output of the pipeline",
        "placeholder": "a `${{…}}` of a command that cannot be filled",
        "optional-input": "`$[[…]]` is missing around an optional input, or stands around a required one",
        "flow": "a condition, loop or block that names no job, or names one twice",
        # Where it runs
        "no-compute": "nothing says where it runs",
        "vm-size": "a size of virtual machine that Azure does not have",
        "instances": "a count of instances or processes that Azure refuses",
        "distribution": "a setting that belongs to another type of distribution",
        "spark": "a Spark job or component that Azure ML refuses",
        # Kinds
        "search-space": "a distribution with wrong or crossed ends, or that the sampling cannot draw",
        "sweep-limits": "limits of a sweep that contradict one another",
        "termination": "an early termination policy that Azure refuses",
        "unused-search-space": "a hyper-parameter that the trial does not use: all trials are alike",
        "mini-batch": "a size of mini-batch, retry or threshold that Azure refuses",
        "task": "a task that lacks what its kind needs",
        "traffic": "traffic that does not sum to 100, or a mirror that Azure refuses",
        "probe": "a probe or request setting outside of what Azure allows",
        "scale": "a smallest number of instances that is larger than the largest",
        "quantity": "cpu or memory that Kubernetes cannot read, or a request above its limit",
        "cron": "a crontab that Azure refuses, or a part of one that it ignores",
        "recurrence": "a recurrence that never fires as written",
        "time-zone": "a time zone that does not exist",
        "window": "an end before its start, or a lookback that is no duration",
        "threshold": "a threshold that can never be, or never be passed",
        "email": "an address that is no e-mail address",
        "asset": "an asset whose path is not what its type says",
    }


def _rules() -> dict[str, str]:
    return {
        "pin-asset": "a model, data asset or environment without a version: a run cannot be repeated",
        "pin-image": "a container image without a tag that stays",
        "pin-environment": "an environment file without `version`",
        "unused-input": "an input that nobody uses",
        "unused-output": "an output that the command never writes",
        "workspace-component": "a component of a workspace or registry instead of a file of this repository",
        "missing-package": "the code of a model imports what the environment of its training job lacks",
        "parameter-apart": "hyper-parameters of the component or `training.yml` are not those of `model.py`",
        "split-on-spark": "a step makes rows by Spark and is given `split`, which Spark does not do",
        "hidden-failures": "a parallel job that hides every failed mini-batch",
        "silent-monitor": "a monitor's signal without thresholds never raises an alert",
        "retired-size": "a size of virtual machine that Azure has retired",
        "silence": "a comment silences a rule without a reason, or names one that does not exist",
    }


def _notes() -> dict[str, str]:
    return {
        "not-read": "an Azure ML file of a kind that the lint does not read",
        "not-here": "Azure ML takes it; this machine cannot run it",
        "given-later": "left to the command line (`--endpoint-name`), or a path that git ignores, a "
        "submodule brings, or a script or page next to the file speaks of",
        "ending-size": "a size of virtual machine that Azure retires within a year, or has retired where "
        "house rules do not count",
        "preview": "`azure-ai-ml` reads it only when its private preview is switched on",
        "azure-unasked": "`azure-ai-ml` is not installed, or could not be asked: its own verdict is missing",
    }


_OUTSIDE = {"retired-size": "ending-size"}
RULES: dict[str, Rule] = {
    **{name: Rule("error", means) for name, means in _errors().items()},
    **{name: Rule("rule", means, _OUTSIDE.get(name, "")) for name, means in _rules().items()},
    **{name: Rule("note", means) for name, means in _notes().items()},
}
