"""Bootstrap names its own key of records only where nobody has chosen one: what that one signed must go on
counting."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mlops.bootstrap.records import record_steps
from mlops.spec.signing import SigningSettings

OURS = "https://kv.vault.azure.net/keys/records"


@pytest.mark.parametrize(
    ("signing", "steps"),
    [
        (SigningSettings(), 2),
        (SigningSettings(records="environments/records.pub", records_key=OURS), 2),
        (SigningSettings(records="team.pub"), 0),
        (SigningSettings(records="team.pub", records_key="https://own.vault.azure.net/keys/k"), 0),
    ],
)
def test_a_key_that_a_person_chose_is_kept(signing: SigningSettings, steps: int) -> None:
    world: Any = SimpleNamespace(settings=SimpleNamespace(signing=signing), records_url=OURS)
    assert len(record_steps(world)) == steps
