"""Versions in the workspace and in the shared registry. Two truths of what is where, a copy that differs, or
a version that an environment cannot read would each put another model into production than git says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.errors import Blocked, IntegrityError, NotFound, TargetError
from mlops.spec.digest import tree_digest
from mlops.spec.settings import load_settings
from mlops.targets.azure import open_azure
from mlops.targets.azure.connect import Connection
from mlops.targets.azure.registry import AzureRegistry
from tests.azure import tiny
from tests.azure.emulator import Emulator

MODEL = "tiny"
WORKSPACE = "/workspaces/mlw-flights-mlops-dev-we"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tiny.make(tmp_path / "repository")
    return tmp_path / "repository"


@pytest.fixture
def open_registry(root: Path, tracked: Emulator) -> Callable[[], AzureRegistry]:
    """What another process, of whatever identity, would open."""

    def opened() -> AzureRegistry:
        registry = open_azure(root, load_settings(root)).registry
        assert isinstance(registry, AzureRegistry)
        return registry

    return opened


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "onnx").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "onnx" / "model.onnx").write_bytes(b"\x00\x01")
    return folder


def test_a_version_before_during_and_after_sharing(
    open_registry: Callable[[], AzureRegistry], artifact: Path, tracked: Emulator, root: Path
):
    registry, digest = open_registry(), tree_digest(artifact)
    made = registry.register(MODEL, artifact, digest, {"mlops.commit": "c" * 40})
    assert (made.version, made.tags["mlops.digest"]) == (1, digest)
    assert registry.register(MODEL, artifact, digest, {}).version == 1, "made once for each digest"
    registry.tag(MODEL, 1, {"mlops.gate": "pass"})

    registry.share(MODEL, 1)
    registry.share(MODEL, 1)
    assert len(tracked.calls("POST", "/import")) == 1, "sharing again does nothing"
    copy = tracked.arm.get(f"{_registry(tracked)}/models/{MODEL}/versions/1")
    assert copy is not None
    tags = copy["properties"]["tags"]
    assert (tags["mlops.commit"], tags["mlops.digest"]) == ("c" * 40, digest)
    assert (tags["mlops.gate"], tags["mlops.run_id"]) == ("pass", made.run_id)
    assert copy["id"] == registry.uri(MODEL, 1)

    registry.tag(MODEL, 1, {"mlops.env.prod": "live", "mlops.gate": None})
    (live,) = registry.versions(MODEL, {"mlops.env.prod": "live"})
    assert "mlops.gate" not in live.tags, "the registry's tags are the truth of a shared version"
    assert (live.run_id, live.source) == (made.run_id, made.source), "the workspace knows where it comes from"
    with pytest.raises(Blocked, match=r"is shared in the registry mlr-.*, where releases find it"):
        registry.delete(MODEL, 1)


def test_a_promoter_who_does_not_see_the_training_workspace(
    open_registry: Callable[[], AzureRegistry], artifact: Path, tracked: Emulator, root: Path
):
    trainer, digest = open_registry(), tree_digest(artifact)
    made = trainer.register(MODEL, artifact, digest, {"mlops.commit": "c"})
    (artifact / "MLmodel").write_text("flavors: {a: 1}\n")
    trainer.register(MODEL, artifact, tree_digest(artifact), {})
    trainer.share(MODEL, 1)
    shutil.rmtree(root / ".mlops" / "models", ignore_errors=True)

    tracked.arm.deny(WORKSPACE)
    promoter = open_registry()
    assert [v.version for v in promoter.versions(MODEL)] == [1], "only what was shared"
    assert promoter.get(MODEL, 1).run_id == made.run_id
    fetched = promoter.fetch(MODEL, 1, digest)
    assert (fetched / "onnx" / "model.onnx").read_bytes() == b"\x00\x01"
    promoter.tag(MODEL, 1, {"mlops.env.staging": "live"})
    promoter.set_alias(MODEL, "staging", 1)
    tracked.arm.allow()
    assert trainer.get(MODEL, 1).tags["mlops.env.staging"] == "live"

    tracked.arm.deny(WORKSPACE)
    with pytest.raises(NotFound, match="this identity does not see the workspace that trains"):
        promoter.get(MODEL, 2)
    with pytest.raises(TargetError, match=r"cannot read report of run .* does not see the workspace mlw-"):
        promoter.artifacts(made.run_id, "report")


def test_a_copy_that_differs_is_refused(
    open_registry: Callable[[], AzureRegistry], artifact: Path, tracked: Emulator, root: Path
):
    registry, digest = open_registry(), tree_digest(artifact)
    made = registry.register(MODEL, artifact, digest, {})
    workspace = next(w for w in tracked.workspaces.workspaces.values() if w.id.endswith(WORKSPACE))
    tracked.history.log(workspace, made.run_id, "model/onnx/model.onnx", b"something else")
    with pytest.raises(IntegrityError, match="the copy of tiny version 1 at azureml://registries/"):
        registry.share(MODEL, 1)


def test_no_right_to_write_to_the_registry(
    open_registry: Callable[[], AzureRegistry], artifact: Path, tracked: Emulator
):
    registry = open_registry()
    registry.register(MODEL, artifact, tree_digest(artifact), {})
    tracked.arm.deny("/registries/", "POST PUT")
    with pytest.raises(TargetError, match=r"cannot share tiny 1 with the registry mlr-.*lacks the right"):
        registry.share(MODEL, 1)


def test_tags_that_somebody_else_writes_at_the_same_time(
    open_registry: Callable[[], AzureRegistry], artifact: Path, tracked: Emulator
):
    registry = open_registry()
    registry.register(MODEL, artifact, tree_digest(artifact), {})
    registry.share(MODEL, 1)
    path = f"{_registry(tracked)}/models/{MODEL}/versions/1"
    lost = []

    def overwritten(request):  # an apply of another environment that read before and writes after
        found = tracked.arm.get(path)
        reads = request.method == "GET" and request.path.endswith("/models/tiny/versions/1")
        if reads and not lost and "mlops.env.prod" in found["properties"]["tags"]:
            lost.append(found["properties"]["tags"].pop("mlops.env.prod"))

    tracked.faults.append(overwritten)
    registry.tag(MODEL, 1, {"mlops.env.prod": "live"})
    assert lost == ["live"]
    assert tracked.arm.get(path)["properties"]["tags"]["mlops.env.prod"] == "live"


def test_without_a_registry_everything_stays_in_the_workspace(root: Path, tracked: Emulator, artifact: Path):
    (root / "mlops.toml").write_text((root / "mlops.toml").read_text() + '[azure]\nregistry = "none"\n')
    registry, digest = AzureRegistry(Connection(root, load_settings(root))), tree_digest(artifact)
    registry.register(MODEL, artifact, digest, {})
    registry.share(MODEL, 1)
    registry.tag(MODEL, 1, {"mlops.env.prod": "live"})
    assert registry.versions(MODEL, {"mlops.env.prod": "live"})[0].version == 1
    assert registry.fetch(MODEL, 1, digest).is_dir()
    assert registry.uri(MODEL, 1) == "azureml:tiny:1"
    assert not tracked.calls("GET", "/registries/")


def _registry(azure: Emulator) -> str:
    (found,) = azure.workspaces.registries.values()
    return found.id
