"""What may become a release, and what a release says: each fact that is missing or wrong is refused alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from mlops.errors import Blocked, IntegrityError
from mlops.lifecycle.propose.release import _refuse, describe, release_text
from mlops.spec._yaml import Document
from mlops.spec.gates import GateReport, GateResult, Interval
from mlops.spec.release import Release
from mlops.targets.base import ModelVersion

DIGEST = "sha256:" + "a" * 64
TAGS = {
    "mlops.digest": "sha256:" + "d" * 64,
    "mlops.gate": "pass",
    "mlops.commit": "c" * 40,
    "mlops.branch": "main",
    "mlops.dirty": "false",
    "mlops.actor": "ada",
    "mlops.pipeline": "pipelines/freight/training.yml",
    "mlops.pipeline.digest": DIGEST,
    "mlops.environment.digest": DIGEST,
    "mlops.data.name": "nycfreight",
    "mlops.data.version": "1",
    "mlops.data.digest": DIGEST,
    "mlops.data.window": "2013-01..2013-03",
    "mlops.data.test_window": "2013-04",
}
MADE = datetime(2026, 3, 1, 13, 0, 0, 987654, tzinfo=timezone(timedelta(hours=1)))
VERSION = ModelVersion("freight", 7, "run7", "memory", TAGS, MADE)
PASSED = GateResult(name="limit roc_auc", verdict="pass", observed="0.7", limit="0.6")
REPORT = GateReport(
    model="freight",
    version=7,
    champion=6,
    rows=100,
    confidence=0.95,
    metrics={"roc_auc": Interval(value=0.123456789, low=0.1, high=0.2, champion=None)},
    gates=[PASSED],
)


def tagged(**changes: str | None) -> ModelVersion:
    tags = {**TAGS, **{f"mlops.{k.replace('__', '.')}": v for k, v in changes.items()}}
    return replace(VERSION, tags={k: v for k, v in tags.items() if v is not None})


def test_a_version_that_passed_may_be_released():
    _refuse(VERSION)


@pytest.mark.parametrize(
    "change",
    [
        {"gate": None},
        {"gate": "blocked"},
        {"gate": ""},
        {"gate": "Pass"},
        {"commit": None},
        {"commit": ""},
    ],
)
def test_a_version_that_may_not(change: dict[str, Any]):
    with pytest.raises(Blocked):
        _refuse(tagged(**change))


def test_a_release_says_what_the_registry_and_the_report_say():
    made = describe(VERSION, REPORT)
    assert (made.model, made.version, made.digest) == ("freight", 7, TAGS["mlops.digest"])
    assert made.created == datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    assert (made.source.commit, made.source.branch, made.source.actor) == ("c" * 40, "main", "ada")
    assert (made.source.run_id, made.source.dirty) == ("run7", False)
    assert (made.source.pipeline, made.source.pipeline_digest) == (TAGS["mlops.pipeline"], DIGEST)
    assert (made.data.name, made.data.version, made.data.digest) == ("nycfreight", "1", DIGEST)
    assert (made.data.window, made.data.test_window) == ("2013-01..2013-03", "2013-04")
    assert made.environment == DIGEST
    assert made.metrics["roc_auc"] == Interval(value=0.123457, low=0.1, high=0.2)
    assert made.gates == [PASSED]
    assert describe(tagged(branch=None), REPORT).source.branch == ""
    assert Document(release_text(made), "7.yaml").parse(Release) == made


@pytest.mark.parametrize(
    "tag",
    ["digest", "commit", "actor", "pipeline", "pipeline__digest", "environment__digest"]
    + [f"data__{field}" for field in ("name", "version", "digest", "window", "test_window")],
)
def test_a_fact_of_the_lineage_that_is_missing(tag: str):
    with pytest.raises(IntegrityError):
        describe(tagged(**{tag: None}), REPORT)


@pytest.mark.parametrize("change", [{"version": 8}, {"model": "trains"}])
def test_a_report_about_another_version(change: dict[str, Any]):
    with pytest.raises(IntegrityError):
        describe(VERSION, REPORT.model_copy(update=change))


def test_a_report_that_blocks_whatever_the_tag_says():
    blocked = REPORT.model_copy(update={"gates": [PASSED, PASSED.model_copy(update={"verdict": "blocked"})]})
    with pytest.raises(Blocked):
        describe(VERSION, blocked)
    skipped = REPORT.model_copy(update={"gates": [PASSED.model_copy(update={"verdict": "skipped"})]})
    assert describe(VERSION, skipped).gates[0].verdict == "skipped"
