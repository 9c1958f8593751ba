"""Plan and doctor say beforehand which Kubernetes versions Azure no longer supports."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from graphs import plan
from mlops.doctor import platform
from mlops.doctor.case import Case
from mlops.infra.kubernetes_versions import ENDS, last_day, sentence, verdict
from mlops.infra.plan import api
from mlops.infra.policy import checks_platform
from mlops.infra.policy.judge import judge


def _with_version(repository: Path, version: str) -> None:
    path = repository / "environments/Pulumi.dev.yaml"
    path.write_text(
        f'{path.read_text().rstrip()}\n  mlops:options: {{aks: {{kubernetes_version: "{version}"}}}}\n'
    )


@pytest.mark.parametrize(
    ("version", "day", "judged"),
    [
        ("1.20", date(2026, 1, 1), "ended"),
        ("1.31", date(2025, 11, 1), "soon"),
        ("1.31", date(2025, 11, 2), "ended"),
        ("1.35", date(2026, 12, 30), "fine"),
        ("1.35", date(2026, 12, 31), "soon"),
        ("1.35.4", date(2027, 4, 1), "ended"),
        ("1.99", date(2030, 1, 1), "fine"),
    ],
)
def test_a_version_is_judged_by_its_last_day(version: str, day: date, judged: str) -> None:
    assert verdict(version, day) == judged
    assert bool(sentence(version, day)) is (judged != "fine")


def test_every_version_of_the_table_ends_after_the_one_before() -> None:
    assert list(ENDS) == sorted(ENDS)
    assert list(ENDS.values()) == sorted(set(ENDS.values()))
    assert last_day("1.37.2") == ENDS[1, 37]


def test_a_version_out_of_support_is_refused_in_the_plan() -> None:
    options = {"aks": {"kubernetes_version": "1.32"}}
    assert {f.check for f in judge(plan("dev", options=options).azure)} == {"MLOPS_KUBERNETES_1"}
    assert judge(plan("dev", options={"aks": {}}).azure) == []


def test_a_plan_notes_a_version_that_ends_soon(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_version(repository, "1.36")
    monkeypatch.setattr(checks_platform, "today", lambda: date(2027, 6, 1))
    planned = api.plan(repository, stacks=["dev"], checkov=False)
    assert [n for n in planned.notes if n.startswith("stack dev: kubernetes: ")]
    assert planned.violations == ()


def test_doctor_tells_a_version_out_of_support(repository: Path) -> None:
    assert list(platform.kubernetes(Case(repository))) == []
    _with_version(repository, "1.30")
    (finding,) = platform.kubernetes(Case(repository))
    assert (finding.severity, finding.file) == ("error", True)
    assert finding.sentence.startswith("environments/Pulumi.dev.yaml: options.aks.kubernetes_version: ")
