"""Whoever adds a stack or gives one another name: a trial comes up beside the others, a rename is told its
cost."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from graphs import ROOT, plan
from mlops.infra.model import Captured
from mlops.infra.plan.renames import told
from mlops.infra.plan.stacks import capture_stacks
from mlops.infra.policy.judge import judge


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Captured]:
    """Copies of `dev` as people make them."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("Pulumi.yaml", "mlops.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "infra").symlink_to(ROOT / "infra")
    environments = shutil.copytree(ROOT / "environments", folder / "environments")
    names = ("dev-alice", "sandbox", "sandy")
    for name in names:
        shutil.copy(environments / "Pulumi.dev.yaml", environments / f"Pulumi.{name}.yaml")
    return {c.stack: c for c in capture_stacks(folder, names)}


def test_a_trial_passes_what_dev_passes(others: dict[str, Captured]) -> None:
    assert judge(others["dev-alice"].azure) == []


def test_stacks_of_one_repository_share_no_resource(others: dict[str, Captured]) -> None:
    ids = [r.id.lower() for c in (*others.values(), plan("dev"), plan("prod")) for r in c.azure]
    assert len(set(ids)) == len(ids)


def test_a_renamed_stack_is_told_what_that_costs(others: dict[str, Captured]) -> None:
    dev = plan("dev")
    (sentence,) = told([dev], [others["sandbox"]])
    same = {r.id for r in dev.azure} & {r.id for r in others["sandbox"].azure}
    total = len(dev.azure)
    assert sentence.startswith(
        f"stack sandbox is dev under another name: {total - len(same)} of {total} resources"
    )
    assert "without data, models and history" in sentence


def test_a_stack_that_is_none_of_those_gone_is_new(others: dict[str, Captured]) -> None:
    assert told([], [others["sandbox"]]) == []
    assert told([plan("shared")], [others["sandbox"]]) == []
    assert told([plan("dev")], []) == []
    few = replace(plan("dev"), resources=plan("dev").resources[:10])
    assert told([few], [others["sandbox"]]) == []
