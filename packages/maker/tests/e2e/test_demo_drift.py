"""`mlops demo --drift` from nothing: the normal story, then the months that break release 1 and the answer.

All data and real processes; what it prints is held to the verdicts, pull requests and metrics that are there.
"""

from __future__ import annotations

import json
import re

import pytest
from template_copy import MODEL, Repository

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2700)]

DEMO = ".mlops/demo"
FLIGHTS = f"{DEMO}/flights"


def test_the_drift_demo_shows_the_breach_the_answer_and_what_it_brought(clone: Repository) -> None:
    first = clone.spawn("demo", "--drift").ok()
    assert "Traceback" not in first.err
    assert "A first model" in first.err, "the normal story comes first"

    reports = verdicts(clone)
    assert [(r["outcome"], r["release"], r["rows"]) for r in reports] == [
        ("pass", 1, 28_128),
        ("breach", 1, 27_075),
    ]
    broken = [s["metric"] for s in reports[1]["signals"] if s["verdict"] == "breach"]
    assert broken == ["calibration_gap"]
    assert "exit 3: a verdict, not a failure; release 1 goes on serving" in first.err

    pulls = [json.loads(p.read_text()) for p in (clone.root / DEMO / "origin.git/pulls").glob("*.json")]
    (request,) = [p for p in pulls if p["branch"] == f"retrain/{MODEL}-prod"]
    assert (request["title"], request["state"]) == (
        "Retrain flights on 2013-01..2013-05, test on 2013-06",
        "merged",
    )
    assert "performance.all rows.calibration_gap" in request["body"]
    assert "champion roc_auc" in request["body"]
    gates = (clone.root / FLIGHTS / f"pipelines/{MODEL}/model.yaml").read_text()
    assert gates == (clone.root / f"pipelines/{MODEL}/model.yaml").read_text(), "judged by loosened gates"

    served = clone.spawn("-C", FLIGHTS, "status", "--json").ok().json
    new = served[0]["served"]
    assert new > 3
    assert [(row["served"], row["health"]) for row in served] == [(new, "serving")] * 2
    rows = table(first.out)
    assert list(rows) == [f"2013-{month:02d}" for month in range(6, 13)]
    costs = clone.spawn(
        "-C", FLIGHTS, "backtest", "1", str(new), "--window", "2013-06..2013-12", "--json"
    ).ok()
    auc = {(c["version"], c["month"]): c["metrics"]["roc_auc"] for c in costs.json}
    for month, gain in rows.items():
        assert gain == pytest.approx(auc[new, month] - auc[1, month], abs=0.0006)
    assert all(rows[f"2013-{month:02d}"] > 0.003 for month in (7, 8, 9, 10)), rows
    assert rows["2013-12"] < 0, "it is not better everywhere, and the demo must not say so"
    assert re.search(r"does not cure the calibration: beyond its limits in 2013-07", first.out)

    second = clone.spawn("demo", "--drift").ok()
    assert "The breach of June has been answered, so nothing is done" in second.err
    assert table(second.out) == rows
    assert len(verdicts(clone)) == 2, "nothing was replayed again"
    assert seconds(second.out) < seconds(first.out) / 5
    after = clone.spawn("-C", FLIGHTS, "status", "--json").ok().json
    assert [row["served"] for row in after] == [new, new]


def verdicts(clone: Repository) -> list[dict]:
    folder = clone.root / FLIGHTS / ".mlops/monitor/prod" / MODEL / "verdicts"
    return [json.loads(path.read_text()) for path in sorted(folder.iterdir())]


def table(text: str) -> dict[str, float]:
    """Gain by month, as the table prints it."""
    found = re.findall(r"(?m)^ *(2013-\d\d) \*? +[\d,]+ +0\.\d+ +0\.\d+ +([+-]0\.\d+)", text)
    return {month: float(gain) for month, gain in found}


def seconds(text: str) -> float:
    """How long the demo says that it took."""
    found = re.search(r"Done in (\d+) s", text)
    assert found, text
    return float(found.group(1))
