"""A fork adds a resource of its own in `infra/` alone: plan, policy and the comparison with a commit know it.
The code is that of the page docs/guides/own-resource.md, so the page works as it stands."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from graphs import ROOT
from mlops.errors import InvalidInput
from mlops.infra.arm_types import ArmType
from mlops.infra.own import Own
from mlops.infra.plan import api
from mlops.infra.policy.judge import rules_with
from mlops.infra.policy.pack import policies
from mlops.infra.policy.rule import ResourceRule

PAGE = ROOT / "docs/guides/own-resource.md"


def _git(folder: Path, *args: str) -> None:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", "-C", str(folder), *who, *args], capture_output=True, check=True)


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    """The repository as a fork has it: its own `infra/`, committed, then edited as the page says."""
    for name in ("Pulumi.yaml", "mlops.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("environments", "infra", "pipelines"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", "--all")
    _git(tmp_path, "commit", "--quiet", "--message", "before")
    text = PAGE.read_text(encoding="utf-8")
    for name, code in re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", text, re.DOTALL):
        (tmp_path / name).write_text(code, encoding="utf-8")
    for name, diff in re.findall(r"<!-- edit: (\S+) -->\n```diff\n(.*?)```", text, re.DOTALL):
        _edit(tmp_path / name, diff)
    return tmp_path


def _edit(path: Path, diff: str) -> None:
    """Put each `+` line where the lines around it say."""
    text = path.read_text(encoding="utf-8")
    for hunk in diff.split("…\n"):
        lines = hunk.splitlines()
        before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
        after = "\n".join(line[1:] for line in lines)
        assert text.count(before) == 1, f"{path.name} does not have, once: {before}"
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def test_a_cache_is_planned_judged_and_compared(fork: Path) -> None:
    planned = api.plan(fork, stacks=["dev", "prod"], against="HEAD")
    found = {s.captured.stack: {(c.kind, c.name) for c in s.changes or ()} for s in planned.stacks}
    own = {("create", "cache"), ("create", "diagnostics-cache")}
    assert found["dev"] == own
    private = {"private-endpoint-cache", "private-dns-cache", "zone-cache", "zone-link-cache"}
    assert found["prod"] == own | {("create", name) for name in private}
    (prod,) = (s.captured for s in planned.stacks if s.captured.stack == "prod")
    assert prod.named("cache").id.endswith(
        "/providers/Microsoft.Cache/redis/" + prod.named("cache").get("name")
    )
    assert {(f.stack, f.resource, f.check) for f in planned.violations} == {("dev", "cache", "CKV_AZURE_89")}


def test_its_rules_and_those_of_the_platform_hold(fork: Path) -> None:
    code = (fork / "infra/cache.py").read_text(encoding="utf-8")
    wrong = code.replace("disable_access_key_authentication=True", "disable_access_key_authentication=False")
    (fork / "infra/cache.py").write_text(wrong.replace("            tags=env.place.tags,\n", ""))
    planned = api.plan(fork, stacks=["prod"], checkov=False)
    assert {(f.resource, f.check) for f in planned.violations} == {
        ("cache", "MLOPS_CACHE_1"),
        ("cache", "MLOPS_TAGS_1"),
    }


def test_a_kind_that_is_not_named_is_refused(fork: Path) -> None:
    (fork / "infra/own.py").unlink()
    with pytest.raises(
        InvalidInput, match=r"redis:Redis is no kind .* add 'redis:Redis' to arm_types in infra/own.py"
    ):
        api.plan(fork, stacks=["dev"], checkov=False)


def test_own_settings_are_read_as_strictly(fork: Path) -> None:
    file = fork / "environments/Pulumi.dev.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "  mlops:own:\n    cache_capacity: 1\n")
    (dev,) = api.plan(fork, stacks=["dev"], checkov=False).stacks
    assert dev.captured.named("cache").get("sku.capacity") == 1
    file.write_text(text + "  mlops:own:\n    cache_capacty: 1\n")
    line = len(text.splitlines()) + 2
    with pytest.raises(InvalidInput, match=rf"Pulumi\.dev\.yaml:{line}: own\.cache_capacty: ") as caught:
        api.plan(fork, stacks=["dev"], checkov=False)
    assert "cache_capacity" in str(caught.value)


def test_own_settings_that_nothing_reads_are_refused(tmp_path: Path) -> None:
    for name in ("Pulumi.yaml", "mlops.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    with (tmp_path / "environments/Pulumi.dev.yaml").open("a", encoding="utf-8") as file:
        file.write("  mlops:own: {cache_capacity: 1}\n")
    with pytest.raises(
        InvalidInput, match=r"Pulumi\.dev\.yaml:\d+: own: nothing in infra/environment\.py reads it"
    ):
        api.plan(tmp_path, stacks=["dev"], checkov=False)


def test_pulumi_runs_the_same_rules() -> None:
    rule = ResourceRule("MLOPS_CACHE_1", "Caches", ("redis:Redis",), lambda _: ())
    own = Own(
        arm_types={"redis:Redis": ArmType("Microsoft.Cache/redis", "2024-11-01", ("name",))}, rules=(rule,)
    )
    names = [p.name for p in policies(lambda _: frozenset(), own)]
    assert len(names) == len(set(names))
    assert "MLOPS_CACHE_1" in names


def test_an_id_that_is_taken_is_refused() -> None:
    rule = ResourceRule("MLOPS_TAGS_1", "Mine", ("redis:Redis",), lambda _: ())
    with pytest.raises(InvalidInput, match="the platform has a rule MLOPS_TAGS_1 already"):
        rules_with(Own(rules=(rule,)))
