"""Data assets: a version in the workspace never changes, and a model's lineage names exactly it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlops.errors import IntegrityError, TargetError
from mlops.spec.settings import load_settings
from mlops.targets.azure.connect import Connection
from mlops.targets.azure.data import AzureData
from tests.azure import tiny
from tests.azure.emulator import Answer, Emulator


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tiny.make(tmp_path / "repository")
    return tmp_path / "repository"


@pytest.fixture
def data(root: Path, logged_in: Emulator) -> AzureData:
    return AzureData(Connection(root, load_settings(root)))


def test_push_uploads_once_with_digest_and_window(data: AzureData, logged_in: Emulator, root: Path):
    pushed = data.push("tiny")
    assert (pushed.name, pushed.version, pushed.window, pushed.new) == (
        "tinydata",
        "1",
        "2013-01..2013-02",
        True,
    )
    (put,) = [e.request.json for e in logged_in.calls("PUT", "/data/tinydata/versions/1")]
    assert put["properties"]["tags"] == {
        "window": "2013-01..2013-02",
        "mlops.data.digest": pushed.digest,
        "mlops.data.window": "2013-01..2013-02",
    }
    manifest = json.loads((root / ".mlops/data/tinydata/1/manifest.json").read_text())
    assert pushed.digest == manifest["digest"]
    account = next(
        a
        for a, c in logged_in.blobs.accounts.items()
        if any("LocalUpload" in n for b in c.values() for n in b)
    )
    names = [n for c in logged_in.blobs.accounts[account] for n in logged_in.blobs.names(account, c)]
    assert {n.rsplit("/", 1)[-1] for n in names} == {"a.txt", "manifest.json"}, "the manifest travels along"

    before = len(logged_in.calls("PUT", ""))
    again = data.push("tiny")
    assert (again.new, again.digest) == (False, pushed.digest)
    assert len(logged_in.calls("PUT", "")) == before
    assert data.resolve("tinydata", "1").startswith("azureml://")


def test_other_data_under_the_same_version_are_refused(data: AzureData, logged_in: Emulator, root: Path):
    data.push("tiny")
    (root / ".mlops/data/tinydata/1/a.txt").write_text("other ")
    with pytest.raises(IntegrityError, match="delete the folder, and they are loaded again"):
        data.push("tiny")
    for path in sorted((root / ".mlops/data").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    source = root / "src/tiny_usecase/__init__.py"
    source.write_text(source.read_text().replace('"data "', '"changed "'))
    import sys

    sys.modules.pop("tiny_usecase")
    with pytest.raises(
        IntegrityError, match=r"the workspace has other data as tinydata:1 .*raise `version` in"
    ):
        data.push("tiny")


def test_the_storage_account_refuses(data: AzureData, logged_in: Emulator):
    body = b"<Error><Code>AuthorizationPermissionMismatch</Code></Error>"
    kind = {"content-type": "application/xml", "x-ms-error-code": "AuthorizationPermissionMismatch"}
    logged_in.fail("PUT", "blob.core.windows.net", Answer(403, body, kind), times=9)
    logged_in.fail("HEAD", "blob.core.windows.net", Answer(403, None, kind), times=9)
    with pytest.raises(
        TargetError, match=r"cannot upload the data asset tinydata .*You don't have permission"
    ):
        data.push("tiny")
