"""What docs/monitoring.md tells of the flights, as its commands stand there, on all of the data.

The drift is real, so the breach, the gain and the limits of retraining are facts that can be checked.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from template_copy import MODEL, REVIEWER, ROOT, Repository, mlops_command

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(3600)]

EDITS = (
    ("mlops.toml", "sample_rate = 1.0", "sample_rate = 1.0\nfile_seconds = 2.0"),
    ("environments/policy.yaml", "soak: 24h", "soak: 0s\n    synthetic_traffic: true"),
)
QUICK = ("canary: [10, 50, 100], analysis: 60s", "canary: [50, 100], analysis: 2s, min_requests: 20")


def documented(name: str) -> str:
    """The commands of docs/monitoring.md that say `# doc-test: <name>`."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/monitoring.md").read_text(), re.DOTALL)
    (found,) = [b for b in blocks if f"# doc-test: {name}\n" in b]
    return found


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """Prod serves release 1, trained on January to March of all flights."""
    made = Repository.cloned(tmp_path_factory.mktemp("drift"), *EDITS)
    made.publish()
    made.seconds = 600
    try:
        made.spawn("train").ok()
        made.spawn("gate").ok()
        made.spawn("release").ok()
        quicken(made, "staging")
        made.commit(f"Release {MODEL} 1")
        made.git("push", "--quiet")
        made.spawn("apply", "staging").ok()
        made.spawn("promote", "prod").ok()
        made.spawn("pr", "merge", "1", "--approver", REVIEWER).ok()
        made.git("pull", "--quiet", "--ff-only")
        quicken(made, "prod")
        made.commit("Canary steps of seconds")
        made.git("push", "--quiet")
        made.spawn("apply", "prod").ok()
        yield made
    finally:
        made.stop()


def quicken(repository: Repository, env: str) -> None:
    path = repository.root / f"environments/{env}/{MODEL}.yaml"
    text = path.read_text()
    assert QUICK[0] in text, text
    path.write_text(text.replace(*QUICK))


@pytest.fixture(scope="module")
def told(released: Repository) -> str:
    """What the documented commands print."""
    place = Path(mlops_command()[0]).parent
    env = {**released.env, "PATH": f"{place}:{released.env['PATH']}"}
    script = "set -euxo pipefail\n" + documented("drift")
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=released.root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=2400,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def reports(told: str, released: Repository) -> list[dict[str, object]]:
    """The three verdicts: May, June, July."""
    folder = released.root / ".mlops/monitor/prod" / MODEL / "verdicts"
    return [json.loads(path.read_text()) for path in sorted(folder.iterdir())]


def gap(report: dict) -> dict:
    (found,) = [s for s in report["signals"] if s["metric"] == "calibration_gap"]
    return found


def test_may_passes_and_june_is_a_breach_of_calibration(reports: list[dict]) -> None:
    may, june, july = reports
    assert [r["outcome"] for r in reports] == ["pass", "breach", "breach"]
    assert [r["rows"] for r in reports] == [r["labelled"] for r in reports] == [28_128, 27_075, 28_293]
    assert [(r["release"]) for r in reports] == [1, 1, 2]
    assert may["events"] == "2013-05-01..2013-05-31" and june["events"] == "2013-05-01..2013-06-30"
    broken = [(s["kind"], s["metric"]) for s in june["signals"] if s["verdict"] == "breach"]
    assert broken == [("performance", "calibration_gap")]
    assert gap(june)["observed"] == pytest.approx(-0.081, abs=0.004)
    assert gap(june)["values"]["high"] < -0.07
    (auc,) = [s for s in june["signals"] if s["kind"] == "performance" and s["metric"] == "roc_auc"]
    assert auc["observed"] > auc["values"]["released"], (
        "June is easier to foretell than April: AUC cannot alarm"
    )
    assert gap(july)["verdict"] == "breach", "more months do not cure what the season does"


def test_the_breach_became_one_pull_request_with_its_evidence(told: str, released: Repository) -> None:
    request = json.loads((released.origin / "pulls/2.json").read_text())
    assert request["title"] == "Retrain flights on 2013-01..2013-05, test on 2013-06"
    assert request["state"] == "merged", "staging merges releases by itself"
    assert "performance.all rows.calibration_gap" in request["body"]
    assert "champion roc_auc" in request["body"]
    assert sorted(p.name for p in (released.origin / "pulls").glob("*.json")) == [
        "1.json",
        "2.json",
        "3.json",
        "4.json",
    ]
    waiting = json.loads((released.origin / "pulls/4.json").read_text())
    assert (waiting["title"], waiting["state"]) == (
        "Retrain flights on 2013-01..2013-06, test on 2013-07",
        "open",
    )
    assert "waiting: the cooldown after the last training ends" in told


def test_the_retrained_model_serves_and_is_better_on_months_it_has_not_seen(
    told: str, released: Repository
) -> None:
    rows = {row["env"]: row for row in released.spawn("status", "--json").ok().json}
    assert [rows[env]["served"] for env in ("staging", "prod")] == [2, 2]
    costs = released.spawn("backtest", "1", "2", "--window", "2013-06..2013-12", "--json").ok().json
    auc = {(c["version"], c["month"]): c["metrics"]["roc_auc"] for c in costs}
    gains = {month: auc[2, month] - auc[1, month] for version, month in auc if version == 1}
    assert gains["2013-06"] > 0.018, "the month that it was judged on"
    assert all(gains[f"2013-{m:02d}"] > 0.003 for m in (7, 8, 9, 10)), gains
    assert gains["2013-12"] < 0, "and it is not better everywhere, as the page says"


def test_the_report_is_a_page(told: str, released: Repository) -> None:
    text = (released.root / "june.html").read_text()
    assert "calibration_gap" in text and "<script" not in text


def test_the_page_in_docs_has_the_figures(reports: list[dict]) -> None:
    page = (ROOT / "docs/monitoring.md").read_text().replace("\N{MINUS SIGN}", "-")
    for report, month in zip(reports[:2], ("May", "June"), strict=True):
        (line,) = [row for row in page.splitlines() if row.startswith(f"| {month} |")]
        assert f"{gap(report)['observed']:+.3f}" in line


def test_only_one_lock_file_is_left(told: str, released: Repository) -> None:
    """Nobody holds the retraining's lock any more."""
    assert not list((released.root / ".mlops/environments").glob("prod-retrain-*/lease.json"))
