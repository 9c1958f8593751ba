"""The verbs that watch production, on the lifecycle that the other chapters told: codes and sentences.

There is little traffic here, and saying so is the point; test_drift.py has the real drift.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from template_copy import MODEL, Chapter

pytestmark = pytest.mark.e2e


def test_too_little_traffic_is_no_verdict_and_that_is_kept(live: Chapter, tmp_path: Path) -> None:
    repository = live.repository
    page = tmp_path / "report.html"
    done = repository.call("monitor", "--env", "prod", "--report", str(page), "--json")
    done.refused(4, f"{MODEL} in prod: no verdict, because")
    assert (done.json["outcome"], done.json["release"]) == ("inconclusive", 1)
    kept = repository.root / ".mlops/monitor/prod" / MODEL / "verdicts" / f"{done.json['id']}.json"
    assert json.loads(kept.read_text()) == done.json
    assert "No verdict" in page.read_text()


def test_the_version_carries_its_reference(live: Chapter) -> None:
    repository = live.repository
    with repository.environment():
        registry = repository.target.registry
        path = registry.artifacts(registry.get(MODEL, 1).run_id, "monitoring/profile.json")
    profile = json.loads(path.read_text())
    assert profile["source"] == "training rows of 2013-01..2013-03"
    assert {c["name"] for c in profile["columns"]} >= {"carrier", "seats", "departures_in_hour"}
    assert sum(profile["prediction"]["counts"]) > 500


def test_labels_are_added_once(live: Chapter, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("request_id,label\nunknown-1,1\nunknown-2,0\n")
    first = live.repository.call("labels", "add", str(path), "--env", "prod").ok()
    again = live.repository.call("labels", "add", str(path), "--env", "prod").ok()
    assert "2 labels of flights in prod are kept" in first.out
    assert "nothing to do" in again.out


def test_without_a_breach_nothing_is_retrained(live: Chapter) -> None:
    with live.repository.unchanged():
        done = live.repository.call("retrain", "--env", "prod", "--json").ok()
    assert done.json["outcome"] == "nothing" and done.json["pull_request"] == ""


def test_an_environment_that_is_not_there_is_refused(live: Chapter, tmp_path: Path) -> None:
    for words in (["monitor"], ["retrain"], ["labels", "add", str(tmp_path / "x.csv")]):
        live.repository.call(*words, "--env", "moon").refused(5, "there is no environment 'moon'")
    live.repository.call("monitor", "--env", "prod", "--window", "soon").refused(5, "--window is a duration")


def test_a_version_is_measured_on_recorded_months(live: Chapter) -> None:
    found = live.repository.call("backtest", "1", "--window", "2013-05..2013-06", "--json").ok().json
    assert [(c["month"], c["version"]) for c in found] == [("2013-05", 1), ("2013-06", 1)]
    assert all(0.55 < c["metrics"]["roc_auc"] < 0.85 and c["rows"] > 500 for c in found)
    live.repository.call("backtest", "1", "--window", "June").refused(5, "a window is written")


def test_a_delivery_becomes_a_version_that_training_can_take(live: Chapter, tmp_path: Path) -> None:
    repository = live.repository
    raw = repository.root / ".mlops/data/nycflights/1/flights.parquet"
    july = pd.read_parquet(raw).query("month == 7")
    july.assign(origin=["BER", *july["origin"][1:]]).to_csv(tmp_path / "flights.csv", index=False)
    words = ("ingest", "--source", str(tmp_path), "--window", "2013-07")
    done = repository.call(*words, "--json").ok().json
    assert (done["version"], done["new"], done["accepted"], done["rejected_rows"]) == (
        "2",
        True,
        len(july) - 1,
        1,
    )
    assert json.loads((Path(done["quarantine"]) / "quarantine.json").read_text())["rejected"][0]["rows"] == 1
    again = repository.call(*words).ok()
    assert "nothing to do: nycflights:2 came of this delivery" in again.out
    repository.call("ingest", "--source", str(tmp_path), "--window", "2013-08").refused(
        5, "no flight of 2013-08"
    )
    with repository.environment():
        folder = Path(repository.target.data.resolve("nycflights", "2"))
    assert len(pd.read_parquet(folder / "flights.parquet")) == len(pd.read_parquet(raw)) - 1
