"""A sweep on this machine: limits are kept, nothing learned is lost to a kill, and failures say why."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlops.errors import InvalidInput, Locked, StepFailed
from mlops.pipeline.run.executor import StepServer
from mlops.pipeline.run.sweep import run_sweep
from mlops.pipeline.sweep.result import SweepResult

SCRIPT = """
import os, sys, time
x, n, delay = float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
if os.environ.get("FAIL"):
    sys.exit("the column is missing")
with open(os.path.join(os.environ["METRICS"], os.environ["MLFLOW_RUN_ID"]), "a") as out:
    for step in range(n):
        out.write(f"{x * (step + 1) / n}\\n")
        out.flush()
        time.sleep(delay)
while os.environ.get("STAY") and len(os.listdir(os.environ["METRICS"])) >= int(os.environ["STAY"]):
    time.sleep(0.01)
"""
SWEEP = """
type: sweep
compute: azureml:cpu
sampling_algorithm: {algorithm}
search_space:
  x: {space}
objective: {{goal: maximize, primary_metric: score}}
limits: {limits}
{termination}
inputs: {{reports: 2, delay: 0.01}}
trial:
  code: ./code
  command: python trial.py ${{{{search_space.x}}}} ${{{{inputs.reports}}}} ${{{{inputs.delay}}}}
  environment: azureml:some-environment:1
"""


class FileTracker:
    """Runs whose metrics are lines of a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.status: dict[str, str] = {}
        folder.mkdir(exist_ok=True)

    def create_parent(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        return self._create("parent")

    def create_child(self, parent: str, name: str, tags: Mapping[str, str]) -> str:
        return self._create("child")

    def _create(self, kind: str) -> str:
        run = f"{kind}-{uuid.uuid4().hex[:8]}"
        self.status[run] = "RUNNING"
        return run

    def finish(self, run_id: str, status: str) -> None:
        self.status[run_id] = status

    def left_open(self, parent: str = "") -> dict[str, Mapping[str, str]]:
        return {}

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None: ...

    def env(self) -> Mapping[str, str]:
        return {"METRICS": str(self.folder)}

    def copy_results(self, from_run: str, to_run: str) -> None: ...

    def log_artifacts(self, run_id: str, folder: Path, path: str) -> None: ...

    def history(self, run_id: str, metric: str) -> list[float]:
        path = self.folder / run_id
        return [float(line) for line in path.read_text().splitlines()] if path.exists() else []


def _write(
    folder: Path,
    *,
    algorithm: str = "random",
    space: str = "{type: uniform, min_value: 0, max_value: 1}",
    limits: str = "{max_total_trials: 6, max_concurrent_trials: 2}",
    termination: str = "",
) -> Path:
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / "trial.py").write_text(SCRIPT)
    path = folder / "sweep.yml"
    path.write_text(SWEEP.format(algorithm=algorithm, space=space, limits=limits, termination=termination))
    return path


@pytest.fixture(scope="module")
def server() -> Any:
    made = StepServer([])
    yield made
    made.close()


def _run(path: Path, server: StepServer | None = None, **options: Any) -> SweepResult:
    tracker = options.pop("tracker", None) or FileTracker(path.parent / "metrics")
    return run_sweep(
        path,
        options.pop("inputs", {}),
        tracker=tracker,
        state_dir=path.parent / "state",
        resolve_asset=lambda name, version: "",
        server=server,
        **options,
    )


def test_runs_to_its_limit_and_finds_the_best(tmp_path: Path, server: StepServer) -> None:
    tracker = FileTracker(tmp_path / "metrics")
    result = _run(_write(tmp_path), server, tracker=tracker)
    assert [t.state for t in result.trials] == ["finished"] * 6
    assert result.best is not None
    assert result.best.value == max(t.value or 0 for t in result.trials)
    assert result.best.value == pytest.approx(float(result.best.values["x"]))
    assert set(tracker.status.values()) == {"FINISHED"}


def test_more_trials_go_on_and_draw_nothing_again(tmp_path: Path, server: StepServer) -> None:
    path = _write(tmp_path)
    first = _run(path, server, trials=3)
    second = _run(path, server, trials=6)
    assert second.run_id == first.run_id
    assert second.trials[:3] == first.trials
    assert len({t.values["x"] for t in second.trials}) == 6
    assert _run(path, server, trials=6).trials == second.trials


def test_other_code_is_another_sweep(tmp_path: Path, server: StepServer) -> None:
    path = _write(tmp_path)
    first = _run(path, server, trials=2)
    (tmp_path / "code" / "trial.py").write_text(SCRIPT + "\n# changed\n")
    assert _run(path, server, trials=2).run_id != first.run_id


@pytest.mark.parametrize("algorithm", ["bayesian", "{type: random, rule: sobol, seed: 7}"])
def test_other_samplers(tmp_path: Path, server: StepServer, algorithm: str) -> None:
    result = _run(_write(tmp_path, algorithm=algorithm), server)
    assert len({t.values["x"] for t in result.trials if t.state == "finished"}) == 6


def test_a_grid_is_walked_once(tmp_path: Path, server: StepServer) -> None:
    path = _write(tmp_path, algorithm="grid", space="{type: choice, values: [0.1, 0.2, 0.3]}")
    result = _run(path, server)
    assert sorted(float(t.values["x"]) for t in result.trials) == [0.1, 0.2, 0.3]
    assert _run(path, server).trials == result.trials


def test_a_bad_trial_is_ended_early(tmp_path: Path, server: StepServer) -> None:
    path = _write(
        tmp_path,
        algorithm="{type: grid}",
        space="{type: choice, values: [1.0, 0.1]}",
        termination="early_termination: {type: bandit, slack_factor: 0.1}",
        # One after the other: side by side, the bad one may have ended before the good one has said anything.
        limits="{max_total_trials: 2, max_concurrent_trials: 1}",
    )
    result = _run(path, server, inputs={"reports": "40", "delay": "0.1"})
    by_value = {float(t.values["x"]): t for t in result.trials}
    assert by_value[1.0].state == "finished"
    assert by_value[0.1].state == "stopped"
    assert "the slack of" in by_value[0.1].detail
    assert result.best == by_value[1.0]


def test_a_trial_has_its_time(tmp_path: Path, server: StepServer) -> None:
    path = _write(tmp_path, limits="{max_total_trials: 1, timeout: 60, trial_timeout: 1}")
    with pytest.raises(StepFailed, match="more than 1 s"):
        _run(path, server, inputs={"delay": "30"})


def test_when_every_trial_fails_the_last_words_are_shown(
    tmp_path: Path, server: StepServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "1")
    tracker = FileTracker(tmp_path / "metrics")
    with pytest.raises(StepFailed, match=r"no trial of 3.*(?s:.*)the column is missing"):
        _run(_write(tmp_path), server, tracker=tracker, workers=1)
    assert set(tracker.status.values()) == {"FAILED"}


def test_a_trial_without_the_metric_has_failed(tmp_path: Path, server: StepServer) -> None:
    with pytest.raises(StepFailed, match="logged no metric 'score'"):
        _run(_write(tmp_path), server, inputs={"reports": "0"})


def test_wrong_input_is_named(tmp_path: Path, server: StepServer) -> None:
    with pytest.raises(InvalidInput, match="the sweep has no input 'delai'"):
        _run(_write(tmp_path), server, inputs={"delai": "1"})


def test_kill_and_go_on(tmp_path: Path) -> None:
    """kill -9 in the middle: what was finished stays, what was running is drawn again."""
    path = _write(tmp_path)
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                f"""
                import os, sys
                os.environ["STAY"] = "3"  # who sees a third trial does not end
                sys.path.insert(0, {str(Path(__file__).parent)!r})
                from pathlib import Path
                from test_run import _run
                _run(Path({str(path)!r}))
                """
            ),
        ],
    )
    metrics = tmp_path / "metrics"
    try:
        while len(list(metrics.glob("child-*"))) < 3:
            assert child.poll() is None, "the sweep ended before its third trial"
            time.sleep(0.05)
        with pytest.raises(Locked, match="another process"):
            _run(path)
    finally:
        child.kill()
        child.wait()
    tracker = FileTracker(metrics)
    result = _run(path, tracker=tracker)
    states = [t.state for t in result.trials]
    assert states.count("finished") == 6
    assert states.count("killed") in (1, 2)
    lost = [t for t in result.trials if t.state == "killed"]
    again = {t.values["x"] for t in result.trials if t.state == "finished"}
    assert all(t.values["x"] in again for t in lost)
    assert "KILLED" in tracker.status.values(), "the runs of the dead process were left running"
