"""`mlops retrain`: a breach becomes one pull request and, if policy allows, a model that passes the gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

from mlops.errors import Blocked, IntegrityError, InvalidInput, Problem
from mlops.events import publish
from mlops.forge.base import Forge, Proposal, PullRequest, let_in, propose
from mlops.forge.git import Git
from mlops.lifecycle.decide.retraining import Answer, Decision, Outcome, Rows, Start, decide
from mlops.lifecycle.decide.transitions import frozen, on_hold
from mlops.lifecycle.desired.desired_files import desired_text
from mlops.lifecycle.desired.proven import counting_report, live_version, record_release, refuse_unrecorded
from mlops.lifecycle.propose.proposal import gate_table, loosened_words, merges_by_itself
from mlops.lifecycle.propose.release import (
    describe,
    loosened_since,
    release_text,
    retrain_branch,
)
from mlops.lifecycle.train.evidence import gate
from mlops.lifecycle.train.ingest import newest
from mlops.lifecycle.train.lineage import checkout
from mlops.lifecycle.train.training import train
from mlops.lifecycle.watch.labels import observations
from mlops.lifecycle.watch.monitor import observed, title, verdicts
from mlops.lifecycle.watch.recorded import recorded_until
from mlops.pipeline import StepEvent
from mlops.spec._base import Spec
from mlops.spec._edit import Editor
from mlops.spec._yaml import Document
from mlops.spec.desired import DesiredState
from mlops.spec.events import RetrainStarted
from mlops.spec.files import FREEZE, desired_path, load_policy, release_path, training_path
from mlops.spec.gatepolicy import load_gates
from mlops.spec.gates import GateReport
from mlops.spec.monitoring import MonitorReport
from mlops.spec.policy import Freeze
from mlops.spec.split import Part
from mlops.spec.window import Window
from mlops.targets.base import ModelVersion, Observations, Record, Target

RECORDS: Record = "retrains"
_STARTED, _ANSWERED = "-1-started.json", "-2-answered.json"
_LEASE = 120.0
_DATA = "mlops.data.name"
RAW = "raw"
"""Input of a training pipeline that names the data asset."""
Kept = TypeVar("Kept", bound=Spec)


@dataclass(frozen=True)
class Retrained:
    """What was done about the last verdict."""

    outcome: Outcome
    reason: str
    verdict: str = ""
    window: str = ""
    test_window: str = ""
    version: int | None = None
    pull_request: str = ""


def retrain(
    root: Path,
    target: Target,
    forge: Callable[[], Forge],
    env: str,
    model: str,
    *,
    now: datetime,
    progress: Callable[[StepEvent], None],
) -> Retrained:
    """Answer the last verdict on `model` in `env`; nothing happens without a breach that has no answer.

    One at a time (`Locked` names the other). A killed run is gone on with by the next. A model that its
    gates block changes nothing that is served or asked for; the pull request is closed and says why.
    """
    keep = observations(target)
    live = live_version(target.registry, model, env)
    if live is None:
        return Retrained("nothing", f"no release of {model} is live in {env}")
    policy = load_gates(root, model).monitoring.retrain
    facts = checkout(root, model)

    def decided(ends: date | None = None) -> Decision:
        return decide(
            verdicts(target, env, model),
            _kept(keep, env, model, _STARTED, Start),
            _kept(keep, env, model, _ANSWERED, Answer),
            live=live.version,
            learned=_learned(live),
            newest=newest(target, live.tags.get(_DATA, "")),
            policy=policy,
            now=now,
            ends=ends,
        )

    first = decided()
    if first.outcome == "nothing":
        return Retrained("nothing", first.reason)
    ends = _ends(root, target, live, first)
    with target.store.lock(f"{env}-retrain-{model}", f"retrain of {model} by {facts.actor}", _LEASE):
        # Somebody may have answered while this process waited or looked.
        decision = decided(ends)
        if decision.rows is None or decision.report is None:
            return Retrained("nothing", decision.reason)
        work = _Work(root, target, forge(), env, model, decision.report, decision.rows)
        # Before hours of training, not after them.
        kept_off = held(root, env, model, now) if decision.outcome == "train" else ""
        if decision.outcome == "propose" or kept_off:
            why = kept_off or decision.reason
            request = work.propose(why)
            outcome: Outcome = "waiting" if policy.train else "proposed"
            return work.done(outcome, why, request=request)
        if facts.dirty:
            raise Blocked(
                "this checkout has uncommitted changes, and a model must name the commit that made it; "
                "commit or stash them and run mlops retrain again"
            )
        start = Start(
            verdict=decision.report.id,
            model=model,
            release=live.version,
            at=now,
            window=str(decision.rows.window),
            test_window=str(decision.rows.test),
            data=decision.rows.data,
            actor=facts.actor,
        )
        done = work.train(start, progress)
        answer = Answer(
            verdict=decision.report.id,
            release=live.version,
            at=datetime.now(UTC),
            window=start.window,
            test_window=start.test_window,
            data=start.data,
            outcome=done.outcome,
            reason=done.reason,
            version=done.version,
            pull_request=done.pull_request,
        )
        _keep(keep, env, model, f"{answer.verdict}{_ANSWERED}", answer)
        return done


def held(root: Path, env: str, model: str, now: datetime) -> str:
    """Why the newest commit of the base branch keeps automation off: a hold where the breach is or where the
    new release would go first, or a freeze there. Empty when nothing does.
    """
    git = Git(root)
    tip = git.fetch(git.default_branch())
    first = load_policy(root).order[0]
    for place in dict.fromkeys((first, env)):
        path = desired_path(place, model)
        text = git.show(tip, path)
        desired = Document(text, path).parse(DesiredState) if text is not None else None
        if why := on_hold(desired, place, model):
            return f"{why}, and nothing is trained before"
    text = git.show(tip, FREEZE)
    freeze = Document(text, FREEZE).parse(Freeze) if text else Freeze()
    why = frozen(freeze, now, first, model)
    return f"{why}, and nothing is trained before" if why else ""


@dataclass(frozen=True)
class _Work:
    """One breach of one model, and what is proposed about it."""

    root: Path
    target: Target
    forge: Forge
    env: str
    model: str
    report: MonitorReport
    rows: Rows

    def train(self, start: Start, progress: Callable[[StepEvent], None]) -> Retrained:
        request = self.propose("a model is being trained on these rows")
        _keep(observations(self.target), self.env, self.model, f"{self.report.id}{_STARTED}", start)
        publish(
            self.root,
            RetrainStarted(
                model=self.model,
                environment=self.env,
                release=start.release,
                window=start.window,
                test_window=start.test_window,
                started=start.at,
                reason=self.report.reason,
                url=request.url,
            ),
            start.at,
        )
        trained = train(self.root, self.target, self.model, self._inputs, progress)
        judged = gate(self.target, self.root, self.model, trained.made)
        if judged.passed:
            version = self.target.registry.get(self.model, trained.made)
            # As `mlops release` does: a release must never name a version that an environment cannot read.
            self.target.registry.share(self.model, trained.made)
            files, weaker = self._release_files(version, judged)
            request = self.propose(
                f"version {trained.version} was trained on these rows and passes its gates",
                gates=judged,
                files=files,
                weaker=weaker,
            )
            first = load_policy(self.root).order[0]
            if merges_by_itself(load_policy(self.root).environments[first], weaker):
                request = let_in(self.forge, request)
            merged = ", which is merged," if request.state == "merged" else ""
            return self.done(
                "released",
                f"version {trained.version} passes its gates; "
                f"the pull request{merged} releases it to {first}",
                version=trained.version,
                request=request,
            )
        names = ", ".join(g.name for g in judged.blocking)
        why = (
            f"version {trained.version}, trained on {self.rows}, is blocked by its gates ({names}), so "
            f"release {start.release} stays and nothing changes"
        )
        request = self.propose(why, gates=judged)
        self.forge.close(request.number, why)
        return self.done("blocked", why, version=trained.version, request=request)

    @property
    def _inputs(self) -> dict[str, str]:
        """Of the training pipeline: the windows, and the newest raw data if there are newer ones."""
        windows = {}
        if not self.rows.data:
            windows = {"window": str(self.rows.window), "test_window": str(self.rows.test)}
        version = self.target.registry.get(self.model, self.report.release or 0)
        name, known = version.tags[_DATA], version.tags["mlops.data.version"]
        there = newest(self.target, name)
        return windows if there in (None, known) else {**windows, RAW: f"azureml:{name}:{there}"}

    def done(
        self, outcome: Outcome, reason: str, *, version: int | None = None, request: PullRequest | None = None
    ) -> Retrained:
        return Retrained(
            outcome,
            reason,
            self.report.id,
            str(self.rows.window),
            str(self.rows.test),
            version,
            request.url if request else "",
        )

    def propose(
        self,
        status: str,
        *,
        gates: GateReport | None = None,
        files: dict[str, str] | None = None,
        weaker: Sequence[str] = (),
    ) -> PullRequest:
        """Open or update the pull request; running it again gives the same one."""
        git = Git(self.root)
        base = git.default_branch()
        tip = git.fetch(base)
        path = training_path(self.model)
        text = git.show(tip, path)
        if text is None:
            raise InvalidInput(f"{path} is not in {base}; a model is retrained by what is merged")
        proposal = Proposal(
            branch=retrain_branch(self.model, self.env),
            title=f"Retrain {self.model} on {self.rows}, test on {self.rows.test}",
            body=loosened_words(weaker) + body(self.report, self.rows, status, gates),
            files={path: pipeline_text(text, path, self._inputs), **(files or {})},
            reviewers=tuple(load_policy(self.root).environments[self.env].approvers),
        )
        return propose(git, self.forge, proposal, base, tip)

    def _release_files(self, version: ModelVersion, judged: GateReport) -> tuple[dict[str, str], list[str]]:
        """The two files that `mlops release` writes, on top of the base branch; which gates were loosened."""
        git = Git(self.root)
        tip = git.fetch(git.default_branch())
        counts = counting_report(self.target.registry, version, judged)
        described = describe(version, counts)
        refuse_unrecorded(self.target.registry, described)
        record_release(self.target.registry, described, counts)
        first = load_policy(self.root).order[0]
        path = desired_path(first, self.model)
        before = git.show(tip, path)
        replaces = None
        if before is not None:
            there = Document(before, path).parse(DesiredState)
            if why := on_hold(there, first, self.model):
                raise Blocked(why)
            replaces = there.release if there.release != described.version else there.replaces
        text = desired_text(before, path, release=described.version, replaces=replaces)
        files = {release_path(self.model, described.version): release_text(described), path: text}
        return files, loosened_since(git, tip, described, replaces)


def body(report: MonitorReport, rows: Rows, status: str, gates: GateReport | None) -> str:
    """What a reviewer reads; pure."""
    parts = [
        f"Release {report.release} of `{report.model}` in **{report.environment}** is beyond its limits in "
        f"the traffic from {report.window.start:%Y-%m-%d %H:%M} to {report.window.end:%Y-%m-%d %H:%M %Z} "
        f"({report.rows:,} rows, {report.labelled:,} with a label; compared with "
        f"{report.reference_rows:,} {report.reference}).",
        f"**State:** {status}.",
        "### What is broken",
        _signals(report),
        "### What is proposed",
        f"Learn from {rows}, test on {rows.test}. Merging this changes "
        f"`{training_path(report.model)}`; the training that follows goes through the same gates.",
    ]
    if gates is not None:
        parts += [f"### Gates of version {gates.version}", gate_table(gates.gates)]
    return "\n\n".join([*parts, f"Verdict `{report.id}` of `mlops monitor`."]) + "\n"


def _signals(report: MonitorReport) -> str:
    rows = [f"| {title(s)} | {observed(s)} | {s.limit} | {s.detail} |" for s in report.breaches]
    return "\n".join(["| signal | observed | limit | |", "|---|---|---|---|", *rows])


def pipeline_text(text: str, name: str, inputs: dict[str, str]) -> str:
    """A training pipeline with other values of some inputs; every other byte stays. Pure.

    Raises `InvalidInput` when an input is not there as one value on one line.
    """
    editor = Editor(text, name)
    for key, value in inputs.items():
        one_line = not isinstance(editor.get(("inputs", key)), dict)
        place = ("inputs", key) if one_line else ("inputs", key, "path")
        if not isinstance(editor.get(place), str):
            message = "must be one text on one line to be retrained"
            raise InvalidInput(Problem(f"{name}:{editor.line(place)}", message, f"inputs.{key}"))
        editor.put(place, value)
    return editor.text


def _ends(root: Path, target: Target, live: ModelVersion, wanted: Decision) -> date | None:
    """Where the data end that would be learned from; None where nobody knows, or nothing has a clock."""
    tested = _learned(live).test.window
    test = wanted.rows.test.window if wanted.rows is not None else None
    if tested is None or test is None or (wanted.rows is not None and wanted.rows.data):
        return None
    name = live.tags[_DATA]
    version = newest(target, name) or live.tags["mlops.data.version"]
    # It was tested on the first of these, so that has rows: a use case need not know what none look like.
    span = Window(tested.first, max(tested.last, test.last), tested.unit)
    return recorded_until(root, target, live.model, (name, version), span)


def _learned(live: ModelVersion) -> Rows:
    """Raises `IntegrityError` when the version does not say what it learned from."""
    tags = live.tags
    try:
        window, test = Part.parse(tags["mlops.data.window"]), Part.parse(tags["mlops.data.test_window"])
        return Rows(window, test, "" if window.window else tags["mlops.data.version"])
    except (KeyError, ValueError):
        raise IntegrityError(
            f"{live.model} {live.version} does not say which rows it learned from (tags mlops.data.window "
            "and mlops.data.test_window), so no newer ones can be chosen; train it with mlops train"
        ) from None


def _kept(keep: Observations, env: str, model: str, ending: str, form: type[Kept]) -> list[Kept]:
    paths = [p for p in keep.files(env, model, RECORDS) if p.name.endswith(ending)]
    return [form.model_validate_json(path.read_bytes()) for path in paths]


def _keep(keep: Observations, env: str, model: str, name: str, record: Spec) -> None:
    keep.add(env, model, RECORDS, name, record.model_dump_json(indent=2).encode())
