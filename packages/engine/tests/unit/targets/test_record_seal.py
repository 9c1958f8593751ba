"""Who may write a registry's tags must not be able to say what training decided: a record counts with the
signature of the identity that trains, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from engine_world import make_release

from mlops.errors import Blocked, IntegrityError, InvalidInput
from mlops.lifecycle.desired.proven import keep_released, recorded, unproven, vouch
from mlops.spec.gates import GateReport
from mlops.spec.proof import Recorded, differences, fact_tags, judged_tags, released_tags
from mlops.spec.release import Release
from mlops.spec.signing import SigningSettings
from mlops.targets._record_seal import KEY, RecordKey, public_pem
from mlops.targets.memory import MemoryRegistry

FILE = "environments/records.pub"
SETTINGS = SigningSettings(records=FILE)


def new_key(make: Callable[[], Any] = lambda: ec.generate_private_key(ec.SECP256R1())) -> tuple[bytes, str]:
    """The private file, and its public block."""
    key = make()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private, public.decode()


class Place:
    """A repository with a file of public keys, and the private key of the first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.private, public = new_key()
        (root / "environments").mkdir()
        self.file = root / FILE
        self.file.write_text(public)

    def trains(self, private: bytes | None = None) -> RecordKey:
        path = self.root / "private.pem"
        path.write_bytes(private or self.private)
        return RecordKey(self.root, SETTINGS, {KEY: str(path)})

    def promotes(self) -> RecordKey:
        return RecordKey(self.root, SETTINGS, {})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_who_trains_signs_and_everybody_checks(place: Place) -> None:
    seal = place.trains().made(b"said")
    assert place.promotes().holds(b"said", seal)
    assert not place.promotes().holds(b"sain", seal)
    with pytest.raises(Blocked, match="no key here to sign with"):
        place.promotes().made(b"said")


@pytest.mark.parametrize("seal", ["", "x", "Ä", "=" * 86, "A" * 86, "A" * 88, "A" * 4000, "\n"])
def test_what_is_no_signature_holds_nothing(place: Place, seal: str) -> None:
    assert not place.promotes().holds(b"said", seal)


def test_a_key_that_nobody_trusts_records_nothing(place: Place) -> None:
    with pytest.raises(IntegrityError, match="not the private half"):
        place.trains(new_key()[0]).made(b"said")


def test_a_new_key_beside_the_old_one_keeps_what_that_signed(place: Place) -> None:
    old = place.trains().made(b"said")
    private, public = new_key()
    place.file.write_text(place.file.read_text() + public)
    assert place.promotes().holds(b"said", old)
    assert place.promotes().holds(b"now", place.trains(private).made(b"now"))
    place.file.write_text(public)
    assert not place.promotes().holds(b"said", old)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no key\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        new_key(lambda: ec.generate_private_key(ec.SECP384R1()))[1],
        new_key(lambda: rsa.generate_private_key(65537, 2048))[1],
        new_key()[0].decode(),
    ],
)
def test_a_file_of_other_keys_believes_nothing(place: Place, text: str) -> None:
    place.file.write_text(text)
    with pytest.raises(InvalidInput, match=FILE):
        place.promotes().holds(b"said", "A" * 86)


@pytest.mark.parametrize("private", [b"no key", new_key(lambda: ec.generate_private_key(ec.SECP384R1()))[0]])
def test_a_file_that_is_no_key_to_sign_with_is_a_sentence(place: Place, private: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"private\.pem"):
        place.trains(private).made(b"said")


def test_a_point_of_a_vault_is_the_block_of_the_file(place: Place) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    numbers = key.public_numbers()
    pem = public_pem(numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big"))
    assert pem == key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


# --- what that is for ---------------------------------------------------------------------------------------


class Shared:
    """A registry whose tags anybody here writes, with one release."""

    def __init__(self, place: Place, seal: RecordKey | None) -> None:
        self.place = place
        self.registry = MemoryRegistry()
        self.release = make_release(1)
        self.registry.add(self.release, place.root)
        self.registry.tag("freight", 1, dict.fromkeys(self.records))
        self.registry.sealing = seal

    @property
    def records(self) -> list[str]:
        return [t for t in self.version.tags if t.startswith(("mlops.judged", "mlops.released"))]

    @property
    def version(self) -> Any:
        return self.registry.get("freight", 1)

    def record(self) -> Recorded:
        return recorded(self.registry, self.version)

    def released(self, release: Release | None = None) -> None:
        self.registry.tag("freight", 1, released_tags(self.record(), release or self.release))

    def report(self, name: str, folder: Path) -> GateReport:
        made = GateReport(
            model="freight", version=1, champion=None, rows=9, confidence=0.95, metrics=self.release.metrics,
            gates=self.release.gates, gates_digest=self.release.gates_digest,
        )  # fmt: skip
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(made.model_dump_json())
        self.registry.add_artifacts(self.version.run_id, folder, "gates")
        return made


def wrong(shared: Shared) -> list[str]:
    shared.registry.sealing = shared.place.promotes()
    return [field for field, _ in unproven(shared.release, shared.record(), verified=True)]


def test_nothing_that_promote_writes_proves_a_release(place: Place, tmp_path: Path) -> None:
    # Tags as the lifecycle writes them, but without its signature, or with that of another version.
    shared = Shared(place, None)
    shared.released()
    assert wrong(shared) == ["gates"]
    other = Recorded("freight", 2, fact_tags(shared.release), "run", place.trains())
    tags = released_tags(other, shared.release)
    shared.registry.tag("freight", 1, tags)
    assert wrong(shared) == ["gates"]
    # No record at all, and a journal that says that it was verified.
    shared.registry.tag("freight", 1, dict.fromkeys(shared.records))
    assert wrong(shared) == ["gates"]
    # A report beside its run, which gates that are run again would take up.
    shared.report("1.released.json", tmp_path / "reports")
    shared.registry.sealing = place.trains()
    keep_released(place.root, shared.registry, shared.version)
    assert shared.records == []


def test_garbage_in_place_of_a_release_does_not_hide_what_was_judged(place: Place, tmp_path: Path) -> None:
    shared = Shared(place, place.trains())
    report = shared.report("1.json", tmp_path / "reports")
    shared.registry.tag("freight", 1, judged_tags(shared.record(), report, shared.release.created))
    assert wrong(shared) == []
    shared.registry.tag("freight", 1, {"mlops.released.0": "{}", "mlops.released.seal": "x"})
    assert wrong(shared) == []


def test_a_fact_that_is_changed_after_the_signature_is_found(place: Place) -> None:
    shared = Shared(place, place.trains())
    shared.released()
    assert wrong(shared) == []
    shared.registry.tag("freight", 1, {"mlops.digest": "sha256:" + "9" * 64})
    assert wrong(shared) == ["digest", "gates"]


def test_a_person_signs_what_was_released_before(place: Place, tmp_path: Path) -> None:
    shared = Shared(place, None)
    shared.released()
    report = tmp_path / "reports"
    shared.registry.sealing = place.trains()
    shared.report("1.released.json", report)
    assert vouch(shared.registry, shared.release)
    assert not vouch(shared.registry, shared.release), "twice changes nothing"
    assert wrong(shared) == []


def test_nobody_signs_what_the_report_contradicts(place: Place, tmp_path: Path) -> None:
    shared = Shared(place, place.trains())
    shared.report("1.released.json", tmp_path / "reports")
    better = shared.release.model_copy(update={"gates": []})
    with pytest.raises(IntegrityError, match="nothing was signed"):
        vouch(shared.registry, better)
    moved = shared.release.model_copy(update={"digest": "sha256:" + "9" * 64})
    with pytest.raises(IntegrityError, match="digest"):
        vouch(shared.registry, moved)
    assert differences(shared.release, shared.record())
