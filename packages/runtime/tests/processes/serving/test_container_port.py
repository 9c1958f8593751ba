"""A container listens where it was told to, or ends: who probes and routes knows no other port."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mlops.errors import InvalidInput, TargetError
from mlops.serving import testing
from mlops.serving.http import container


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    testing.write_onnx(tmp_path / "mounted" / "model")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path / "mounted"))
    monkeypatch.setenv("MLOPS_HOST", "127.0.0.1")


@pytest.mark.usefixtures("mounted")
def test_a_port_that_another_process_has_ends_the_container(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("MLOPS_PORT", str(port))
        assert container.main() == TargetError.exit_code
    assert f"port {port} of 127.0.0.1" in caplog.text and "MLOPS_PORT" in caplog.text


@pytest.mark.usefixtures("mounted")
@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "5001.0", "\u0665\u0660\u0660\u0661"])
def test_a_port_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, port: str
) -> None:
    monkeypatch.setenv("MLOPS_PORT", port)
    assert container.main() == InvalidInput.exit_code
    assert "MLOPS_PORT" in caplog.text
