"""A model that nobody trusted has signed is never loaded where signatures are required: not by the verb, not
by the endpoint, not after a restart. A check that lets one kind of forgery through is worth nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from signed_world import Case, make_key, sign_by_another_key

from mlops.errors import Blocked, IntegrityError, InvalidInput
from mlops.lifecycle.apply.sign import sign_release, verify_release
from mlops.serving import testing
from mlops.serving.score import signing
from mlops.spec.signing import Signed, SigningSettings


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_a_signed_release_is_loaded_and_signed_once(case: Case) -> None:
    assert case.sign() == "releases/freight/1.sig"
    case.verify()
    before = case.signature.read_bytes()
    assert case.sign() is None, "a valid signature stays"
    assert case.signature.read_bytes() == before
    assert json.loads(before)["mediaType"].startswith("application/vnd.dev.sigstore.bundle")


def change_a_file(case: Case) -> None:
    path = case.folder / "onnx" / "model.onnx"
    path.write_bytes(path.read_bytes() + b"\0")


def add_a_file(case: Case) -> None:
    (case.folder / "extra.py").write_text("import os")


def remove_a_file(case: Case) -> None:
    (case.folder / "sample.json").unlink()


def remove_the_signature(case: Case) -> None:
    case.signature.unlink()


def change_the_statement(case: Case) -> None:
    bundle = json.loads(case.signature.read_text())
    statement = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    change_a_file(case)
    digest = hashlib.sha256((case.folder / "onnx" / "model.onnx").read_bytes()).hexdigest()
    value = json.loads(statement)
    for resource in value["predicate"]["resources"]:
        if resource["name"] == "onnx/model.onnx":
            resource["digest"] = digest
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(value).encode()).decode()
    case.signature.write_text(json.dumps(bundle))


def write_nonsense(case: Case) -> None:
    case.signature.write_text("signed, honestly")


def lose_the_public_key(case: Case) -> None:
    (case.root / "team.pub").unlink()


@pytest.mark.parametrize(
    ("forge", "sentence"),
    [
        (change_a_file, "is not signed by .*team.pub .*Signature mismatch"),
        (add_a_file, "is not signed by"),
        (remove_a_file, "is not signed by"),
        (remove_the_signature, "1.sig does not exist, and models must be signed here"),
        (sign_by_another_key, "is not signed by .*which key is the right one"),
        (change_the_statement, "is not signed by"),
        (write_nonsense, "is not signed by"),
        (lose_the_public_key, "team.pub does not exist"),
    ],
)
def test_every_forgery_is_refused(case: Case, forge: Callable[[Case], None], sentence: str) -> None:
    case.sign()
    case.verify()
    forge(case)
    with pytest.raises(IntegrityError, match=sentence):
        case.verify()


def test_a_signature_of_another_model_does_not_count(case: Case, tmp_path: Path) -> None:
    testing.write_onnx(tmp_path / "second", bias=1.0)
    signing.sign(tmp_path / "second", case.signature, case.private)
    with pytest.raises(IntegrityError, match="is not signed by"):
        case.verify()


def test_keys_that_are_none_or_not_the_trusted_one_sign_nothing(case: Case) -> None:
    other, _ = make_key(case.root, "other")
    with pytest.raises(IntegrityError, match="is not signed by"):
        case.sign(other)
    assert not case.signature.exists(), "a signature that will not be trusted is not left behind"
    with pytest.raises(InvalidInput, match="does not exist; MLOPS_SIGNING_KEY names it"):
        case.sign(case.root / "nowhere.pem")
    (case.root / "bad.pem").write_text("no key")
    with pytest.raises(InvalidInput, match="is no key to sign with"):
        case.sign(case.root / "bad.pem")


def test_an_encrypted_key_needs_its_password(case: Case) -> None:
    locked, public = make_key(case.root, "locked", "open sesame")
    case.settings = SigningSettings(required=True, public_key=public.name)
    with pytest.raises(InvalidInput, match="is no key to sign with"):
        case.sign(locked, "wrong")
    assert case.sign(locked, "open sesame")
    case.verify()


def test_without_a_key_a_required_signature_blocks_and_an_optional_one_is_left_out(case: Case) -> None:
    with pytest.raises(Blocked, match="must be signed, and there is no key here; set MLOPS_SIGNING_KEY"):
        sign_release(case.root, case.registry, case.release, case.settings, {})
    optional = case.settings.model_copy(update={"required": False})
    assert sign_release(case.root, case.registry, case.release, optional, {}) is None
    verify_release(case.root, "freight", 1, case.folder, optional)
    assert sign_release(case.root, case.registry, case.release, SigningSettings(), {}) is None


@pytest.mark.parametrize(
    "settings",
    [{"required": True}, {"public_key": "a.pub", "identity": "https://x"}],
)
def test_settings_that_trust_nobody_or_two_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"public_key (or|and)? ?identity|not both"):
        SigningSettings(**settings)


def test_a_deployments_environment_says_what_is_required(tmp_path: Path) -> None:
    assert signing.signed_from({}) is None
    found = signing.signed_from({signing.PUBLIC_KEY: "k.pub", signing.SIGNATURE: "m.sig"})
    assert found == Signed(signature=Path("m.sig"), public_key=Path("k.pub"))
    keyless = signing.signed_from({signing.IDENTITY: "https://x", signing.SIGNATURE: "m.sig"})
    assert keyless is not None and keyless.identity == "https://x"
    with pytest.raises(IntegrityError, match="MLOPS_MODEL_SIGNATURE names no signature"):
        signing.signed_from({signing.PUBLIC_KEY: "k.pub"})


def test_a_keyless_signature_by_a_key_is_refused_offline(case: Case) -> None:
    case.sign()
    wanted = Signed(signature=case.signature, identity="https://github.com/o/n/.github/workflows/t.yml@x")
    with pytest.raises(IntegrityError, match="is not signed by https://github"):
        signing.verify(case.folder, wanted)
