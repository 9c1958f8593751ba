"""`model.yaml` is what a reviewer trusts: a slip in it is an error with a line, never a gate that is off."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.spec.gatepolicy import load_gates

ROOT = Path(__file__).parents[5]
TEXT = (ROOT / "pipelines/flights/model.yaml").read_text(encoding="utf-8")


def test_the_policy_of_the_repository_is_valid():
    policy = load_gates(ROOT, "flights")
    assert policy.onnx.required and policy.signature.compatible_with_live
    assert policy.champion.metric == "roc_auc" and policy.champion.max_drop < 0.05


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "max_drop: 0.005",
            "max_dropp: 0.005",
            r"model\.yaml:\d+: champion\.max_dropp.*did you mean 'max_drop'",
        ),
        ("max_drop: 0.005", "max_drop: -0.005", r"champion\.max_drop.*greater than or equal to 0"),
        ("max_drop: 0.005", "max_drop: .nan", r"champion\.max_drop"),
        ("confidence: 0.95", "confidence: 0.4", r"champion\.confidence.*greater than 0\.5"),
        ("roc_auc: {min: 0.62}", "roc_auc: {}", r"metrics\.roc_auc.*give min, max or both"),
        ("roc_auc: {min: 0.62}", "roc_auc: {min: 0.9, max: 0.1}", r"max 0\.1 is below min 0\.9"),
        ("roc_auc: {min: 0.62}", "roc_auc: {min: .nan}", r"metrics\.roc_auc\.min.*finite"),
        ("direction: higher\n", "direction: up\n", r"champion\.direction.*'higher' or 'lower'"),
        ("contract: {max_violations: 0}\n", "", r"contract: required, but not given"),
        ("size: {max_megabytes: 20}", "size: {max_megabytes: 0}", r"size\.max_megabytes"),
    ],
)
def test_a_slip_is_an_error_with_file_and_field(tmp_path: Path, old: str, new: str, words: str):
    assert old in TEXT
    path = tmp_path / "pipelines/flights/model.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(InvalidInput, match=words):
        load_gates(tmp_path, "flights")
