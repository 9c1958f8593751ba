"""Where runs and versions go is what the file says; a variable of the shell counts where it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.spec.settings import Settings, load_settings
from mlops.targets import open_target

BASE = '[project]\nname = "team"\n[models.prices]\nusecase = "prices"\n'


def settings(root: Path, line: str = "") -> Settings:
    (root / "mlops.toml").write_text(BASE + (f"[local]\n{line}\n" if line else ""))
    return load_settings(root)


def test_a_variable_that_nobody_names_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://another.example:5000")
    assert settings(tmp_path).local.server() == ""
    named = settings(tmp_path, 'tracking_uri = "http://ours.example:5000"')
    assert named.local.server() == "http://ours.example:5000"


@pytest.mark.parametrize("written", ["$MLFLOW_TRACKING_URI", "${MLFLOW_TRACKING_URI}"])
def test_a_variable_that_is_named_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    found = settings(tmp_path, f'tracking_uri = "{written}"')
    with pytest.raises(
        InvalidInput, match=r"mlops\.toml: local\.tracking_uri: .* MLFLOW_TRACKING_URI is not set"
    ):
        open_target("local", tmp_path, found)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ours.example:5000")
    assert found.local.server() == "http://ours.example:5000"
    assert open_target("local", tmp_path, found).jobs._tracker.uri == "http://ours.example:5000"  # type: ignore[attr-defined]
