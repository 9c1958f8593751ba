"""`mlops demo --drift`: months go by in production, and what the model was judged on is no longer true.

Goes on where the story ends: prod serves release 1, trained on January to March. Its flights of May and June
are replayed with the labels as they came; nothing here is made up, so that what breaks is what broke.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mlops.demo.story import ACTOR, MODEL, Story
from mlops.errors import Blocked, TargetError
from mlops.forge.git import Git
from mlops.lifecycle.apply.environment import apply
from mlops.lifecycle.desired.desired_files import write_desired
from mlops.lifecycle.train.evidence import stored_report
from mlops.lifecycle.watch.backtest import Cost, compare
from mlops.lifecycle.watch.labels import add_labels
from mlops.lifecycle.watch.monitor import monitor, observed, title, verdicts
from mlops.lifecycle.watch.replay import replay
from mlops.lifecycle.watch.retrain import retrain
from mlops.spec._yaml import Document
from mlops.spec.desired import DesiredState
from mlops.spec.files import desired_path, gates_path, load_policy
from mlops.spec.gatepolicy import load_gates
from mlops.spec.monitoring import MonitorReport
from mlops.spec.window import Window
from mlops.targets.base import ModelVersion

ENV = "prod"
QUIET, BREACH = "2013-05", "2013-06"
LATER = "2013-07..2013-12"
"""Months that neither version has seen."""
METRICS = ("roc_auc", "calibration_gap")
_LOOSENED = "Loosen the champion gate"
_CAPTURE = "[models.flights.capture]\n"
# A minute until captured rows are in a file is right in earnest and too long to watch.
_SOON = f"{_CAPTURE}file_seconds = 2.0\n"


@dataclass(frozen=True)
class Gain:
    """What retraining brought: both versions on the month of the breach and on every later one."""

    old: int
    new: int
    trained_on: str
    costs: Sequence[Cost]
    low: float | None
    high: float | None
    """What monitoring allows the calibration gap to be; None is no limit."""

    def of(self, version: int, month: str) -> Cost:
        return next(c for c in self.costs if (c.version, c.month) == (version, month))

    @property
    def months(self) -> list[str]:
        return sorted({c.month for c in self.costs})

    def gain(self, month: str) -> float:
        """In ROC AUC; negative where the old version is better."""
        return self.of(self.new, month).metrics["roc_auc"] - self.of(self.old, month).metrics["roc_auc"]

    def gap(self, version: int, month: str) -> float:
        """Mean prediction minus the share of late flights."""
        return self.of(version, month).metrics["calibration_gap"]

    def beyond(self, version: int) -> list[str]:
        """Later months whose calibration gap is beyond what monitoring allows."""
        months_beyond = []
        for month in self.months:
            gap = self.gap(version, month)
            low = self.low is not None and gap < self.low
            if month != BREACH and (low or (self.high is not None and gap > self.high)):
                months_beyond.append(month)
        return months_beyond


class Season(Story):
    """The chapters after the story; `tell` runs those that have not been told, as the story's does."""

    def tell(self) -> None:
        there = True
        for name, heading, chapter in (
            ("season", "Months go by: the gates as they were, and what is asked is kept", self.prepare),
            ("may", "May: the model is what it was judged to be", self.may),
            ("june", "June: a breach, and it is real", self.june),
            ("retrain", "The answer: more months, one pull request, the same gates", self.answer),
            ("autumn", "The new release goes live", self.live),
        ):
            if self.sandbox.finished(name):
                continue
            there = False
            self.show.chapter(name, heading)
            chapter()
            self.sandbox.finish(name)
        if there:
            self.show.chapter("season", "The breach of June has been answered, so nothing is done")

    def measured(self) -> Gain:
        """Old against new on recorded months, by the scoring core that serves them."""
        new = self._retrained()
        breached = (v.release for v in verdicts(self.target, ENV, MODEL) if v.outcome == "breach")
        old = next(breached, None)
        if old is None:
            raise TargetError(f"there is no verdict on {BREACH} any more; run mlops demo --drift --fresh")
        months = [*Window.parse(BREACH).split(), *Window.parse(LATER).split()]
        self.show.say(f"$ mlops backtest {old} {new.version} --window {BREACH}..{LATER.partition('..')[2]}")
        costs = compare(
            self.sandbox.work,
            self.target,
            MODEL,
            versions=[old, new.version],
            months=months,
            metrics=METRICS,
        )
        rules = load_gates(self.sandbox.work, MODEL).monitoring.performance
        limit = next((rule for rule in rules if rule.metric == "calibration_gap"), None)
        return Gain(
            old,
            new.version,
            new.tags["mlops.data.window"],
            costs,
            limit.min if limit else None,
            limit.max if limit else None,
        )

    # --- chapters -------------------------------------------------------------------------------------

    def prepare(self) -> None:
        self.sandbox.pull()
        path = gates_path(MODEL)
        self.show.say(f"edit {path}: the limits from before they were loosened")
        before = self._before_loosened(path)
        self._edit(path, lambda _: before)
        self._lift_holds()
        self.show.say("edit mlops.toml: captured rows are in a file after two seconds")
        self._edit("mlops.toml", lambda text: text if _SOON in text else text.replace(_CAPTURE, _SOON))
        self._push("Demo: strict gates, no hold, captured rows within seconds [skip ci]")
        # The server takes its settings when it starts, and writes out what it holds when it ends.
        self.show.say(f"restart the endpoint, then $ mlops apply {ENV}")
        self._reopen()
        self.target.endpoints.stop(ENV, MODEL)
        apply(self.sandbox.work, self.target, ENV, MODEL, actor=ACTOR, progress=self.show.event)

    def may(self) -> None:
        report = self._judged_month(QUIET)
        if report.outcome != "pass":
            raise TargetError(f"the demo expected May to pass: {report.reason}")

    def june(self) -> None:
        report = self._judged_month(BREACH)
        if report.outcome != "breach":
            raise TargetError(f"the demo expected a breach in June: {report.reason}")
        told = f"a verdict, not a failure; release {report.release} goes on serving"
        self.show.say(f"exit {Blocked.exit_code}: {told}")

    def answer(self) -> None:
        self._reopen()
        self.sandbox.pull()
        self.show.say(f"$ mlops retrain {ENV}")
        done = retrain(
            self.sandbox.work,
            self.target,
            lambda: self._forge,
            ENV,
            MODEL,
            now=datetime.now(UTC),
            progress=self.show.step,
        )
        self.show.say(f"  {done.outcome}: {done.reason}")
        if done.outcome == "blocked":
            raise Blocked(done.reason)
        if done.pull_request:
            self.show.say(f"  one pull request has the evidence and the release: {done.pull_request}")
        version = self._retrained()
        self.show.gates(stored_report(self.target.registry, version))
        self._serves("staging", version.version)

    def live(self) -> None:
        self._reopen()
        self.sandbox.pull()
        self._promote(self._retrained().version, traffic=True)

    # --- parts ----------------------------------------------------------------------------------------

    def _judged_month(self, month: str) -> MonitorReport:
        """A month as traffic of prod, its labels, and the verdict on both."""
        self._reopen()
        labels = self.sandbox.folder / f"{month}.parquet"
        where = (self.target, ENV, MODEL)
        self.show.say(f"$ mlops replay {month} --env {ENV} --labels {labels.name}")
        sent = replay(self.sandbox.work, *where, month=Window.parse(month), labels=labels)
        self.show.say(f"  {sent.rows:,} flights were asked of release {sent.release}, every one of the month")
        self.show.say(f"$ mlops labels add {labels.name} --env {ENV}")
        added = add_labels(*where, labels, datetime.now(UTC))
        self.show.say(f"  {added.rows:,} labels")
        self.show.say(f"$ mlops monitor {ENV} --window {sent.window}")
        now = datetime.now(UTC)
        report = monitor(self.sandbox.work, *where, now=now, window=sent.captured)
        self.show.say(f"  {report.outcome}: {report.reason}")
        for signal in report.signals:
            if signal.kind == "performance":
                told = f"{title(signal)}: {observed(signal)}; {signal.limit} {signal.detail}"
                self.show.say(f"  {signal.verdict}: {told.strip()}")
        return report

    def _retrained(self) -> ModelVersion:
        """The version that learned from all months before the breach."""
        last = Window.parse(BREACH)
        for version in reversed(self.target.registry.versions(MODEL)):
            if version.tags.get("mlops.data.test_window") == str(last):
                return version
        raise TargetError(f"no version of {MODEL} was tested on {BREACH}; run mlops demo --drift again")

    def _lift_holds(self) -> None:
        """A rollback holds its environment until a person has looked; a retrained release must get in."""
        for env in load_policy(self.sandbox.work).order:
            path = desired_path(env, MODEL)
            file = self.sandbox.work / path
            there = Document.read(file, path).parse(DesiredState)
            if there.hold is not None:
                self.show.say(f"edit {path}: no hold any more ({there.hold.reason})")
                write_desired(file, there.release, there.replaces, hold=None)

    def _before_loosened(self, path: str) -> str:
        git = Git(self.sandbox.work)
        for commit in git.log(path):
            if commit.subject == _LOOSENED and (text := git.show(f"{commit.id}^", path)) is not None:
                return text
        raise TargetError(f"no commit of {path} is called {_LOOSENED!r}, so there is nothing to go back to")

    def _reopen(self) -> None:
        """The target with the settings of the newest commit; it has read them once."""
        from mlops.spec.settings import load_settings
        from mlops.targets import open_target

        self.target = open_target("local", self.sandbox.work, load_settings(self.sandbox.work))
