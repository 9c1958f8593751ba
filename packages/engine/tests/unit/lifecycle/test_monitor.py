"""A verdict is a breach exactly when something is beyond its limit, and none when nothing can be said."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
import yaml
from monitor_world import ENV, MODEL, NOW, MonitorWorld, rows

from mlops.errors import InvalidInput, TargetError
from mlops.events.outbox import FILE as OUTBOX
from mlops.lifecycle.watch.labels import add_labels, covered_days
from mlops.lifecycle.watch.monitor import monitor, parse_window, title, verdicts
from mlops.monitoring.page import page
from mlops.spec.monitoring import MonitorReport, Signal, TimeSpan
from mlops.targets.local.observations import LocalObservations


@pytest.fixture
def world(tmp_path: Path) -> MonitorWorld:
    return MonitorWorld(tmp_path)


def judge(world: MonitorWorld, **options: object) -> MonitorReport:
    return monitor(world.root, world.target, ENV, MODEL, now=NOW, **options)  # type: ignore[arg-type]


def signal(report: MonitorReport, name: str) -> Signal:
    (found,) = [s for s in report.signals if title(s) == name]
    return found


def test_quiet_traffic_passes_and_is_kept(world: MonitorWorld):
    world.capture(rows(1000, seed=3))
    report = judge(world)
    assert (report.outcome, report.breaches, report.release, report.rows) == ("pass", [], 1, 1000)
    assert report.reference == "training rows of 2013-01..2013-03" and report.reference_rows == 4000
    assert verdicts(world.target, ENV, MODEL) == [report]
    (path,) = world.observations.files(ENV, MODEL, "verdicts")
    assert json.loads(path.read_text())["outcome"] == "pass"


def test_a_moved_column_is_a_breach_that_is_named(world: MonitorWorld):
    world.capture(rows(1000, seed=3, seats=60))
    report = judge(world)
    assert report.outcome == "breach"
    assert [title(s) for s in report.breaches] == ["drift.seats.psi"]
    assert "drift.seats.psi" in report.reason
    assert signal(report, "drift.origin.psi").verdict == "pass"


def test_moved_predictions_are_a_breach(world: MonitorWorld):
    frame = rows(1000, seed=3)
    world.capture(frame.assign(_prediction=frame["_prediction"] ** 4))
    assert [title(s) for s in judge(world).breaches] == ["prediction.prediction.psi"]


def test_values_beyond_the_contract_and_new_gaps_are_breaches(world: MonitorWorld):
    frame = rows(1000, seed=3)
    frame.loc[:4, "seats"] = 1000.0
    frame.loc[100:199, "seats"] = None
    world.capture(frame)
    names = {title(s) for s in judge(world).breaches}
    assert {"quality.seats.out_of_bounds_rate", "quality.seats.null_value_rate"} <= names


def test_too_little_traffic_is_no_verdict(world: MonitorWorld):
    world.capture(rows(199, seed=3, seats=60))
    report = judge(world)
    assert report.outcome == "inconclusive"
    assert "199 captured rows in the window; a verdict needs 200 (monitoring.min_rows)" in report.reason
    assert verdicts(world.target, ENV, MODEL) == [report], "that nothing is known is worth keeping"


def test_no_capture_and_no_release_are_no_verdict(world: MonitorWorld):
    assert "nothing was captured of toy in prod" in judge(world).reason
    world.registry.tag(MODEL, 1, {f"mlops.env.{ENV}": None})
    report = judge(world)
    assert (report.outcome, report.release) == ("inconclusive", None)
    assert "no release of toy is live" in report.reason


def test_rows_of_other_releases_and_times_do_not_count(world: MonitorWorld):
    world.capture(rows(1000, seed=3, seats=60, before=timedelta(days=2)))
    world.capture(rows(1000, seed=4, seats=60), version=2)
    world.capture(rows(100, seed=5))
    report = judge(world)
    assert (report.outcome, report.rows) == ("inconclusive", 100)
    assert "and 1000 of other releases" in report.reason


def test_missing_volume_is_a_breach(world: MonitorWorld):
    for day in (1, 2, 3):
        world.capture(rows(1000, seed=day, before=timedelta(days=day, hours=23)))
    world.capture(rows(300, seed=9))
    report = judge(world)
    assert [title(s) for s in report.breaches] == ["volume.rows.rows"]
    assert signal(report, "volume.rows.rows").limit == "500 to 3000 (usual: 1000)"


def test_smoke_tests_are_not_the_usual_volume(world: MonitorWorld):
    world.capture(rows(50, seed=1, before=timedelta(days=1, hours=23)))
    world.capture(rows(1000, seed=3))
    found = signal(judge(world), "volume.rows")
    assert (found.verdict, found.detail) == ("skipped", "no earlier window has 200 rows to compare with")


def test_a_chosen_window_is_compared_with_no_other(world: MonitorWorld):
    world.capture(rows(1000, seed=1, before=timedelta(hours=4)))
    world.capture(rows(300, seed=3, before=timedelta(hours=3)))
    window = TimeSpan(start=NOW - timedelta(hours=3), end=NOW - timedelta(hours=2))
    assert signal(judge(world, window=window), "volume.rows").detail == "the window is not the last"


def test_a_window_can_be_chosen(world: MonitorWorld):
    world.capture(rows(1000, seed=3, seats=60, before=timedelta(days=3)))
    start = NOW - timedelta(days=3)
    assert judge(world).outcome == "inconclusive"
    assert judge(world, window=TimeSpan(start=start, end=start + timedelta(hours=1))).outcome == "breach"


def test_a_breach_is_announced(world: MonitorWorld):
    outbox = world.root / ".mlops" / OUTBOX
    world.capture(rows(1000, seed=3))
    judge(world)
    assert not outbox.exists(), "a pass is no event"
    world.capture(rows(1000, seed=4, seats=60))
    judge(world)
    assert b"mlops.drift.detected" in outbox.read_bytes()


# --- labels -------------------------------------------------------------------------------------------


def labelled(world: MonitorWorld, **kind: float) -> MonitorReport:
    frame = world.capture(rows(1000, seed=3, **kind))
    add_labels(world.target, ENV, MODEL, world.labels(frame), NOW)
    return judge(world)


def test_performance_is_judged_when_labels_are_there(world: MonitorWorld):
    report = labelled(world)
    assert (report.outcome, report.labelled) == ("pass", 1000)
    auc = signal(report, "performance.all rows.roc_auc")
    assert auc.observed == pytest.approx(0.95, abs=0.03) and auc.values["released"] == 0.9
    assert auc.values["low"] < auc.observed < auc.values["high"]  # type: ignore[operator]
    assert signal(report, "slice.origin=EWR.roc_auc").verdict == "pass"


def test_a_model_that_got_worse_is_a_breach(world: MonitorWorld):
    report = labelled(world, noise=8)
    assert {"performance.all rows.roc_auc", "slice.origin=EWR.roc_auc"} <= {
        title(s) for s in report.breaches
    } | {"slice.origin=EWR.roc_auc"}
    assert signal(report, "performance.all rows.roc_auc").verdict == "breach"


def test_a_model_that_is_off_on_average_is_a_breach(world: MonitorWorld):
    report = labelled(world, bias=0.8)
    assert "performance.all rows.calibration_gap" in {title(s) for s in report.breaches}


def test_few_labels_are_said_not_judged(world: MonitorWorld):
    frame = world.capture(rows(1000, seed=3, noise=8))
    add_labels(world.target, ENV, MODEL, world.labels(frame.head(199)), NOW)
    report = judge(world)
    assert (report.outcome, report.labelled) == ("pass", 199)
    assert (
        "199 rows of the window have a label, 200 are needed"
        in signal(report, "performance.all rows.roc_auc").detail
    )


def test_labels_are_joined_by_request_and_row(world: MonitorWorld):
    """Labels in another order, of requests that were not captured too, and a request that was sent twice."""
    frame = world.capture(rows(1000, seed=3))
    world.capture(frame.assign(_time=frame["_time"] + timedelta(minutes=1)))
    more = pd.concat([frame, rows(50, seed=8)]).sample(frac=1, random_state=1)
    add_labels(world.target, ENV, MODEL, world.labels(more), NOW)
    report = judge(world)
    assert (report.rows, report.labelled) == (2000, 1000)
    assert signal(report, "performance.all rows.roc_auc").verdict == "pass"


def test_the_same_labels_again_change_nothing_and_later_ones_correct(world: MonitorWorld):
    frame = world.capture(rows(1000, seed=3))
    wrong = world.labels(frame.assign(truth=1 - frame["truth"]), "wrong.parquet")
    assert add_labels(world.target, ENV, MODEL, wrong, NOW).new
    again = add_labels(world.target, ENV, MODEL, wrong, NOW + timedelta(hours=1))
    assert (again.new, again.rows) == (False, 1000)
    assert len(world.observations.files(ENV, MODEL, "labels")) == 1
    assert judge(world).outcome == "breach"
    right = world.labels(frame, "right.parquet")
    add_labels(world.target, ENV, MODEL, right, NOW + timedelta(hours=2))
    assert signal(judge(world), "performance.all rows.roc_auc").verdict == "pass"


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_the_three_formats_say_the_same(world: MonitorWorld, ending: str, tmp_path: Path):
    from mlops.lifecycle.watch.labels import read_labels

    frame = pd.DataFrame(
        {
            "request_id": ["7", "8"],
            "row": [0, 1],
            "label": [1, 0],
            "time": ["2013-06-01T10:00", "2013-06-30T10:00"],
        }
    )
    path = tmp_path / f"labels.{ending}"
    if ending == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        getattr(frame, f"to_{ending}")(path, index=False)
    found = read_labels(path)
    assert found["request_id"].tolist() == ["7", "8"] and found["label"].tolist() == ["1", "0"]
    assert str(found["time"].iloc[1]) == "2013-06-30 10:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("request_id\na\n", "lacks the column 'label'"),
        ("request_id,label,when\na,1,2\n", "unknown columns when; allowed: request_id, row, label, time"),
        ("request_id,label\na,1\na,0\n", "says two things of the same row of these requests: a"),
        ("request_id,label\na,1\n,0\n", "1 rows have no request_id or no label (rows 2)"),
        ("request_id,label,row\na,1,x\n", "row must be whole numbers"),
        ("request_id,label,time\na,1,soon\n", "time moments"),
    ],
)
def test_wrong_labels_are_refused_and_nothing_is_kept(world: MonitorWorld, text: str, sentence: str):
    path = world.root / "labels.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput) as refused:
        add_labels(world.target, ENV, MODEL, path, NOW)
    assert sentence in str(refused.value)
    assert world.observations.files(ENV, MODEL, "labels") == []


def test_other_files_are_refused(world: MonitorWorld):
    with pytest.raises(InvalidInput, match="none of"):
        add_labels(world.target, ENV, MODEL, world.root / "labels.xlsx", NOW)
    with pytest.raises(InvalidInput, match="does not exist"):
        add_labels(world.target, ENV, MODEL, world.root / "labels.csv", NOW)


def test_labels_that_the_model_does_not_know_are_a_sentence(world: MonitorWorld):
    frame = world.capture(rows(1000, seed=3))
    add_labels(world.target, ENV, MODEL, world.labels(frame.assign(truth="late")), NOW)
    with pytest.raises(InvalidInput, match=r"labels do not fit the model: .*late.*knows the classes 0, 1"):
        judge(world)


@pytest.mark.parametrize(
    ("moments", "window"),
    [
        (["2013-06-30 23:00", "2013-04-01"], "2013-04-01..2013-06-30"),
        (["2013-06-01"], "2013-06-01"),
        ([], None),
    ],
)
def test_covered_days(moments: list[str], window: str | None):
    assert covered_days(pd.Series(pd.to_datetime(moments, format="ISO8601", utc=True))) == window


# --- what is compared with -------------------------------------------------------------------------------


def test_a_version_without_profile_is_compared_with_its_test_rows(world: MonitorWorld):
    world.release(2, profile=False)
    blind = judge(world)
    assert blind.outcome == "inconclusive" and "registered without training data" in blind.reason
    folder = world.root / "runs/run-2/evaluation"
    folder.mkdir()
    rows(2000, seed=7).to_parquet(folder / "test.parquet")
    world.capture(rows(1000, seed=3, seats=60), version=2)
    report = judge(world)
    assert report.reference == "test rows of 2013-04"
    assert [title(s) for s in report.breaches] == ["drift.seats.psi"]
    assert [s.detail for s in report.signals if s.kind == "prediction"] == [
        "the release's reference has no predictions"
    ]


def explained(world: MonitorWorld, text: str) -> None:
    """Drift is watched for the most important column alone, and the live release says this of it."""
    path = world.root / "pipelines" / MODEL / "monitor.yml"
    monitor = yaml.safe_load(path.read_text())
    monitor["create_monitor"]["monitoring_signals"]["drift"]["features"] = {"top_n_feature_importance": 1}
    path.write_text(yaml.safe_dump(monitor))
    folder = world.root / "runs/run-1/explanation"
    folder.mkdir()
    (folder / "importance.json").write_text(text)


@pytest.mark.parametrize(
    ("order", "outcome"), [(("seats", "origin"), "breach"), (("origin", "seats"), "pass")]
)
def test_the_most_important_columns_are_those_of_the_live_release(
    world: MonitorWorld, order: tuple[str, str], outcome: str
):
    explained(world, json.dumps({"columns": [{"name": name, "mean": 0.1} for name in order]}))
    world.capture(rows(1000, seed=3, seats=60))
    report = judge(world)
    assert report.outcome == outcome
    assert (signal(report, "drift.seats.psi").observed or 0) > 0.2, "measured in any case"


def test_a_release_without_importance_gives_no_verdict_and_says_what_to_write(world: MonitorWorld):
    explained(world, "")
    (world.root / "runs/run-1/explanation/importance.json").unlink()
    world.capture(rows(1000, seed=3, seats=60))
    report = judge(world)
    assert report.outcome == "inconclusive" and "name the columns in `features`" in report.reason


def test_importance_that_cannot_be_read_is_no_verdict_on_the_model(world: MonitorWorld):
    explained(world, '{"columns": [{"mean": 0.1}]}')
    world.capture(rows(1000, seed=3))
    with pytest.raises(TargetError, match=r"importance\.json of run run-1 cannot be read"):
        judge(world)


def test_a_metric_that_the_task_does_not_have_is_refused(world: MonitorWorld):
    world.write_settings(performance=[{"metric": "rmse", "max": 1}])
    world.capture(rows(1000, seed=3))
    with pytest.raises(InvalidInput, match="names the metric 'rmse'; a binary model has roc_auc"):
        judge(world)


def test_a_target_without_capture_says_so(world: MonitorWorld):
    from dataclasses import replace

    with pytest.raises(TargetError, match="keeps no captured traffic"):
        monitor(world.root, replace(world.target, observations=None), ENV, MODEL, now=NOW)


@pytest.mark.parametrize(
    ("text", "hours"), [("24h", 24), ("7d", 168), ("2026-11-20T00:00..2026-11-20T06:00", 6)]
)
def test_windows_are_read(text: str, hours: float):
    found = parse_window(text, NOW)
    assert found.end - found.start == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["soon", "7", "2026-11-21..2026-11-20", "2026-11-21..", "-3h", "0h"])
def test_wrong_windows_are_refused(text: str):
    with pytest.raises(InvalidInput, match="--window is a duration"):
        parse_window(text, NOW)


def test_the_page_has_every_signal_and_no_script(world: MonitorWorld):
    world.capture(rows(1000, seed=3, seats=60))
    report = judge(world).model_copy(update={"reason": "<script>alert(1)</script>"})
    text = page(report)
    assert "<script" not in text and "http" not in text
    for found in report.signals:
        assert found.name in text
    assert "<td class=breach>breach</td><td>seats</td>" in text
    assert text.index("Drift of inputs") < text.index("Performance on labelled rows"), "what is broken first"


# --- what is kept -------------------------------------------------------------------------------------


def test_a_record_is_written_once(tmp_path: Path):
    keep = LocalObservations(tmp_path)
    assert keep.add(ENV, MODEL, "verdicts", "a.json", b"1")
    assert not keep.add(ENV, MODEL, "verdicts", "a.json", b"2")
    assert [p.read_bytes() for p in keep.files(ENV, MODEL, "verdicts")] == [b"1"]
    with pytest.raises(InvalidInput, match="is no name"):
        keep.add(ENV, MODEL, "verdicts", "../a.json", b"1")


def test_a_verdict_that_somebody_edited_is_named(world: MonitorWorld):
    world.observations.add(ENV, MODEL, "verdicts", "a.json", b"{}")
    with pytest.raises(InvalidInput, match=r"a\.json is no verdict"):
        verdicts(world.target, ENV, MODEL)
