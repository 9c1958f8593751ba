"""What is fetched is what was registered, and what is served is never deleted: a registry that hands out
other bytes, or loses the live version, cannot be rolled back to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.errors import Blocked, IntegrityError, NotFound, TargetError
from mlops.lifecycle.train import versions
from mlops.spec.digest import tree_digest
from mlops.targets.local.registry import KEY, LocalRegistry


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "environments" / "prod").mkdir(parents=True)
    return folder


@pytest.fixture
def state(tmp_path: Path, database: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    shutil.copy(database, folder / "mlflow.db")
    return folder


@pytest.fixture
def registry(state: Path, root: Path) -> LocalRegistry:
    return LocalRegistry(state, root=root)


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "onnx").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "onnx" / "model.onnx").write_bytes(b"\x00\x01")
    return folder


def test_fetch_verifies_and_uses_the_cache(registry, artifact, state):
    digest = tree_digest(artifact)
    made = registry.register("freight", artifact, digest, {"mlops.commit": "c"})
    assert registry.register("freight", artifact, digest, {}).version == made.version == 1

    folder = registry.fetch("freight", 1, digest)
    assert folder == state / "models" / digest.removeprefix("sha256:")
    assert tree_digest(folder) == digest
    shutil.rmtree(state / "artifacts")
    assert registry.fetch("freight", 1, digest) == folder, "the second time nothing is downloaded"


def test_a_changed_cache_is_refused_and_named(registry, artifact):
    digest = tree_digest(artifact)
    registry.register("freight", artifact, digest, {})
    folder = registry.fetch("freight", 1, digest)
    (folder / "MLmodel").write_text("flavors: {evil: {}}\n")
    with pytest.raises(IntegrityError, match="freight version 1 in the cache has the digest") as refusal:
        registry.fetch("freight", 1, digest)
    assert digest in str(refusal.value) and f"delete {folder}" in str(refusal.value)


def test_a_changed_artifact_is_refused_and_not_cached(registry, artifact, state):
    digest = tree_digest(artifact)
    made = registry.register("freight", artifact, digest, {})
    stored = Path(made.source.removeprefix("file://"))
    (stored / "onnx" / "model.onnx").write_bytes(b"\x00\x02")
    with pytest.raises(IntegrityError, match="the artifact of freight version 1"):
        registry.fetch("freight", 1, digest)
    assert list((state / "models").iterdir()) == []


def test_another_digest_than_the_registry_records_is_refused(registry, artifact):
    registry.register("freight", artifact, tree_digest(artifact), {})
    with pytest.raises(IntegrityError, match="nothing was fetched"):
        registry.fetch("freight", 1, f"sha256:{'0' * 64}")


def test_a_live_version_cannot_be_deleted(registry, artifact):
    registry.register("freight", artifact, tree_digest(artifact), {})
    registry.tag("freight", 1, {"mlops.env.staging": "live", "mlops.env.prod": "live"})
    with pytest.raises(Blocked, match="live in prod, staging"):
        versions.delete(registry, "freight", 1)
    registry.tag("freight", 1, {"mlops.env.staging": None, "mlops.env.prod": None})
    versions.delete(registry, "freight", 1)
    with pytest.raises(NotFound):
        registry.get("freight", 1)


@pytest.mark.parametrize("text", ["release: 1\n", "release: 2\nreplaces: 1\n"])
def test_a_version_that_an_environment_names_cannot_be_deleted(registry, artifact, root, text):
    registry.register("freight", artifact, tree_digest(artifact), {})
    desired = root / "environments" / "prod" / "freight.yaml"
    desired.write_text(text)
    with pytest.raises(Blocked, match=r"environments/prod/freight\.yaml names it"):
        registry.delete("freight", 1)
    desired.write_text("release: 3\n")
    registry.delete("freight", 1)


def test_versions_are_found_by_tag_in_order_of_numbers(registry, artifact):
    for number in range(1, 11):
        gate = "pass" if number in (2, 9, 10) else "blocked"
        registry.register("freight", artifact, f"sha256:{number:064d}", {"mlops.gate": gate})
    assert [row.version for row in versions.find(registry, "freight", ["mlops.gate=pass"])] == [10, 9, 2]
    assert registry.versions("other") == []


def test_aliases_move_and_go(registry, artifact):
    registry.register("freight", artifact, tree_digest(artifact), {})
    for version in (1, 1, None, None):
        registry.set_alias("freight", "champion", version)


def test_what_is_behind_a_link_is_neither_registered_nor_fetched(registry, artifact, tmp_path):
    digest = tree_digest(artifact)
    registry.register("freight", artifact, digest, {})
    folder = registry.fetch("freight", 1, digest)
    shutil.move(folder / "onnx", tmp_path / "onnx")
    (folder / "onnx").symlink_to(tmp_path / "onnx")
    with pytest.raises(IntegrityError, match=rf"onnx \(a symbolic link\).*delete {folder}"):
        registry.fetch("freight", 1, digest)
    (artifact / "more").symlink_to(tmp_path)
    with pytest.raises(IntegrityError):
        registry.register("parcel", artifact, digest, {})
    assert registry.versions("parcel") == []


@pytest.mark.parametrize(
    "breaks",
    [
        lambda key: key.write_bytes(b""),
        lambda key: key.write_bytes(key.read_bytes()[:31]),
        lambda key: key.write_bytes(key.read_bytes() * 2),
        lambda key: (key.unlink(), key.mkdir()),
        lambda key: (key.unlink(), os.mkfifo(key)),
        lambda key: (key.unlink(), key.symlink_to("nowhere")),
    ],
    ids=["empty", "cut short", "too long", "a folder", "a pipe", "a link to nothing"],
)
@pytest.mark.parametrize("make", [False, True])
def test_a_damaged_key_is_told_and_not_replaced(
    registry: LocalRegistry, state: Path, breaks: Callable[[Path], object], make: bool
) -> None:
    assert registry.seal(make=True) is not None
    key = state / KEY
    breaks(key)
    before = key.lstat()
    with pytest.raises(TargetError) as caught:
        registry.seal(make=make)
    assert caught.value.exit_code == TargetError.exit_code and str(key) in str(caught.value)
    assert (key.lstat().st_ino, key.lstat().st_size) == (before.st_ino, before.st_size)
