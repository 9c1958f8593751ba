"""`mlops sign` makes a signature, keeps a valid one, and says what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner, Result

import mlops.targets
from mlops.cli import _app, _verbs  # noqa: F401  registers the commands
from mlops.lifecycle.propose.release import release_text
from mlops.serving import testing
from mlops.spec.gates import GateReport, GateResult, Interval
from mlops.spec.release import Data, Release, Source
from mlops.spec.settings import Settings
from mlops.targets._record_seal import record_seal
from mlops.targets.base import Target
from mlops.targets.memory import MemoryRegistry


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    digest = testing.write_onnx(tmp_path / "model")
    source = Source(commit="a" * 40, actor="ada", run_id="r", pipeline="p", pipeline_digest=digest)
    data = Data(name="d", version="1", digest=digest, window="2013-01..2013-03", test_window="2013-04")
    release = Release(
        model="freight", version=1, digest=digest, created="2026-01-01T00:00:00Z", source=source, data=data,
        environment=digest, metrics={"auc": Interval(value=0.7, low=0.6, high=0.8)},
        gates=[GateResult(name="a", verdict="pass", observed="1", limit="1")],
    )  # fmt: skip
    (tmp_path / "releases" / "freight").mkdir(parents=True)
    (tmp_path / "releases" / "freight" / "1.yaml").write_text(release_text(release))
    registry = MemoryRegistry()
    registry.add(release, tmp_path / "model")
    report = GateReport(
        model="freight", version=1, champion=None, rows=9, confidence=0.95, metrics=release.metrics,
        gates=release.gates,
    )  # fmt: skip
    (tmp_path / "gates").mkdir()
    (tmp_path / "gates" / "1.json").write_text(report.model_dump_json())
    registry.add_artifacts("r", tmp_path / "gates", "gates")
    nothing: Any = None
    target = Target("memory", nothing, registry, nothing, nothing, nothing)

    def opened(_: object, root: Path, found: Settings) -> Target:
        registry.sealing = record_seal(root, found)
        return target

    monkeypatch.setattr(mlops.targets, "open_target", opened)
    settings(tmp_path, 'public_key = "team.pub"')
    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    (tmp_path / "team.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "team.pub").write_bytes(
        key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return tmp_path


def settings(root: Path, signing: str) -> None:
    (root / "mlops.toml").write_text(
        f'[project]\nname = "freight-mlops"\n[models.freight]\nusecase = "freight"\n[signing]\n{signing}\n'
    )


def call(root: Path, version: str = "1") -> Result:
    return CliRunner().invoke(_app.app, ["-C", str(root), "sign", version])


def test_it_signs_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_SIGNING_KEY", str(root / "team.pem"))
    done = call(root)
    assert done.exit_code == 0, done.output
    assert "release 1 of freight is signed: releases/freight/1.sig" in done.stdout
    assert (root / "releases" / "freight" / "1.sig").is_file()
    assert "nothing to do" in call(root).stdout


@pytest.mark.parametrize(
    ("signing", "version", "code", "sentence"),
    [
        ("", "1", 5, "set signing.public_key or signing.identity"),
        ('records_key = "https://v.vault.azure.net/keys/k"', "1", 5, "records_key needs records"),
        ('records = "team.pub"\nrecords_key = "https://evil.example/keys/k"', "1", 5, "records_key"),
        ('records = "team.pub"', "1", 3, "there is no key here to sign with"),
        ('public_key = "team.pub"', "1", 3, "there is no key here; set MLOPS_SIGNING_KEY"),
        ('public_key = "team.pub"', "9", 6, "there is no release 9 of freight"),
        ("required = true", "1", 5, "whose signature would count"),
        ('public_key = "a"\nidentity = "b"', "1", 5, "not both"),
    ],
)
def test_refusals_say_what_to_do(root: Path, signing: str, version: str, code: int, sentence: str) -> None:
    settings(root, signing)
    done = call(root, version)
    assert (done.exit_code, sentence in " ".join(done.stderr.split())) == (code, True), done.output


def test_the_record_of_what_was_released_before_is_signed_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(root, 'records = "team.pub"')
    monkeypatch.setenv("MLOPS_SIGNING_KEY", str(root / "team.pem"))
    done = call(root)
    assert done.exit_code == 0, done.output
    assert "the record of release 1 of freight is signed" in done.stdout
    assert not (root / "releases" / "freight" / "1.sig").exists()
    assert "nothing to do" in call(root).stdout
