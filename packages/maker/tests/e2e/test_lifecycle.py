"""From a commit to an answer of the production endpoint, through the command line, on a sample of real data.

The demo tells the same story on all data; here each verb's promise is checked.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from template_copy import MODEL, REVIEWER, Chapter

from mlops.spec.files import load_desired, load_release

pytestmark = pytest.mark.e2e

STEPS = ["prep", "validate", "train", "evaluate", "explain", "register"]


def test_training_runs_every_step_and_registers_version_one(trained: Chapter) -> None:
    assert "version 1 is registered" in trained.done.out
    assert [step for step in STEPS if f"✓ {step}" in trained.done.err] == STEPS
    versions = trained.repository.call("versions", "list", "--json").ok().json
    assert [v["version"] for v in versions] == [1]
    assert versions[0]["window"] == "2013-01..2013-03"
    assert versions[0]["commit"] == trained.commit


def test_a_version_carries_its_whole_provenance(trained: Chapter) -> None:
    with trained.repository.environment():
        (version,) = trained.repository.target.registry.versions(MODEL)
    tags = version.tags
    assert tags["mlops.commit"] == trained.commit
    assert (tags["mlops.branch"], tags["mlops.dirty"], tags["mlops.actor"]) == ("main", "false", "Ann")
    assert (tags["mlops.data.name"], tags["mlops.data.version"]) == ("nycflights", "1")
    assert (tags["mlops.data.window"], tags["mlops.data.test_window"]) == ("2013-01..2013-03", "2013-04")
    manifest = json.loads((trained.repository.root / ".mlops/data/nycflights/1/manifest.json").read_text())
    assert tags["mlops.data.digest"] == manifest["digest"]
    assert tags["mlops.pipeline"] == "pipelines/flights/training.yml"
    for digest in ("mlops.digest", "mlops.pipeline.digest", "mlops.environment.digest"):
        assert tags[digest].startswith("sha256:"), digest
    assert json.loads(tags["mlops.params"])["max_iter"] == "200"


def test_training_again_reuses_every_step_and_gives_the_same_version(repeated: Chapter) -> None:
    again = repeated.done.json
    assert (again["version"], again["new"]) == (1, False)
    assert again["reused_steps"] == len(STEPS), repeated.done.err


def test_the_gates_judge_version_one(judged: Chapter) -> None:
    report = judged.done.json
    assert report["passed"] is True
    verdicts = {gate["name"]: gate["verdict"] for gate in report["gates"]}
    assert {"limit roc_auc", "onnx parity", "artifact size", "data contract"} <= {
        name for name, verdict in verdicts.items() if verdict == "pass"
    }
    assert report["rows"] > 500
    assert judged.repository.call("versions", "list", "--tag", "mlops.gate=pass", "--json").ok().json


def test_a_limit_that_is_not_met_blocks_with_code_three(judged: Chapter) -> None:
    repository = judged.repository
    with repository.edited("pipelines/flights/model.yaml", "max_megabytes: 20", "max_megabytes: 0.001"):
        repository.spawn("gate").refused(3, "is blocked by ")
        repository.call("release").refused(3, "did not pass its gates")
    repository.call("gate").ok()


def test_the_release_file_names_what_travels_together(released: Chapter) -> None:
    answer = released.done.json
    assert (answer["release"], answer["environment"], answer["replaces"]) == (1, "staging", None)
    assert answer["written"] == ["releases/flights/1.yaml", "environments/staging/flights.yaml"]
    root = released.repository.root
    release = load_release(root, MODEL, 1)
    desired = load_desired(root, "staging", MODEL)
    assert release.source.commit and release.digest.startswith("sha256:")
    assert release.metrics["roc_auc"].value > 0.55
    assert desired is not None and desired.release == 1
    again = released.repository.call("release", "--json").ok().json
    assert again["written"] == [], "a release is written once"


def test_apply_serves_what_the_commit_says(staged: Chapter) -> None:
    assert "flights in staging serves release 1 at http://127.0.0.1:" in staged.done.out
    again = staged.repository.call("apply", "staging", "--json").ok().json
    assert again["changed"] is False


def test_diff_says_two_before_and_zero_after(pending: Chapter, live: Chapter) -> None:
    """CI plans with it: 2 must mean that there is something to do."""
    assert pending.done.code == 2
    assert pending.done.json["served"] is None
    assert pending.done.json["steps"] == [
        "start release 1 as blue, without traffic",
        "ask blue to score the release's sample",
        "send 100 % to blue",
        "tag release 1 as live",
    ]
    after = live.repository.spawn("diff", "prod", "--json")
    assert (after.code, after.json["steps"]) == (0, [])


def test_promotion_is_a_pull_request_that_a_person_approves(promoted: Chapter) -> None:
    answer = promoted.done.json
    assert (answer["release"], answer["replaces"]) == (1, None)
    verdicts = {rule["name"]: rule["verdict"] for rule in answer["rules"]}
    assert verdicts.pop("approvals") == "skipped", "policy asks for no second approval"
    assert set(verdicts.values()) == {"pass"}
    assert answer["pull_request"]["title"] == "Promote flights 1 to prod"
    assert promoted.repository.call("pr", "list", "--json").ok().json == []
    assert f"Approved-by: {REVIEWER}" in promoted.repository.git("log", "-1", "--format=%B")


def test_prod_is_live_in_every_account_of_it(live: Chapter) -> None:
    repository = live.repository
    assert (live.done.json["release"], live.done.json["changed"]) == (1, True)
    rows = {row["env"]: row for row in repository.spawn("status", "--json").ok().json}
    for env in ("staging", "prod"):
        assert (rows[env]["wanted"], rows[env]["served"], rows[env]["health"]) == (1, 1, "serving")
        assert rows[env]["metrics"]["roc_auc"]["value"] > 0.55
    assert rows["prod"]["commit"] == live.commit
    (moment,) = repository.call("history", "prod", "--json").ok().json
    assert (moment["release"], moment["outcome"]) == (1, "served")
    assert [(a["by"], a["rule"]) for a in moment["approvals"]] == [(REVIEWER, "pull request 1")]
    (version,) = repository.call("versions", "list", "--json").ok().json
    assert sorted(version["live"]) == ["prod", "staging"]
    served = {
        (e["environment"], d["release"], d["traffic"]) for e in _endpoints(live) for d in e["deployments"]
    }
    assert served == {("staging", 1, 100), ("prod", 1, 100)}


def _endpoints(live: Chapter) -> list[dict[str, object]]:
    found: list[dict[str, object]] = live.repository.call("endpoints", "--json").ok().json
    return found


@pytest.fixture
def sample(live: Chapter) -> Iterator[dict[str, object]]:
    """Rows that the artifact itself carries."""
    repository = live.repository
    with repository.environment():
        version = repository.target.registry.get(MODEL, 1)
        folder = repository.target.registry.fetch(MODEL, 1, version.tags["mlops.digest"])
    yield json.loads((folder / "sample.json").read_text())


def test_prod_answers_json_and_csv_alike(live: Chapter, sample: dict, tmp_path: Path) -> None:
    import pandas as pd

    body = sample["input_data"]
    as_json, as_csv = tmp_path / "rows.json", tmp_path / "rows.csv"
    as_json.write_text(json.dumps(sample))
    pd.DataFrame(body["data"], columns=body["columns"]).to_csv(as_csv, index=False)
    first = live.repository.spawn("score", "--env", "prod", "--input", str(as_json)).ok().json
    second = live.repository.call("score", "--env", "prod", "--input", str(as_csv)).ok().json
    assert len(first["predictions"]) == len(body["data"])
    assert all(0 <= chance <= 1 for chance in first["predictions"])
    assert len(set(first["predictions"])) > 1, "a constant is no model"
    assert second["predictions"] == first["predictions"]


def test_a_row_that_breaks_the_contract_is_refused_by_the_endpoint(
    live: Chapter, sample: dict, tmp_path: Path
) -> None:
    body = sample["input_data"]
    rows = tmp_path / "rows.json"
    rows.write_text(
        json.dumps({"input_data": {"columns": body["columns"][1:], "data": [body["data"][0][1:]]}})
    )
    live.repository.call("score", "--env", "prod", "--input", str(rows)).refused(
        6, "flights in prod answered 4", body["columns"][0]
    )


def test_an_endpoint_wants_its_key(live: Chapter, sample: dict) -> None:
    (prod,) = [e for e in _endpoints(live) if e["environment"] == "prod"]
    command = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--data"]
    done = subprocess.run(
        [*command, json.dumps(sample), prod["url"]], capture_output=True, text=True, check=True
    )
    assert done.stdout == "401"


def test_a_version_that_is_live_cannot_be_deleted(live: Chapter) -> None:
    with live.repository.unchanged():
        live.repository.call("versions", "delete", "1").refused(3, "live in prod, staging")


def test_checks_find_nothing_wrong(live: Chapter) -> None:
    live.repository.spawn("check", "--registry", "--base", "HEAD~2").ok()
    live.repository.spawn("pipeline", "lint").ok()


def test_stop_and_apply_again(live: Chapter) -> None:
    repository = live.repository
    stopped = repository.spawn("stop", "staging").ok()
    assert "stopped flights in staging" in stopped.out
    assert [e["environment"] for e in _endpoints(live)] == ["prod"]
    assert repository.call("diff", "staging").code == 2
    repository.call("apply", "staging").ok()
    assert repository.call("diff", "staging").code == 0
