"""Plan, doctor and the verb say beforehand which machines Azure no longer makes."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from yamllint.config import YamlLintConfig
from yamllint.linter import run as yaml_problems

from graphs import CLUSTERS, MODEL, ROOT
from mlops.cli import _infra  # noqa: F401  registers the commands
from mlops.cli._app import app
from mlops.doctor import platform
from mlops.doctor.case import Case
from mlops.infra.plan import api
from mlops.infra.policy import checks_platform
from mlops.infra.policy.judge import RULES
from mlops.infra.policy.pack import policies
from mlops.infra.sizes import named
from mlops.profile.recommend import sizes
from mlops.spec.vm_sizes import OWN, table

PAGE = """
| Series name | Status | Announcement | Date | Guide |
|---|---|---|---|---|
| NVv3-series | **Announced** | - | 10/31/26 | - |
"""


def _with_size(repository: Path, size: str) -> None:
    path = repository / "environments/Pulumi.dev.yaml"
    path.write_text(path.read_text().replace("Standard_NC4as_T4_v3", size))


def test_no_stack_of_the_template_names_a_size_that_ends() -> None:
    found = named(ROOT)
    assert {n.stack for n in found} == {"dev", "staging", "prod"}
    assert [n for n in found if n.ends] == []
    assert {n.gpu for n in found if n.field == "clusters.gpu-cluster"} == {True}


@pytest.mark.parametrize(
    ("size", "severity"), [("Standard_NC6s_v3", "error"), ("Standard_HC44rs", "warning")]
)
def test_doctor_tells_a_size_that_ends(repository: Path, size: str, severity: str) -> None:
    assert list(platform.sizes(Case(repository))) == []
    _with_size(repository, size)
    (finding,) = platform.sizes(Case(repository))
    assert (finding.severity, finding.file) == (severity, True)
    assert finding.sentence.startswith(
        f"environments/Pulumi.dev.yaml: clusters.gpu-cluster: {size} is of the series"
    )


def test_doctor_tells_the_size_of_an_endpoint(repository: Path) -> None:
    path = repository / "mlops.toml"
    text = path.read_text()
    path.write_text(f'{text}\n[models.{MODEL}.online]\ninstance_type = "Standard_NV12s_v3"\n')
    (finding,) = platform.sizes(Case(repository))
    assert finding.sentence.startswith(f"mlops.toml: models.{MODEL}.online.instance_type: ")


def test_a_plan_notes_what_ends_within_a_year(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_size(repository, "Standard_HC44rs")
    monkeypatch.setattr(checks_platform, "today", lambda: date(2026, 6, 2))
    planned = api.plan(repository, stacks=["dev"], checkov=False)
    (note,) = planned.notes
    assert note.startswith(
        "stack dev: compute-gpu-cluster: Standard_HC44rs is of the series HC, which Azure retires"
    )
    assert planned.violations == ()
    monkeypatch.setattr(checks_platform, "today", lambda: date(2027, 6, 1))
    assert {v.check for v in api.plan(repository, stacks=["dev"], checkov=False).violations} == {
        "MLOPS_COMPUTE_7"
    }


def _verb(repository: Path, *words: str) -> Any:
    return CliRunner().invoke(app, ["-C", str(repository), "infra", "sizes", *words])


def test_the_verb_lists_what_the_stacks_name(repository: Path) -> None:
    _with_size(repository, "Standard_NC6s_v3")
    done = _verb(repository, "--json")
    assert done.exit_code == 0, done.output
    found = {(n["stack"], n["field"]): n for n in json.loads(done.stdout)}
    assert found["dev", "clusters.gpu-cluster"]["ends"] == "2025-09-30"
    assert found["dev", "clusters.cpu-cluster"]["size"] == CLUSTERS["cpu-cluster"]["vm_size"]
    assert "which Azure retired on" in _verb(repository).stdout


def test_the_verb_writes_a_table_of_the_repository(repository: Path, tmp_path: Path) -> None:
    page, own = tmp_path / "page.md", repository / OWN
    page.write_text(PAGE)
    assert _verb(repository, "--page", str(page)).exit_code == 0
    (series,) = [s for s in table(repository).series if s.series == "NVv3"]
    assert series.ends == date(2026, 10, 31)
    page.write_text(PAGE + "| NGv9-series | x | - | 01/02/31 | - |\n")
    done = _verb(repository, "--page", str(page))
    assert done.exit_code == 4, "a series without a line is nobody's"
    assert f"NGv9: add a line with the pattern of their sizes to {OWN}" in done.stderr
    kept = own.read_text()
    assert list(yaml_problems(kept, YamlLintConfig(file=str(ROOT / ".yamllint.yaml")))) == []
    page.write_text("moved")
    assert _verb(repository, "--page", str(page)).exit_code == 5
    assert _verb(repository, "--page", str(tmp_path / "no.md")).exit_code == 6
    assert own.read_text() == kept


def _gone(repository: Path, size: str) -> None:
    """The repository's own table says that Azure has retired a size, which the package's does not say."""
    text = f'read: 2099-01-01\nseries:\n  - {{series: Ours, sizes: "{size}", ends: 2026-01-01}}\n'
    (repository / OWN).write_text(text)


def test_plan_policy_and_doctor_read_the_repositorys_table(repository: Path) -> None:
    assert api.plan(repository, stacks=["dev"], checkov=False).violations == ()
    _gone(repository, "D4ds_v5")
    found = api.plan(repository, stacks=["dev"], checkov=False).violations
    assert {v.check for v in found} == {"MLOPS_COMPUTE_7"}
    assert "of the series Ours, which Azure retired on 01 January 2026" in found[0].message
    assert "clusters.cpu" in next(iter(platform.sizes(Case(repository)))).sentence
    assert "Azure retired" in _verb(repository).stdout
    pack = policies(lambda _: frozenset(), None, table(repository))
    assert {p.name for p in pack} == {r.check for r in RULES}


def test_profile_reads_the_repositorys_table(repository: Path) -> None:
    names = [row.name for row in sizes(repository)]
    _gone(repository, names[0].removeprefix("Standard_"))
    assert [row.name for row in sizes(repository)] == names[1:]


def test_a_wrong_table_is_told_with_its_line(repository: Path) -> None:
    (repository / OWN).write_text("read: 2026-01-01\nserie: []\n")
    done = _verb(repository)
    assert done.exit_code == 5
    assert f"{OWN}:2: serie" in done.stderr
