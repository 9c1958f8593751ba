"""From a registered version to a verdict and a release file, on a real MLflow store and a real model folder.

A release is the only way into an environment: what must not become one is refused here, each with its
reason, and what was written once is never written differently.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from judged_world import JudgedWorld as World
from judged_world import judged, rows

from mlops.errors import Blocked, IntegrityError, NotFound
from mlops.lifecycle.desired.proven import recorded
from mlops.lifecycle.propose.release import describe, release_text
from mlops.lifecycle.train.evidence import stored_report
from mlops.spec.files import load_desired, load_release
from mlops.spec.proof import JUDGED, RELEASED, differences
from mlops.targets.local.registry import KEY


@pytest.fixture
def world(empty: Path, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
    with judged():
        yield World(tmp_path)


def test_the_first_version_is_judged_recorded_and_released(world: World):
    version = world.add("good")
    report = world.gate()
    assert report.passed and report.champion is None
    record = world.registry.get("freight", version)
    assert record.tags["mlops.gate"] == "pass"
    assert stored_report(world.registry, record) == report

    result = world.release()
    assert result.written == ("releases/freight/1.yaml", "environments/staging/freight.yaml")
    made = load_release(world.root, "freight", version)
    assert made == result.release
    assert made.source.commit == "c" * 40 and made.data.test_window == "2013-04"
    assert made.metrics["roc_auc"].value == pytest.approx(report.metrics["roc_auc"].value, abs=1e-6)
    desired = load_desired(world.root, "staging", "freight")
    assert desired is not None and (desired.release, desired.replaces) == (1, None)


def test_the_same_again_writes_nothing(world: World):
    world.add("good")
    world.gate()
    world.release()
    before = {p: p.stat().st_mtime_ns for p in world.root.rglob("*.yaml")}
    assert world.release().written == ()
    assert {p: p.stat().st_mtime_ns for p in world.root.rglob("*.yaml")} == before


def test_a_worse_model_is_blocked_by_the_champion_on_the_same_rows(world: World):
    world.live("prod", world.add("good"))
    world.add("poor")
    report = world.gate()
    assert report.champion == 1
    assert "champion roc_auc" in [g.name for g in report.blocking]
    assert report.metrics["roc_auc"].champion > report.metrics["roc_auc"].value
    assert world.registry.get("freight", 2).tags["mlops.gate"] == "blocked"
    with pytest.raises(Blocked, match="did not pass its gates"):
        world.release()


def test_a_better_model_replaces_what_staging_has(world: World):
    world.live("prod", world.add("good"))
    world.gate(1)
    world.release(1)
    staged = world.root / "environments/staging/freight.yaml"
    staged.write_text(f"# ours\n{staged.read_text()}")
    world.add("good")
    assert world.gate().passed
    result = world.release()
    assert (result.replaces, result.release.version) == (1, 2)
    assert staged.read_text().startswith("# ours\n")


def test_a_champion_that_needs_another_column_blocks_with_a_sentence(world: World):
    world.live("prod", world.add("good"))
    version = world.add("poor")
    run = world.registry.get("freight", version).run_id
    folder = world.state / "again"
    folder.mkdir()
    rows().drop(columns="good").to_parquet(folder / "test.parquet")
    world.tracker.log_artifacts(run, folder, "evaluation")
    details = {g.name: g.detail for g in world.gate().blocking}
    assert "lacks the columns good" in details["champion roc_auc"]
    assert "lacks the columns good" in details["latency"]


def test_a_version_without_a_report_is_blocked_not_an_error(world: World):
    world.add("good", report=False)
    assert "limit roc_auc" in [g.name for g in world.gate().blocking]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mlops.gate": None}, "has not been judged; run: mlops gate 1"),
        ({"mlops.gate": "blocked"}, "did not pass its gates"),
        ({"mlops.dirty": "true"}, "uncommitted changes"),
        ({"mlops.dirty": None}, "uncommitted changes"),
        ({"mlops.commit": None}, "outside a commit"),
    ],
)
def test_what_must_not_be_released_is_refused(world: World, change: dict[str, str | None], words: str):
    world.add("good")
    world.gate()
    world.registry.tag("freight", 1, change)
    with pytest.raises(Blocked, match=words):
        world.release()
    assert not (world.root / "releases").exists()


def test_a_tag_alone_does_not_release(world: World):
    """Somebody sets mlops.gate=pass by hand: the report still says blocked."""
    world.live("prod", world.add("good"))
    world.add("poor")
    world.gate()
    world.registry.tag("freight", 2, {"mlops.gate": "pass"})
    with pytest.raises(Blocked, match="champion roc_auc"):
        world.release()


def test_a_missing_fact_of_the_lineage_is_named(world: World):
    world.add("good")
    report = world.gate()
    version = world.registry.get("freight", 1)
    tags = {k: v for k, v in version.tags.items() if k != "mlops.data.digest"}
    with pytest.raises(IntegrityError, match=r"data\.digest"):
        describe(replace(version, tags=tags), report)


def test_a_release_is_immutable(world: World):
    world.add("good")
    world.gate()
    world.release()
    path = world.root / "releases/freight/1.yaml"
    edited = path.read_text().replace("actor: ada", "actor: eve")
    assert edited != path.read_text()
    path.write_text(edited)
    with pytest.raises(Blocked, match="releases are immutable"):
        world.release()
    assert path.read_text() == edited


def test_a_hold_stops_a_release_and_says_who_and_why(world: World):
    world.add("good")
    world.gate()
    path = world.root / "environments/staging/freight.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("release: 9\nhold: {reason: rolled back, since: 2026-01-02T03:04:05Z, by: ada}\n")
    with pytest.raises(Blocked, match=r"ada put freight in staging on hold since 2026-01-02 03:04 \(rolled"):
        world.release()
    assert not (world.root / "releases").exists()


def test_no_version_yet(world: World):
    with pytest.raises(NotFound, match="mlops train makes one"):
        world.gate()


def test_the_text_is_stable_and_complete(world: World):
    world.add("good")
    world.gate()
    made = world.release().release
    text = release_text(made)
    assert text == release_text(type(made).model_validate(yaml.safe_load(text)))
    assert list(yaml.safe_load(text)) == list(type(made).model_fields)


# --- a release counts when the lifecycle made it ----------------------------------------------------


def unproven_of(world: World, version: int = 1) -> list[str]:
    registry = world.registry
    record = load_release(world.root, "freight", version)
    return [f for f, _ in differences(record, recorded(registry, registry.get("freight", version)))]


def test_what_is_released_is_proven_and_gates_that_are_run_again_change_nothing(world: World):
    world.add("good")
    world.gate()
    first = world.release().release
    assert unproven_of(world) == []
    world.gate()
    assert unproven_of(world) == []
    shutil.rmtree(world.root / "releases")
    assert world.release().release == first, "a checkout without the file makes the same file"


def test_a_hand_written_file_is_not_taken_over_by_release(world: World):
    world.add("good")
    world.gate()
    made = world.release().release
    path = world.root / "releases/freight/1.yaml"
    better = made.metrics["roc_auc"].model_copy(update={"value": 0.99})
    path.write_text(release_text(made.model_copy(update={"metrics": {"roc_auc": better}})))
    assert "metrics.roc_auc" in unproven_of(world)
    with pytest.raises(Blocked, match="says something else"):
        world.release()


def test_a_hand_written_release_of_a_blocked_version_is_told_from_the_record(world: World):
    world.live("prod", world.add("good"))
    world.gate(1)
    made = world.release(1).release
    world.add("poor")
    world.gate(2)
    tags = world.registry.get("freight", 2)
    record = made.model_copy(
        update={
            "version": 2,
            "digest": tags.tags["mlops.digest"],
            "source": made.source.model_copy(update={"run_id": tags.run_id}),
        }
    )
    (world.root / "releases/freight/2.yaml").write_text(release_text(record))
    assert any(field.startswith("gates") for field in unproven_of(world, 2))


def forget(world: World, *kinds: str) -> None:
    """The version as a registry from before there were records has it."""
    tags = world.registry.get("freight", 1).tags
    world.registry.tag("freight", 1, {k: None for k in tags if k.startswith(kinds)})


def test_gates_that_are_run_again_record_what_was_released_before_there_were_records(world: World):
    world.add("good")
    world.gate()
    world.release()
    forget(world, JUDGED, RELEASED)
    assert unproven_of(world) == ["gates"]
    world.live("prod", 1)  # so that the new judgement says something else
    world.gate()
    assert unproven_of(world) == []


def test_a_forged_file_is_not_recorded_by_gates_that_are_run_again(world: World):
    world.add("good")
    world.gate()
    made = world.release().release
    forget(world, JUDGED, RELEASED)
    worse = [g.model_copy(update={"observed": "as good as it gets"}) for g in made.gates]
    (world.root / "releases/freight/1.yaml").write_text(
        release_text(made.model_copy(update={"gates": worse}))
    )
    world.gate()
    assert unproven_of(world)


def report_that_passes(world: World) -> None:
    """As somebody leaves it who reaches MLflow's API: the report and the tag, without this machine's key."""
    place = world.state / "forged/2.json"
    place.parent.mkdir()
    report = world.gate(1)
    place.write_text(report.model_copy(update={"version": 2}).model_dump_json())
    run = world.registry.get("freight", 2).run_id
    world.registry.add_artifacts(run, place.parent, "gates")
    world.registry.tag("freight", 2, {"mlops.gate": "pass"})


def test_a_report_and_a_tag_that_nobody_recorded_release_nothing(world: World):
    world.live("prod", world.add("good"))
    world.gate(1)
    world.add("poor")
    report_that_passes(world)
    with pytest.raises(IntegrityError, match=r"nothing records which gates .* `mlops gate 2"):
        world.release(2)
    assert not world.gate(2).passed
    shutil.rmtree(world.state / "forged")
    report_that_passes(world)
    with pytest.raises(IntegrityError, match=r"gates\.0\.\w+: the release says"):
        world.release(2)
    assert not (world.root / "releases/freight/2.yaml").exists()


def test_a_report_is_no_way_around_what_was_recorded_for_a_hand_written_file(world: World):
    world.live("prod", world.add("good"))
    world.gate(1)
    made = world.release(1).release
    world.add("poor")
    world.gate(2)
    report_that_passes(world)
    found = world.registry.get("freight", 2)
    source = made.source.model_copy(update={"run_id": found.run_id})
    record = made.model_copy(
        update={
            "version": 2,
            "digest": found.tags["mlops.digest"],
            "source": source,
            "created": found.created,
        }
    )
    (world.root / "releases/freight/2.yaml").write_text(release_text(record))
    world.gate(2)
    assert unproven_of(world, 2)


def test_a_lost_key_is_told_and_gates_that_are_run_again_seal_anew(world: World):
    world.add("good")
    world.gate()
    world.release()
    key = world.state / KEY
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_bytes()) == 32
    key.unlink()
    assert unproven_of(world) == ["gates"]
    world.gate()
    assert unproven_of(world) == []


def test_facts_that_change_while_gates_judge_are_not_recorded(world: World, monkeypatch: pytest.MonkeyPatch):
    """Else a signature would stand under a commit or a digest that nobody judged."""
    world.add("good")
    stored = world.registry.add_artifacts

    def meanwhile(run_id: str, folder: Path, path: str) -> None:
        stored(run_id, folder, path)
        world.registry.tag("freight", 1, {"mlops.commit": "d" * 40})

    monkeypatch.setattr(world.registry, "add_artifacts", meanwhile)
    with pytest.raises(IntegrityError, match=r"mlops\.commit changed"):
        world.gate()
    assert not [
        tag for tag in world.registry.get("freight", 1).tags if tag.startswith(("mlops.judged", "mlops.gate"))
    ]


class Signing:
    """A seal as several machines share it."""

    by, strict = "a key of the test", True

    def made(self, message: bytes) -> str:
        return str(len(message))

    def holds(self, message: bytes, seal: str) -> bool:
        return seal == self.made(message)


@pytest.mark.parametrize("run_says", ["sha256:" + "9" * 64, ""])
def test_gates_that_sign_judge_only_what_a_run_made(
    world: World, monkeypatch: pytest.MonkeyPatch, run_says: str
):
    """Who deploys may register a version too, and could let a poisoned one pass that is good enough."""
    monkeypatch.setattr(world.registry, "seal", lambda make=False: Signing())
    world.add("good")
    assert world.gate().passed
    foreign = world.registry.get("freight", world.add("good"))
    world.tracker.set_tags(foreign.run_id, {"mlops.digest": run_says})
    with pytest.raises(IntegrityError, match="it was not judged"):
        world.gate()
    assert "mlops.gate" not in world.registry.get("freight", foreign.version).tags
