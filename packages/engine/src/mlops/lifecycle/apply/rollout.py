"""Carries out a plan, one journaled step after another. Decides nothing but what to do with an analysis.

Before every effect the lease is verified and the step is written to the journal; after it, once more. So
whoever comes next knows what may have happened, and a process that lost its lock stops before it does harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from mlops.errors import Blocked, Inconclusive, TargetError
from mlops.events import Announce, silent
from mlops.lifecycle.apply import smoke
from mlops.lifecycle.decide import analysis, journal
from mlops.lifecycle.decide.analysis import Error, Fail, Pass, TooFew, Verdict, Window, histogram
from mlops.lifecycle.decide.clock import Clock
from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.decide.journal import Kind
from mlops.lifecycle.decide.plan import refuge, turn_back
from mlops.lifecycle.decide.rollout_steps import (
    Analyse,
    CoolDown,
    Create,
    Finish,
    Retire,
    Shift,
    Smoke,
    Step,
    StopEndpoint,
)
from mlops.lifecycle.train.facts import tell
from mlops.spec.files import POLICY
from mlops.spec.live import LIVE, live_tag
from mlops.targets.base import JournalEntry, Lease, Target, TrafficSample

CHAMPION: Final = "champion"
_SMOKE_TRIES = 3
_MOST_SAMPLES = 5000
"""Requests of the sample in one step, however many a verdict would need."""


@dataclass(frozen=True)
class Event:
    """Progress for a person. `seconds` is set when a step is done."""

    kind: Literal["step", "done", "watch", "verdict", "back", "wait"]
    text: str
    step: Step | None = None
    seconds: float | None = None
    share: float | None = None
    """Of a watched window, 0..1."""


Progress = Callable[[Event], None]
Judged = tuple[Verdict, Window | None, Window | None]
"""A verdict and the windows that it is about: the new deployment's and the live one's."""


@dataclass
class Rollout:
    """One apply of one intent, while its lease is held."""

    intent: Intent
    target: Target
    lease: Lease
    artifact: Path
    actor: str
    clock: Clock
    progress: Progress
    announce: Announce = silent
    approved: Sequence[Mapping[str, str]] = ()

    def run(self, steps: tuple[Step, ...]) -> None:
        """Raises `Blocked` (a verdict; traffic is back), `Inconclusive`, `TargetError`, `Locked`."""
        for step in steps:
            began = self.clock.elapsed()
            self.progress(Event("step", step.text, step))
            self.note(Kind.STEP, {"step": step.kind, "text": step.text})
            self.lease.verify()
            self._perform(step)
            self.note(Kind.STEP_DONE, {"step": step.kind})
            took = self.clock.elapsed() - began
            self.progress(Event("done", step.text, step, took))

    def note(self, kind: str, data: Mapping[str, Any]) -> None:
        """One entry of the journal, durable when this returns."""
        self.lease.verify()
        entry = JournalEntry(
            at=self.clock.now(),
            kind=kind,
            model=self.intent.model,
            release=self.intent.release.version,
            actor=self.actor,
            commit=self.intent.commit,
            data=data,
        )
        store, env = self.target.store, self.intent.env
        tell(self.announce, env, lambda: store.entries(env, self.intent.model), entry)
        store.append(env, entry)

    def _perform(self, step: Step) -> None:
        env, model, endpoints = self.intent.env, self.intent.model, self.target.endpoints
        match step:
            case Create():
                endpoints.create(env, step.colour, self.intent.release, self.artifact)
            case Smoke():
                self._smoke(step)
            case Shift():
                endpoints.set_traffic(env, model, dict(step.traffic))
            case Analyse():
                self._analyse(step)
            case Finish():
                self._finish()
            case Retire():
                endpoints.delete(env, model, step.colour)
            case StopEndpoint():
                endpoints.stop(env, model)
            case CoolDown():
                raise AssertionError("apply waits without the lock")

    def _smoke(self, step: Smoke) -> None:
        sample = smoke.read_sample(self.artifact)
        wrong = ""
        for attempt in range(_SMOKE_TRIES):
            if attempt:
                self.clock.sleep(0.5 * attempt)
            try:
                answer = self.target.endpoints.score(
                    self.intent.env, self.intent.model, sample, deployment=step.colour, synthetic=True
                )
            except TargetError as error:
                wrong = str(error)
                continue
            wrong = smoke.complaint(sample, answer)
            if not wrong:
                return
        if step.replaces:
            self.target.endpoints.delete(self.intent.env, self.intent.model, step.colour)
            raise TargetError(
                f"release {self.intent.release.version} of {self.intent.model} does not answer under the new "
                f"settings of its deployment: {wrong}. {step.replaces} serves on as before; correct "
                f"mlops.toml and run `mlops apply {self.intent.env}` again"
            )
        self._fail(f"the smoke test failed: {wrong}", percent=0)

    def _analyse(self, step: Analyse) -> None:
        verdict, new, live = self._watch(step)
        if isinstance(verdict, TooFew) and self.intent.policy.environments[self.intent.env].synthetic_traffic:
            self.progress(
                Event("wait", f"{verdict.seen} {verdict.of} are too few; sending the release's sample", step)
            )
            # What the sample looks like must not become the measure of real requests at the next step.
            (verdict, new, seen), live = self._synthetic(step, verdict), None
        else:
            seen = live
        match verdict:
            case Pass():
                self.progress(Event("verdict", f"passed at {step.percent} %: {verdict.summary}", step))
                self.note(
                    Kind.PASSED,
                    {
                        "percent": step.percent,
                        "summary": verdict.summary,
                        "live": live.plain() if live else None,
                    },
                )
            case Fail():
                evidence = {"new": new.plain() if new else None, "live": seen.plain() if seen else None}
                self._fail(verdict.reason, step.percent, evidence)
            case TooFew():
                self._stop_here(
                    step,
                    f"{verdict.seen} {verdict.of} in {step.seconds:g} s at {step.percent} %, "
                    f"{verdict.needed} are needed for a verdict; traffic stays where it is. Apply again when "
                    f"there is more, or allow `synthetic_traffic` for {self.intent.env} in {POLICY}",
                )
            case Error():
                self._stop_here(step, f"{verdict.reason}; traffic stays where it is. Apply again to go on")

    def _stop_here(self, step: Analyse, reason: str) -> None:
        self.note(Kind.INCONCLUSIVE, {"percent": step.percent, "reason": reason})
        raise Inconclusive(f"no verdict on release {self.intent.release.version}: {reason}")

    def _watch(self, step: Analyse) -> Judged:
        """Look at the window again and again; a failure ends it early, a pass does not."""
        before = self._samples(step)
        end = self.clock.elapsed() + step.seconds
        pause = max(step.seconds / analysis.LOOKS, 0.05)
        while True:
            left = end - self.clock.elapsed()
            if left > 0:
                self.clock.sleep(min(pause, left))
                self.lease.verify()
                left = end - self.clock.elapsed()
            judged = self._judge(step, before, self._samples(step))
            if isinstance(judged[0], Fail | Error) or left <= 0:
                return judged
            self.progress(Event("watch", step.text, step, share=1 - left / step.seconds))

    def _synthetic(self, step: Analyse, few: TooFew) -> Judged:
        """The same rows to both, by name, so that a difference is the model's and not the rows'.

        Errors and latency are the counters'; predictions are those of these rows alone, because people's
        requests reach the two in other proportions.
        """
        before = self._samples(step)
        rows = smoke.single_rows(smoke.read_sample(self.artifact))
        answers: dict[str, list[float]] = {step.colour: [], step.live: []}
        wanted = few.needed if few.of == "predictions" else 0
        for index in range(max(self.intent.desired.strategy.min_requests, min(wanted, _MOST_SAMPLES))):
            if index % 10 == 0:
                self.lease.verify()
            row = next(rows)
            for colour, values in answers.items():
                values.extend(self._ask(row, colour))
        after = self._samples(step)
        new, live = (
            window and replace(window, predictions=histogram(answers[colour], sample.predictions))
            for colour, window, sample in zip(answers, map(Window.between, before, after), after, strict=True)
        )
        return analysis.judge(new, live, self.intent.desired.strategy), new, live

    def _ask(self, row: Mapping[str, Any], colour: str) -> list[float]:
        """The answer as a number; none when there is no answer, which the deployment counts as an error."""
        try:
            answer = self.target.endpoints.score(
                self.intent.env, self.intent.model, row, deployment=colour, synthetic=True
            )
        except TargetError:
            return []
        return smoke.numbers(answer)

    def _judge(
        self,
        step: Analyse,
        before: tuple[TrafficSample, TrafficSample],
        after: tuple[TrafficSample, TrafficSample],
    ) -> Judged:
        new, live = (Window.between(a, b) for a, b in zip(before, after, strict=True))
        strategy = self.intent.desired.strategy
        if step.percent < 100:
            return analysis.judge(new, live, strategy, usual=Window.until(before[1])), new, live
        # At 100 % the live deployment idles: what it did in the last window that was passed stands for it.
        facts = journal.read(self.target.store.entries(self.intent.env, self.intent.model))
        past = Window.of(facts.baseline) if facts.baseline else None
        verdict = analysis.judge(new, past, strategy, alone=past is None)
        if not (isinstance(verdict, Fail) and verdict.slow and new is not None):
            return verdict, new, past
        # That window was another minute: whether the machine is slower now, only the live one can tell.
        why = analysis.slow_for_all(new, self._asked_now(step), strategy)
        return Error(why) if why else verdict, new, past

    def _asked_now(self, step: Analyse) -> Window | None:
        """What the idle live deployment does with the sample now; None where policy sends none."""
        if not self.intent.policy.environments[self.intent.env].synthetic_traffic:
            return None
        _, before = self._samples(step)
        rows = smoke.single_rows(smoke.read_sample(self.artifact))
        for index in range(self.intent.desired.strategy.min_requests):
            if index % 10 == 0:
                self.lease.verify()
            self._ask(next(rows), step.live)
        return Window.between(before, self._samples(step)[1])

    def _samples(self, step: Analyse) -> tuple[TrafficSample, TrafficSample]:
        """(new, live); what cannot be read is no verdict on the model."""
        endpoints, env, model = self.target.endpoints, self.intent.env, self.intent.model
        try:
            return endpoints.sample(env, model, step.colour), endpoints.sample(env, model, step.live)
        except (TargetError, Inconclusive) as error:
            self._stop_here(step, f"the counters cannot be read ({error})")
            raise

    def _fail(self, reason: str, percent: int, evidence: Mapping[str, Any] | None = None) -> None:
        """Recorded first, so that whoever continues after a kill goes back and not forward."""
        intent = self.intent
        verdict: dict[str, Any] = {"percent": percent, "reason": reason, "file_commit": intent.file_commit}
        verdict["approved"] = [dict(one) for one in self.approved]
        self.note(Kind.FAILED, {**verdict, **(evidence or {})})
        observed = self.target.endpoints.state(intent.env, intent.model)
        facts = journal.read(self.target.store.entries(intent.env, intent.model))
        back = refuge(observed, facts, intent.release.version)
        kept = "Nothing is served"
        if back is not None:
            self.progress(Event("back", f"all traffic back to release {back.release}"))
            kept = f"Release {back.release} serves all traffic"
        self.run(turn_back(observed, facts, intent.release.version))
        raise Blocked(
            f"release {intent.release.version} of {intent.model} failed in {intent.env}"
            f"{f' at {percent} %' if percent else ''}: {reason}. {kept}, and automation is on hold; merge"
            f" the rollback (`mlops rollback {intent.env}`) or fix the cause and "
            f'`mlops apply {intent.env} --clear-hold "why"`'
        )

    def _finish(self) -> None:
        intent, registry = self.intent, self.target.registry
        version, tag = intent.release.version, live_tag(intent.env)
        registry.tag(intent.model, version, {tag: LIVE})
        for other in registry.versions(intent.model, {tag: LIVE}):
            if other.version != version:
                registry.tag(intent.model, other.version, {tag: None})
        registry.set_alias(intent.model, intent.env, version)
        if intent.env == intent.policy.order[-1]:
            registry.set_alias(intent.model, CHAMPION, version)
        bypass, hold = intent.desired.bypass, intent.desired.hold
        self.note(
            Kind.FINISHED,
            {
                "digest": intent.release.digest,
                "file_commit": intent.file_commit,
                "bypass": bypass.model_dump(mode="json") if bypass else None,
                "reason": hold.reason if hold else "",
                "approved": [dict(one) for one in self.approved],
            },
        )
