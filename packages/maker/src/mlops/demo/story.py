"""The chapters of the demo, in order. Each is a commit or a decision, and what the lifecycle makes of it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlops.demo.following import RELEASE, REVIEWER, Following, Meanwhile
from mlops.demo.sandbox import Sandbox
from mlops.demo.traffic import Traffic
from mlops.errors import Blocked, TargetError
from mlops.forge.git import Git
from mlops.forge.local import LocalForge
from mlops.forge.pushed.watch import Seen
from mlops.lifecycle.apply.environment import apply
from mlops.lifecycle.apply.rollout import Event
from mlops.lifecycle.decide.journal import Kind
from mlops.lifecycle.propose.promote import Promotion, promote, rollback
from mlops.lifecycle.propose.release import release_branch
from mlops.lifecycle.train.evidence import GATE_TAG, sample_requests, stored_report
from mlops.lifecycle.train.training import train
from mlops.pipeline import StepEvent
from mlops.spec.files import desired_path, gates_path, load_policy, training_path
from mlops.spec.gates import GateReport
from mlops.targets.base import Target

MODEL = "flights"
TRAIN = f"train-{MODEL}"
"""The workflow of this model."""
ACTOR = "Demo"
MODEL_FILES = ("pipelines", "src")
"""What the workflow TRAIN looks at, as far as the demo edits it."""
ROWS = 2000
_A_REQUEST = 10
# Minutes of analysis are right in earnest and too long to watch.
_STRATEGY = (
    "strategy: {{canary: [10, 50, 100], analysis: {seconds}s, min_requests: 25, "
    "max_error_rate: 0.01, max_latency_p99_ratio: 5, max_prediction_shift: {shift}}}"
)


@dataclass
class Show:
    """Where the story tells what happens; the command line renders it."""

    chapter: Callable[[str, str], None]
    seen: Callable[[Seen], None]
    step: Callable[[StepEvent], None]
    event: Callable[[Event], None]
    gates: Callable[[GateReport], None]
    say: Callable[[str], None]


@dataclass
class Story:
    """The whole demo; `tell` runs what has not been told yet, and is safe to interrupt and run again."""

    sandbox: Sandbox
    target: Target
    show: Show

    def tell(self) -> None:
        for name, title, chapter in (
            ("first", "A first model: git push trains, releases and serves it", self.first),
            ("better", "One month more: a commit, the gates, a canary under traffic", self.better),
            ("summer", "A worse idea: the gates block it", self.summer),
            ("loose", "A loosened gate: a person lets it in, and the canary sends it back", self.loose),
            ("revert", "Second thoughts: git revert, and the endpoint follows", self.revert),
        ):
            if self.sandbox.finished(name):
                continue
            self.show.chapter(name, title)
            chapter()
            self.sandbox.finish(name)

    def again(self) -> None:
        """A second demo: a push that touches nothing, and the same verbs, which find nothing to do."""
        self.show.chapter("again", "Nothing has changed since the last demo, so nothing is done")
        self.sandbox.pull()
        self._edit(
            "README.md",
            lambda text: f"{text.rstrip()}\n\nThe demo was here at {datetime.now(UTC):%H:%M:%S}.\n",
        )
        self._push("Say that the demo was here")
        self._following.all()
        self.show.say("$ mlops train")
        trained = train(self.sandbox.work, self.target, MODEL, {}, self.show.step)
        self.show.say(f"  {trained.reused} steps reused, still version {trained.version}")
        for env in load_policy(self.sandbox.work).order:
            self.show.say(f"$ mlops apply {env}")
            done = apply(self.sandbox.work, self.target, env, MODEL, actor=ACTOR, progress=self.show.event)
            self.show.say(f"  {'' if done.changed else 'nothing to do: '}release {done.release} is served")

    # --- chapters -------------------------------------------------------------------------------------

    def first(self) -> None:
        self._edit("environments/policy.yaml", lambda text: text.replace("soak: 24h", "soak: 0s"))
        self._push("Demo: no soak between staging and prod [skip ci]")
        path = training_path(MODEL)
        self.show.say(f"edit {path}: another name for its runs")
        self._edit(path, lambda text: re.sub(r"(?m)^display_name: .*$", "display_name: flights, demo", text))
        self._push("Name the training runs")
        self._trained(1)
        self._serves("staging", 1)
        self._promote(1)
        # Staging is strict: one second of requests has to show what a worse model does.
        for env, seconds, shift in (("staging", 1, 0.05), ("prod", 2, 0.25)):
            self._edit(desired_path(env, MODEL), _strategy(seconds, shift))
        self._push("Demo: canary steps of seconds [skip ci]")

    def better(self) -> None:
        self._window("2013-01..2013-04", "2013-05")
        self._push("Learn from April too")
        self._trained(2)
        self._serves("staging", 2)
        self._promote(2, traffic=True)

    def summer(self) -> None:
        self._window("2013-06..2013-07", "2013-08")
        self._push("Learn from the summer only")
        report = self._judged(3)
        if report.passed:
            raise TargetError("the gates let a worse model pass; the demo expected them to block it")
        self.show.say(f"exit {Blocked.exit_code}: nothing is released, and nothing that is served changes")

    def loose(self) -> None:
        path = gates_path(MODEL)
        self.show.say(f"edit {path}: a candidate may now be worse by 0.03")
        self._edit(path, lambda text: re.sub(r"max_drop: 0\.0\d+", "max_drop: 0.03", text))
        self._push("Loosen the champion gate")
        self._trained(3)
        self._let_in(3)
        # People's requests show the canary what its few own ones cannot.
        self._following.until(self._sent_back, RELEASE, self._traffic("staging", 3))
        self.show.say(f"exit {Blocked.exit_code}: the canary in staging sent release 3 back")
        self._roll_back("staging", "the canary saw predictions move")
        self._serves("staging", 2)

    def revert(self) -> None:
        self.sandbox.pull()
        if self._live("prod") != 1:
            merge = self._promotion_of(2)
            self.show.say(f"$ git revert --mainline 1 {merge[:8]} && git push")
            self._tell(self.sandbox.revert(merge))
        self._serves("prod", 1, traffic=True)

    # --- what a person does -----------------------------------------------------------------------------

    def _push(self, message: str) -> None:
        self.show.say(f"$ git commit -m '{message}' && git push")
        self._tell(self.sandbox.commit(message))

    def _tell(self, said: list[str]) -> None:
        for line in said:
            self.show.say(f"  {line}")

    def _promote(self, version: int, traffic: bool = False) -> None:
        self.show.say("$ mlops promote prod && mlops pr merge")
        now = datetime.now(UTC)
        proposed = promote(self.sandbox.work, self.target, self._forge, "prod", MODEL, actor=ACTOR, now=now)
        self._merge(proposed)
        self._serves("prod", version, traffic)

    def _roll_back(self, env: str, reason: str) -> None:
        self.show.say(f'$ mlops rollback {env} --reason "{reason}" && mlops pr merge')
        where = (self.sandbox.work, self.target, self._forge, env, MODEL)
        self._merge(rollback(*where, actor=ACTOR, now=datetime.now(UTC), reason=reason))

    def _let_in(self, version: int) -> None:
        """A bot merges no release whose gates were loosened. In an interrupted demo it may be in already."""
        for request in self._forge.list_open():
            if request.branch == release_branch(MODEL):
                self.show.say(
                    f"gates ask for less than for release {version - 1}: a person lets {version} in"
                )
                self.show.say(f"$ mlops pr merge {request.number}")
                self._forge.merge(request.number, approver=REVIEWER)
        self.sandbox.pull()

    def _merge(self, made: Promotion) -> None:
        request = made.pull_request
        if request is not None and request.state == "open":
            self._forge.merge(request.number, approver=REVIEWER)
        self.sandbox.pull()

    # --- what the workflows do --------------------------------------------------------------------------

    def _trained(self, version: int) -> None:
        """The workflow TRAIN registered a version that passes, and proposed it."""
        if not self._judged(version).passed:
            raise Blocked(f"version {version} does not pass its gates, so the demo ends here")
        self.sandbox.pull()

    def _judged(self, version: int) -> GateReport:
        """The gates' verdict on a version, by the gates of the newest commit."""
        git = Git(self.sandbox.origin)
        changed = git.run("log", "-1", "--format=%H", "main", "--", *MODEL_FILES)

        def done() -> bool:
            runs = [run for run in self.sandbox.store.runs() if run.workflow == TRAIN]
            # One that was cancelled may have registered a version and not judged it.
            whole = [run for run in runs if run.state in ("success", "failure")]
            if self._newest() != version or not any(git.is_ancestor(changed, run.sha) for run in whole):
                return False
            return GATE_TAG in self.target.registry.get(MODEL, version).tags

        self._following.until(done, TRAIN)
        registered = self.target.registry.get(MODEL, version)
        report = stored_report(self.target.registry, registered)
        self.show.gates(report)
        return report

    def _serves(self, env: str, version: int, traffic: bool = False) -> None:
        meanwhile = self._traffic(env, version) if traffic else contextlib.nullcontext
        self._following.until(lambda: self._live(env) == version, RELEASE, meanwhile)

    def _live(self, env: str) -> int | None:
        live = self.target.endpoints.state(env, MODEL).live
        return live.release if live else None

    def _newest(self) -> int:
        return max((known.version for known in self.target.registry.versions(MODEL)), default=0)

    def _sent_back(self) -> bool:
        entries = self.target.store.entries("staging", MODEL)
        return any(entry.kind == Kind.FAILED and entry.release == 3 for entry in entries)

    @property
    def _forge(self) -> LocalForge:
        return LocalForge(self.sandbox.origin)

    @property
    def _following(self) -> Following:
        return Following(self.sandbox.store, self.show.say, self.show.seen)

    def _traffic(self, env: str, version: int) -> Meanwhile:
        """Requests to `env` meanwhile: flights of the month after a version's training."""

        @contextlib.contextmanager
        def meanwhile() -> Iterator[None]:
            rows = sample_requests(self.target.registry, self.target.registry.get(MODEL, version), ROWS)
            with Traffic(self.target.endpoints, env, MODEL, _together(rows)) as requests:
                yield
                requests.stop()
            told = f"{requests.answered} requests were answered meanwhile, {requests.failed} failed"
            self.show.say(told)

        return meanwhile

    # --- edits ----------------------------------------------------------------------------------------

    def _window(self, train_on: str, test_on: str) -> None:
        def change(text: str) -> str:
            text = re.sub(r"(?m)^  window: .*$", f'  window: "{train_on}"', text)
            return re.sub(r"(?m)^  test_window: .*$", f'  test_window: "{test_on}"', text)

        self.show.say(f"edit {training_path(MODEL)}: window {train_on}, test_window {test_on}")
        self._edit(training_path(MODEL), change)

    def _edit(self, path: str, change: Callable[[str], str]) -> None:
        """A chapter that is told again finds its edits made."""
        file = self.sandbox.work / path
        file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")

    def _promotion_of(self, version: int) -> str:
        """The merge commit that brought a release into prod."""
        path = desired_path("prod", MODEL)
        for commit in Git(self.sandbox.work).log(path):
            if f"Promote {MODEL} {version} to prod" in commit.subject:
                return commit.id
        raise TargetError(f"no commit of {path} promotes release {version}")


def flights_to_score(target: Target, env: str) -> dict[str, Any]:
    """Three flights of the test month, in one request to the live model of `env`."""
    live = target.endpoints.state(env, MODEL).live
    if live is None:
        raise TargetError(f"nothing is served in {env}")
    version = target.registry.get(MODEL, live.release)
    requests = sample_requests(target.registry, version, 3)
    columns = requests[0]["input_data"]["columns"]
    data = [row for request in requests for row in request["input_data"]["data"]]
    return {"input_data": {"columns": columns, "index": list(range(len(data))), "data": data}}


def _together(requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Requests of one row as requests of `_A_REQUEST`: a shift of predictions is told from chance by rows."""
    columns = requests[0]["input_data"]["columns"]
    rows = [row for request in requests for row in request["input_data"]["data"]]
    parts = (rows[first : first + _A_REQUEST] for first in range(0, len(rows), _A_REQUEST))
    return [{"input_data": {"columns": columns, "data": part}} for part in parts]


def _strategy(seconds: int, shift: float) -> Callable[[str], str]:
    """An edit of a desired-state file: how long each canary step is watched, and what it allows."""
    strategy = _STRATEGY.format(seconds=seconds, shift=shift)
    return lambda text: re.sub(r"(?m)^strategy: .*$", strategy, text)
