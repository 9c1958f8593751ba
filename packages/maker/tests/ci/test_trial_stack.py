"""A trial of somebody's own goes by its `ttl` once it has the jobs that docs/infrastructure.md shows, in both
systems: with fixed names only, the night run succeeded and deleted nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import ci_azure as azure
import ci_github as github
import pytest
from ci_model import ROOT, read

from mlops.errors import InvalidInput
from mlops.infra import expired

FILES = (".github/workflows/destroy.yml", "pipelines/azure-devops/destroy.yml")
TRIAL = "dev-alice"


def _shown() -> list[str]:
    """The two pieces of YAML of the page."""
    page = (ROOT / "docs/infrastructure.md").read_text(encoding="utf-8")
    section = page.split("## A stack for a while\n")[1].split("\n## ")[0]
    found = re.findall(r"```yaml\n(.*?)```", section, flags=re.DOTALL)
    assert len(found) == len(FILES)
    return found


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("Pulumi.yaml", "mlops.toml"):
        shutil.copy(ROOT / name, tmp_path)
    environments = shutil.copytree(ROOT / "environments", tmp_path / "environments")
    dev = (environments / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    dev = re.sub(r"^  mlops:ttl: .*\n", "", dev, flags=re.MULTILINE)
    (environments / f"Pulumi.{TRIAL}.yaml").write_text(
        dev.replace("config:\n", "config:\n  mlops:ttl: 14d\n", 1)
    )
    for path in FILES:
        (tmp_path / path).parent.mkdir(parents=True)
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


def test_what_the_page_shows_makes_the_clock_strike(repository: Path) -> None:
    for path, shown in zip(FILES, _shown(), strict=True):
        with pytest.raises(InvalidInput, match=rf"{re.escape(path)} has no job for the stack {TRIAL}"):
            expired.configured(repository)
        file = repository / path
        file.write_text(file.read_text(encoding="utf-8") + shown, encoding="utf-8")
    assert expired.configured(repository) == {TRIAL: "14d"}
    on_github = github.load("destroy", read(repository / FILES[0])).units[TRIAL]
    on_azure = azure.load("destroy", read(repository / FILES[1])).units[TRIAL.replace("-", "_")]
    for field in ("needs", "environments", "locked", "minutes", "pulumi", "commands", "condition"):
        assert getattr(on_github, field) == getattr(on_azure, field), field
    assert on_github.environments == [TRIAL]
    assert "pulumi destroy" in on_github.commands[-1][0]


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_every_environment_of_the_template_has_its_job_in_both_systems(name: str) -> None:
    expired.check_jobs(ROOT, [name])
