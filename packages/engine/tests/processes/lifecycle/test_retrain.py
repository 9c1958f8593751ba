"""One breach is one pull request, never two trainings at a time, and nothing else is touched when the new
model does not pass. Training and gates are stood in for here; packages/maker/tests/e2e runs the real ones."""

from __future__ import annotations

import subprocess
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from monitor_world import ENV, MODEL, NOW, MonitorWorld, rows

from mlops.errors import Blocked, IntegrityError, InvalidInput, Locked, StepFailed
from mlops.events.outbox import FILE as OUTBOX
from mlops.forge.local import LocalForge
from mlops.lifecycle.desired.proven import recorded
from mlops.lifecycle.propose import release as release_module
from mlops.lifecycle.propose.release import ReleaseResult
from mlops.lifecycle.train.training import Trained
from mlops.lifecycle.watch import retrain as module
from mlops.lifecycle.watch.labels import add_labels
from mlops.lifecycle.watch.monitor import monitor
from mlops.lifecycle.watch.retrain import Retrained, pipeline_text, retrain
from mlops.spec.gates import GateReport, GateResult, Interval
from mlops.spec.proof import judged_tags

PIPELINE = """\
# comment
inputs:
  raw: {type: uri_folder, path: azureml:raw:1}
  window: 2013-01..2013-03   # months
  test_window: "2013-04"
"""
DESIRED = "release: 1\nreplaces: null\nhold: null\n"


class Repository:
    def __init__(self, folder: Path) -> None:
        root = folder / "work"
        root.mkdir()
        self.world = MonitorWorld(root)
        self.root = root
        (root / "pipelines/toy/training.yml").write_text(PIPELINE)
        (root / "environments/staging").mkdir()
        (root / "environments/staging/toy.yaml").write_text(DESIRED)
        (root / ".gitignore").write_text(".mlops/\nruns/\nartifact-*/\nlabels.parquet\n")
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("config", "user.name", "Ann")
        self.git("config", "user.email", "ann@localhost")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Start")
        bare = folder / "origin.git"
        subprocess.run(["git", "clone", "--quiet", "--bare", str(root), str(bare)], check=True)
        self.git("remote", "add", "origin", str(bare))
        self.forge = LocalForge(bare)
        self.trained: list[dict[str, str]] = []

    def git(self, *args: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.root), *args], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def breach(self, now: datetime = NOW, *, month: str = "2013-06") -> None:
        frame = self.world.capture(rows(1000, seed=3, seats=60))
        last = {"2013-06": 30, "2013-07": 31}[month]
        times = [f"{month}-01", *[f"{month}-{last}"] * (len(frame) - 1)]
        add_labels(self.world.target, ENV, MODEL, self.world.labels(frame, time=times), now)
        report = monitor(self.root, self.world.target, ENV, MODEL, now=now)
        assert report.outcome == "breach" and report.events == f"{month}-01..{month}-{last}"

    def merged(self, path: str, text: str) -> None:
        """A change of one file that main has."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.git("pull", "--quiet", "--rebase", "--autostash", "origin", "main")
        self.git("add", path)
        self.git("commit", "--quiet", "--message", f"Change {path}", "--", path)
        self.git("push", "--quiet", "origin", "HEAD:main")

    def retrain(self, now: datetime = NOW) -> Retrained:
        return retrain(
            self.root, self.world.target, lambda: self.forge, ENV, MODEL, now=now, progress=lambda _: None
        )

    def show(self, path: str, branch: str = "retrain/toy-prod") -> str:
        return self.forge.git.run("show", f"{branch}:{path}")


def gate_report(version: int, verdict: str) -> GateReport:
    return GateReport(
        model=MODEL,
        version=version,
        champion=1,
        rows=100,
        confidence=0.95,
        metrics={"roc_auc": Interval(value=0.9, low=0.8, high=0.95, champion=0.7)},
        gates=[GateResult(name="champion roc_auc", verdict=verdict, observed="-0.1", limit="no")],  # type: ignore[arg-type]
    )


def gate_of(verdict: str) -> Any:
    """Says `verdict`, and records it as the gates do."""

    def gate(target: Any, root: Path, model: str, version: int) -> GateReport:
        report = gate_report(version, verdict)
        there = target.registry.get(model, version)
        tags = judged_tags(recorded(target.registry, there, seal=True), report, there.created)
        target.registry.tag(model, version, tags)
        return report

    return gate


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    made = Repository(tmp_path)

    def train(root: Path, target: Any, model: str, inputs: dict[str, str], progress: Any) -> Trained:
        made.trained.append(inputs)
        if not any(v.version == 2 for v in made.world.registry.versions(MODEL)):
            made.world.release(2, live=False)
        digest = "sha256:" + "a" * 64
        tags = {
            "mlops.digest": made.world.registry._artifacts[MODEL, 2][0],
            "mlops.commit": made.git("rev-parse", "HEAD"),
            "mlops.branch": "main",
            "mlops.actor": "Ann",
            "mlops.pipeline": "pipelines/toy/training.yml",
            "mlops.pipeline.digest": digest,
            "mlops.environment.digest": digest,
            "mlops.data.digest": digest,
        }
        made.world.registry.tag(MODEL, 2, tags)
        return Trained(MODEL, 2, digest, "run-2", True, ())

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "recorded_until", lambda *_: None)
    monkeypatch.setattr(module, "gate", gate_of("pass"))
    return made


def block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gate", gate_of("blocked"))


def test_without_a_breach_nothing_happens(repository: Repository):
    done = repository.retrain()
    assert (done.outcome, repository.trained, repository.forge.list_open()) == ("nothing", [], [])


def test_what_the_pull_request_releases_can_be_read_in_every_environment(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
):
    """On Azure they read the shared registry only; a release of what is not there cannot be applied."""
    shared: list[int] = []
    monkeypatch.setattr(repository.world.registry, "share", lambda model, version: shared.append(version))
    repository.breach()
    done = repository.retrain()
    assert (done.outcome, shared) == ("released", [done.version])


def test_a_breach_becomes_one_pull_request_with_a_released_model(repository: Repository):
    repository.breach()
    before = repository.git("status", "--porcelain"), repository.git("rev-parse", "HEAD")
    done = repository.retrain()
    assert (done.outcome, done.version) == ("released", 2)
    assert repository.trained == [{"window": "2013-01..2013-05", "test_window": "2013-06"}]
    (request,) = repository.forge.list_open()
    assert request.title == "Retrain toy on 2013-01..2013-05, test on 2013-06"
    assert "drift.seats.psi" in request.body and "champion roc_auc" in request.body
    assert (
        repository.show("pipelines/toy/training.yml")
        == PIPELINE.replace("2013-01..2013-03 ", "2013-01..2013-05 ").replace('"2013-04"', "2013-06").strip()
    )
    assert "release: 2\nreplaces: 1" in repository.show("environments/staging/toy.yaml")
    assert "version: 2" in repository.show("releases/toy/2.yaml")
    assert (repository.git("status", "--porcelain"), repository.git("rev-parse", "HEAD")) == before


def test_a_second_run_does_nothing(repository: Repository):
    repository.breach()
    first = repository.retrain()
    again = repository.retrain(NOW + timedelta(minutes=5))
    assert (again.outcome, len(repository.trained)) == ("nothing", 1)
    assert first.reason in again.reason
    assert len(repository.forge.list_open()) == 1


def test_a_model_that_does_not_pass_changes_nothing_and_says_so(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
):
    block(monkeypatch)
    repository.breach()
    main = repository.forge.git.head("refs/heads/main")
    done = repository.retrain()
    assert done.outcome == "blocked"
    assert "version 2, trained on 2013-01..2013-05, is blocked by its gates (champion roc_auc)" in done.reason
    assert "release 1 stays and nothing changes" in done.reason
    assert repository.forge.list_open() == []
    closed = repository.forge.get(1)
    assert closed.state == "closed" and done.reason in closed.body
    assert repository.forge.git.head("refs/heads/main") == main
    assert not repository.forge.git.ok("cat-file", "-e", "retrain/toy-prod:releases/toy/2.yaml")
    assert repository.world.registry.get(MODEL, 1).tags[f"mlops.env.{ENV}"] == "live"


def test_newer_raw_data_are_learned_from(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "newest", lambda target, name: {"raw": "3"}[name])
    repository.breach()
    repository.retrain()
    assert repository.trained[0]["raw"] == "azureml:raw:3"
    assert "raw: {type: uri_folder, path: azureml:raw:3}" in repository.show("pipelines/toy/training.yml")


def test_where_the_recorded_data_end_nothing_is_opened_that_must_fail(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
):
    """Traffic goes on after the data: its months can be judged, and nobody could train on them."""
    asked: list[Any] = []

    def ends(root: Path, target: Any, model: str, asset: Any, span: Any) -> date:
        asked.append((model, asset, str(span)))
        return date(2013, 5, 1)

    monkeypatch.setattr(module, "recorded_until", ends)
    repository.breach()
    done = repository.retrain()
    assert done.outcome == "nothing"
    assert "they end before 2013-05-01; bring newer ones with mlops ingest" in done.reason
    assert repository.forge.list_open() == [] and repository.trained == []
    assert asked == [(MODEL, ("raw", "1"), "2013-04..2013-06")]


def test_the_first_environment_merges_by_itself_where_policy_says_so(repository: Repository):
    path = repository.root / "environments/policy.yaml"
    path.write_text(path.read_text().replace("staging: {}", "staging: {auto_merge: true}"))
    repository.git("commit", "--quiet", "--all", "--message", "Policy")
    repository.git("push", "--quiet", "origin", "main")
    repository.breach()
    done = repository.retrain()
    assert done.outcome == "released" and repository.forge.get(1).state == "merged"
    assert "release: 2" in repository.show("environments/staging/toy.yaml", "main")


def test_the_next_breach_waits_and_updates_the_same_pull_request(repository: Repository):
    repository.breach()
    repository.retrain()
    day = NOW + timedelta(hours=1)
    repository.breach(day, month="2013-07")
    done = repository.retrain(day)
    assert (done.outcome, len(repository.trained)) == ("waiting", 1)
    assert "cooldown" in done.reason
    (request,) = repository.forge.list_open()
    assert "2013-07" in request.title and "cooldown" in request.body


def test_policy_may_only_propose(repository: Repository):
    repository.world.write_settings(retrain={"train": False})
    repository.breach()
    done = repository.retrain()
    assert (done.outcome, repository.trained) == ("proposed", [])
    assert len(repository.forge.list_open()) == 1


def test_never_two_at_once(repository: Repository):
    repository.breach()
    other = repository.world.target.store.lock(f"{ENV}-retrain-{MODEL}", "another one", 60.0)
    with other, pytest.raises(Locked, match="another one"):
        repository.retrain()
    assert repository.trained == [] and repository.forge.list_open() == []


def test_a_training_that_failed_is_gone_on_with(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    repository.breach()
    works = module.train

    def fails(*_: object) -> Trained:
        raise StepFailed("the step train failed")

    monkeypatch.setattr(module, "train", fails)
    with pytest.raises(StepFailed):
        repository.retrain()
    monkeypatch.setattr(module, "train", works)
    done = repository.retrain(NOW + timedelta(minutes=1))
    assert done.outcome == "released"
    assert len(repository.forge.list_open()) == 1, "the same pull request"


def test_uncommitted_changes_stop_it_before_the_training(repository: Repository):
    repository.breach()
    (repository.root / "pipelines/toy/training.yml").write_text(PIPELINE + "# edit\n")
    with pytest.raises(Blocked, match="uncommitted changes"):
        repository.retrain()
    assert repository.trained == []


HELD = DESIRED.replace("hold: null", "hold: {reason: broken, since: 2026-11-01T00:00:00Z, by: bea}")


@pytest.mark.parametrize("env", ["staging", ENV])
def test_a_hold_is_noticed_before_the_training(repository: Repository, env: str):
    path = f"environments/{env}/toy.yaml"
    repository.merged(path, HELD)
    repository.breach()
    done = repository.retrain()
    assert (done.outcome, repository.trained) == ("waiting", [])
    assert "bea put toy in" in done.reason
    assert path in done.reason
    (request,) = repository.forge.list_open()
    assert "bea put toy in" in request.body
    repository.merged(path, DESIRED)
    done = repository.retrain(NOW + timedelta(minutes=1))
    assert (done.outcome, len(repository.trained)) == ("released", 1), "the breach has still no answer"


@pytest.mark.parametrize(("env", "outcome"), [("staging", "waiting"), ("prod", "released")])
def test_a_freeze_of_the_first_environment_is_noticed_before_the_training(
    repository: Repository, env: str, outcome: str
):
    """Where production alone is frozen, a model may still be trained, judged and staged."""
    end = NOW + timedelta(days=1)
    window = f"environments: [{env}], start: 2026-01-01T00:00, end: {end:%Y-%m-%dT%H:%M}, timezone: UTC"
    repository.merged("environments/freeze.yaml", f"windows: [{{{window}, reason: audit, by: bea}}]\n")
    repository.breach()
    done = repository.retrain()
    assert (done.outcome, len(repository.trained)) == (outcome, outcome == "released")
    assert ("is frozen until" in done.reason and "(audit, bea)" in done.reason) == (outcome == "waiting")
    assert repository.retrain(end + timedelta(minutes=1)).outcome == (
        "released" if outcome == "waiting" else "nothing"
    )


def test_a_hold_that_comes_while_it_trains_is_respected(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
):
    repository.breach()
    works = module.train

    def meanwhile(*args: Any) -> Trained:
        repository.merged("environments/staging/toy.yaml", HELD)
        return works(*args)

    monkeypatch.setattr(module, "train", meanwhile)
    with pytest.raises(Blocked, match=r"bea put toy in staging on hold .*\(broken\)"):
        repository.retrain()


def released(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> ReleaseResult:
    """What `mlops release` makes of version 2, for `propose_release`."""
    monkeypatch.setattr(
        release_module, "counting_report", lambda registry, version, last=None: gate_report(2, "pass")
    )
    repository.world.registry.tag(MODEL, 2, {"mlops.gate": "pass", "mlops.dirty": "false"})
    return release_module.release(repository.root, repository.world.target, MODEL, 2)


def test_what_retraining_proposes_is_not_proposed_again(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
):
    """The training that the merge starts finds the same version: there is nothing left to ask for."""
    repository.breach()
    repository.retrain()
    made = released(repository, monkeypatch)
    (request,) = repository.forge.list_open()
    proposed = release_module.propose_release(repository.root, repository.forge, made)
    assert proposed.request == request and "pull request 1 asks for it already" in proposed.already
    repository.forge.merge(1)
    proposed = release_module.propose_release(repository.root, repository.forge, made)
    assert (proposed.request, proposed.already) == (None, "main asks for it already")
    assert [p.name for p in (repository.forge.git.root / "pulls").iterdir()] == ["1.json"]


def test_a_release_is_proposed_once_and_again_when_it_conflicts(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
):
    repository.breach()
    repository.retrain()
    repository.forge.close(1, "not this way")
    made = released(repository, monkeypatch)
    first = release_module.propose_release(repository.root, repository.forge, made)
    assert first.request is not None and not first.already
    again = release_module.propose_release(repository.root, repository.forge, made)
    assert again.request == first.request and "pull request 2 asks for it already" in again.already
    repository.merged("environments/staging/toy.yaml", DESIRED.replace("release: 1", "release: 3"))
    newer = release_module.propose_release(repository.root, repository.forge, made)
    assert newer.request is not None and not newer.already
    assert newer.request.number == 2 and newer.request.head != first.request.head
    assert repository.forge.merge(2), "made anew on top of main"


def test_what_merges_by_itself_is_told_as_merged(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    repository.breach()
    repository.retrain()
    repository.forge.close(1, "not this way")
    policy = (repository.root / "environments/policy.yaml").read_text()
    repository.merged(
        "environments/policy.yaml", policy.replace("staging: {}", "staging: {auto_merge: true}")
    )
    made = released(repository, monkeypatch)
    proposed = release_module.propose_release(repository.root, repository.forge, made)
    assert proposed.request is not None and proposed.request.state == "merged"


def test_a_release_whose_gates_were_loosened_waits_for_a_person(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
):
    repository.breach()
    repository.retrain()
    repository.forge.close(1, "not this way")
    policy = (repository.root / "environments/policy.yaml").read_text()
    repository.merged(
        "environments/policy.yaml", policy.replace("staging: {}", "staging: {auto_merge: true}")
    )
    made = released(repository, monkeypatch)
    told = ["size.max_megabytes: was 1, is 2"]
    monkeypatch.setattr(release_module, "between", lambda git, before, new, rev: told)
    request = release_module.propose_release(repository.root, repository.forge, made).request
    assert request is not None and request.state == "open"
    assert f"- `{told[0]}`" in request.body


def test_a_release_that_does_not_say_what_it_learned_from(repository: Repository):
    repository.breach()
    repository.world.registry.tag(MODEL, 1, {"mlops.data.window": None})
    with pytest.raises(IntegrityError, match="does not say which rows it learned from"):
        repository.retrain()


def test_the_start_is_announced(repository: Repository):
    repository.breach()
    repository.retrain()
    kept = (repository.root / ".mlops" / OUTBOX).read_bytes()
    assert b"mlops.retrain.started" in kept


def test_inputs_are_edited_in_place():
    made = pipeline_text(PIPELINE, "training.yml", {"window": "2014-01", "raw": "azureml:raw:2"})
    assert made == PIPELINE.replace("2013-01..2013-03", "2014-01").replace("azureml:raw:1", "azureml:raw:2")
    with pytest.raises(InvalidInput, match=r"inputs\.seed"):
        pipeline_text(PIPELINE, "training.yml", {"seed": "1"})
    with pytest.raises(InvalidInput, match=r"inputs\.window"):
        pipeline_text("jobs: {}\n", "training.yml", {"window": "2014-01"})
