"""A model that nobody trusted has signed is loaded by no server, not after a restart either."""

from __future__ import annotations

import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from signed_world import Case, sign_by_another_key

from mlops.errors import IntegrityError, NotFound, TargetError
from mlops.serving import testing
from mlops.serving.score import signing
from mlops.serving.score.lock import owner
from mlops.spec.signing import signed_release
from mlops.targets.local.endpoints import LocalEndpoints


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_an_endpoint_loads_only_what_is_signed_also_after_a_restart(case: Case) -> None:
    signed = partial(signed_release, case.root, case.settings)
    endpoints = LocalEndpoints(case.root / "endpoints", signed=signed)
    with pytest.raises(IntegrityError, match="sig does not exist, and models must be signed here"):
        endpoints.create("prod", "blue", case.release, case.folder)
    assert not endpoints.state("prod", "freight").deployments
    case.sign()
    folder = case.root / "endpoints" / "prod" / "freight"
    endpoints.create("prod", "blue", case.release, case.folder)
    try:
        assert endpoints.score("prod", "freight", testing.body(1))["predictions"]
        # The signature is exchanged while the server is down.
        server = owner(folder)
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        while owner(folder) is not None:
            time.sleep(0.01)
        sign_by_another_key(case)
        with pytest.raises(NotFound, match=r"cannot take traffic: .* is not signed by"):
            endpoints.set_traffic("prod", "freight", {"blue": 100})
        with pytest.raises(TargetError, match="answered 503"):
            endpoints.score("prod", "freight", testing.body(1))
    finally:
        endpoints.stop("prod", "freight")


def test_the_container_ends_before_it_loads_what_is_not_signed(
    case: Case, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from mlops.serving.http import container

    shutil.copytree(case.folder, case.root / "mounted" / "model")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(case.root / "mounted"))
    monkeypatch.setenv(signing.PUBLIC_KEY, str(case.root / "team.pub"))
    monkeypatch.setenv(signing.SIGNATURE, str(case.signature))
    assert container.main() == IntegrityError.exit_code
    assert "models must be signed here" in caplog.text
