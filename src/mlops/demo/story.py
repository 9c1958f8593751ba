"""The chapters of the demo, in order. Each is a commit or a decision, and what the lifecycle makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlops.demo.sandbox import Sandbox
from mlops.demo.traffic import Traffic
from mlops.errors import Blocked, TargetError
from mlops.forge.git import Git
from mlops.forge.local import LocalForge
from mlops.lifecycle.apply import apply
from mlops.lifecycle.evidence import gate, sample_requests
from mlops.lifecycle.promote import Promotion, promote, rollback
from mlops.lifecycle.release import release
from mlops.lifecycle.rollout import Event
from mlops.lifecycle.train import Trained, train
from mlops.pipeline import StepEvent
from mlops.spec.files import desired_path, gates_path, load_desired, load_policy, training_path
from mlops.spec.gates import GateReport
from mlops.targets.base import Target

MODEL = "flights"
ACTOR = "Demo"
REVIEWER = "you, in the demo"
ROWS = 2000
# Minutes of analysis are right in earnest and too long to watch.
_STRATEGY = (
    "strategy: {{canary: [10, 50, 100], analysis: {seconds}s, min_requests: 25, "
    "max_error_rate: 0.01, max_latency_p99_ratio: 5, max_prediction_shift: 0.25}}"
)


@dataclass
class Show:
    """Where the story tells what happens; the command line renders it."""

    chapter: Callable[[str, str], None]
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
            ("first", "A first model: train on January to March, release, serve", self.first),
            ("better", "One month more: a commit, the gates, a canary under traffic", self.better),
            ("summer", "A worse idea: the gates block it", self.summer),
            ("loose", "A loosened gate: the release gets through, and the canary sends it back", self.loose),
            ("revert", "Second thoughts: git revert, and the endpoint follows", self.revert),
        ):
            if self.sandbox.finished(name):
                continue
            self.show.chapter(name, title)
            chapter()
            self.sandbox.finish(name)

    def again(self) -> None:
        """A second demo: the same verbs on what is there, which find nothing to do."""
        self.show.chapter("again", "Nothing has changed since the last demo, so nothing is done")
        self.show.say("$ mlops train")
        trained = train(self.sandbox.work, self.target, MODEL, {}, self.show.step)
        self.show.say(f"  {trained.reused} steps reused, still version {trained.version}")
        for env in load_policy(self.sandbox.work).order:
            self._apply(env)

    # --- chapters -------------------------------------------------------------------------------------

    def first(self) -> None:
        self._edit("environments/policy.yaml", lambda text: text.replace("soak: 24h", "soak: 0s"))
        self._commit("Demo: no soak between staging and prod")
        self._release(self._train())
        self._apply("staging")
        self._promote()
        self._apply("prod")

    def better(self) -> None:
        self._window("2013-01..2013-04", "2013-05")
        self._commit("Learn from April too")
        self._release(self._train())
        self._apply("staging")
        self._promote()
        self._apply("prod", traffic=True)

    def summer(self) -> None:
        self._window("2013-06..2013-07", "2013-08")
        self._commit("Learn from the summer only")
        trained = self._run()
        report = self._judge(trained.version)
        if report.passed:
            raise TargetError("the gates let a worse model pass; the demo expected them to block it")
        self.show.say(f"exit {Blocked.exit_code}: nothing is released, and nothing that is served changes")

    def loose(self) -> None:
        path = gates_path(MODEL)
        self.show.say(f"edit {path}: a candidate may now be worse by 0.03")
        self._edit(path, lambda text: re.sub(r"max_drop: 0\.0\d+", "max_drop: 0.03", text))
        self._commit("Loosen the champion gate")
        version = self.target.registry.versions(MODEL)[0].version
        self._pass(self._judge(version))
        self._release(version)
        try:
            self._apply("staging", traffic=True)
        except Blocked as verdict:
            self.show.say(f"exit {verdict.exit_code}: {verdict}")
        else:
            raise TargetError("the canary let the shifted release pass; the demo expected it to be sent back")
        self._rollback("staging", "the canary saw predictions move")
        self._apply("staging")

    def revert(self) -> None:
        merge = self._promotion_of(2)
        self.show.say(f"$ git revert --mainline 1 {merge[:8]} && git push")
        self.sandbox.revert(merge)
        self._apply("prod", traffic=True)

    # --- verbs, as a person would use them ------------------------------------------------------------

    def _train(self) -> int:
        trained = self._run()
        self._pass(self._judge(trained.version))
        return trained.version

    def _run(self) -> Trained:
        self.show.say("$ mlops train")
        return train(self.sandbox.work, self.target, MODEL, {}, self.show.step)

    def _judge(self, version: int) -> GateReport:
        self.show.say(f"$ mlops gate {version}")
        report = gate(self.target, self.sandbox.work, MODEL, version)
        self.show.gates(report)
        return report

    def _pass(self, report: GateReport) -> None:
        if not report.passed:
            raise Blocked(f"version {report.version} does not pass its gates, so the demo ends here")

    def _release(self, version: int) -> None:
        self.show.say(f"$ mlops release {version} && git commit && git push")
        release(self.sandbox.work, self.target, MODEL, version)
        self._edit(desired_path("staging", MODEL), _strategy(1))
        self.sandbox.commit(f"Release {MODEL} {version} to staging")

    def _promote(self) -> None:
        self.show.say("$ mlops promote prod && mlops pr merge")
        now = datetime.now(UTC)
        made = promote(self.sandbox.work, self.target, self._forge, "prod", MODEL, actor=ACTOR, now=now)
        self._merge(made)
        if self._edit(desired_path("prod", MODEL), _strategy(2)):
            self._commit("Demo: canary steps of seconds in prod")

    def _rollback(self, env: str, reason: str) -> None:
        self.show.say(f'$ mlops rollback {env} --reason "{reason}" && mlops pr merge')
        now = datetime.now(UTC)
        self._merge(
            rollback(
                self.sandbox.work,
                self.target,
                self._forge,
                env,
                MODEL,
                actor=ACTOR,
                now=now,
                reason=reason,
            )
        )

    @property
    def _forge(self) -> LocalForge:
        return LocalForge(self.sandbox.origin)

    def _merge(self, made: Promotion) -> None:
        request = made.pull_request
        if request is not None and request.state == "open":
            self._forge.merge(request.number, approver=REVIEWER)
        self.sandbox.pull()

    def _apply(self, env: str, traffic: bool = False) -> None:
        self.show.say(f"$ mlops apply {env}")
        if not traffic:
            apply(self.sandbox.work, self.target, env, MODEL, actor=ACTOR, progress=self.show.event)
            return
        with Traffic(self.target.endpoints, env, MODEL, self._rows(env)) as requests:
            try:
                apply(self.sandbox.work, self.target, env, MODEL, actor=ACTOR, progress=self.show.event)
            finally:
                requests.stop()
                self.show.say(
                    f"{requests.answered} requests were answered meanwhile, {requests.failed} failed"
                )

    def _rows(self, env: str) -> list[dict[str, Any]]:
        """Flights of the month after the new release's training, in random order, one a request."""
        wanted = load_desired(self.sandbox.work, env, MODEL)
        if wanted is None:
            raise TargetError(f"nothing is to be served in {env}, so there is nobody to ask")
        version = self.target.registry.get(MODEL, wanted.release)
        return sample_requests(self.target.registry, version, ROWS)

    # --- edits ----------------------------------------------------------------------------------------

    def _window(self, train_on: str, test_on: str) -> None:
        def change(text: str) -> str:
            text = re.sub(r"(?m)^  window: .*$", f'  window: "{train_on}"', text)
            return re.sub(r"(?m)^  test_window: .*$", f'  test_window: "{test_on}"', text)

        self.show.say(f"edit {training_path(MODEL)}: window {train_on}, test_window {test_on}")
        self._edit(training_path(MODEL), change)

    def _edit(self, path: str, change: Callable[[str], str]) -> bool:
        """Whether the file is different now; a chapter that is told again finds its edits made."""
        file = self.sandbox.work / path
        before = file.read_text(encoding="utf-8")
        after = change(before)
        file.write_text(after, encoding="utf-8")
        return before != after

    def _commit(self, message: str) -> None:
        self.show.say(f"$ git commit -m '{message}' && git push")
        self.sandbox.commit(message)

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


def _strategy(seconds: int) -> Callable[[str], str]:
    """An edit of a desired-state file: how long each canary step is watched."""
    return lambda text: re.sub(r"(?m)^strategy: .*$", _STRATEGY.format(seconds=seconds), text)
