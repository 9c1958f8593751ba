"""A version that was blocked says so for ever, also when its gates were loosened and it passes."""

from __future__ import annotations

from gate_cases import CANDIDATE, CHAMPION, POLICY, SCHEMA, measured

from mlops.lifecycle.decide.gates import decide
from mlops.lifecycle.train.evidence import BLOCKED_TAG, blocked_before
from mlops.lifecycle.train.versions import VersionRow
from mlops.targets.base import ModelVersion

BLOCKED = decide(measured(contract_violations=["x"]).candidate, CHAMPION, POLICY, SCHEMA)
PASSED = decide(CANDIDATE, CHAMPION, POLICY, SCHEMA)


def test_what_blocked_is_kept_with_the_gates_of_then() -> None:
    first = blocked_before({}, BLOCKED.model_copy(update={"gates_digest": f"sha256:{'a' * 64}"}))
    assert first == {BLOCKED_TAG: "data contract (gates aaaaaaaa)"}
    again = blocked_before(first, BLOCKED.model_copy(update={"gates_digest": f"sha256:{'a' * 64}"}))
    assert again == {}, "the same verdict again adds nothing"
    other = blocked_before(first, BLOCKED.model_copy(update={"gates_digest": f"sha256:{'b' * 64}"}))
    assert other == {BLOCKED_TAG: "data contract (gates aaaaaaaa); data contract (gates bbbbbbbb)"}
    assert blocked_before(first, PASSED) == {}, "a pass takes nothing away"


def test_the_list_of_versions_shows_it() -> None:
    from datetime import UTC, datetime

    tags = {"mlops.gate": "pass", BLOCKED_TAG: "data contract (gates aaaaaaaa)", "mlops.dirty": "true"}
    row = VersionRow.of(ModelVersion("m", 1, "r", "", tags, datetime.now(UTC)))
    assert (row.gate, row.blocked, row.dirty) == ("pass", "data contract (gates aaaaaaaa)", True)
