"""What decides: the gates of a new version, the rules of a move, and what is watched in production."""

from __future__ import annotations

import inspect

from mlops.lifecycle.decide.gates import GATES
from mlops.lifecycle.decide.transitions import POLICY_GATES
from mlops.reference.fields import fields, sections
from mlops.reference.markdown import code, page, prose, table
from mlops.spec._base import Spec
from mlops.spec.gatepolicy import (
    AllowCode,
    Believe,
    ChampionGate,
    ContractGate,
    LatencyGate,
    Limits,
    OnnxGate,
    SignatureGate,
    SizeGate,
    SliceGate,
)
from mlops.spec.monitoring import MonitoringPolicy

SECTIONS: dict[str, tuple[str, type[Spec]]] = {
    "limits": ("metrics", Limits),
    "champion": ("champion", ChampionGate),
    "slices": ("slices", SliceGate),
    "onnx": ("onnx", OnnxGate),
    "size": ("size", SizeGate),
    "latency": ("latency", LatencyGate),
    "contract": ("contract", ContractGate),
    "signature": ("signature", SignatureGate),
    "code": ("allow_code", AllowCode),
    "evidence": ("believe", Believe),
}
"""By gate: its section of `model.yaml`, and the model of that section."""

_SHAPES = {
    "limits": "By name of a metric.",
    "slices": "A list; each entry has these fields.",
    "code": "Left out but for such a model.",
    "evidence": "Left out but for a pipeline that gives no test rows (docs/guides/own-pipeline.md).",
}

RULES = {
    "replaces": "What is served is what the file says it replaces, or what its own history leads to. "
    "Otherwise somebody else was faster: fetch, and promote again.",
    "analysis": "This release did not fail its analysis here before. Roll back, or "
    "`mlops apply ENV --clear-hold REASON`.",
    "hold": "No hold is set in the file. A rollback sets one; a person removes it.",
    "freeze": "No window of `environments/freeze.yaml` covers this moment, environment and model.",
    "order": "The environment before serves this release, and it passed there.",
    "soak": "It has been healthy there for as long as `soak` of `environments/policy.yaml` says.",
    "gates": "The release file records no blocked gate, or the bypass names it.",
    "approvals": "Where gates were loosened since what is served, as many people approved as policy asks.",
    "bypass": "A bypass names only rules that a hotfix may skip, and gates of the release.",
}
"""By name: what must be true before a release may enter an environment."""


def gates() -> str:
    """The page."""
    parts = [
        "## Gates of a new version",
        "`pipelines/<model>/model.yaml`. Every section but `allow_code` and `believe` is required, so that "
        "no gate is left out by accident. "
        "JSON Schema: [`docs/schemas/gates.json`](../schemas/gates.json). `mlops gate` gathers the "
        "evidence and decides; "
        "a value that is missing, or no number, blocks.",
        table(
            ("verdict", "meaning"),
            [
                ("`pass`", "proven"),
                ("`blocked`", "refused; `mlops gate` ends with code 3 and nothing is released"),
                ("`skipped`", "there is nothing to compare with yet, and the gate says so"),
                ("`bypassed`", "a hotfix skipped it; who and why is in the desired state"),
            ],
        ),
    ]
    for name, decide in GATES.items():
        if name not in SECTIONS:
            # It goes by another gate's section.
            parts += [f"### {name}", prose(inspect.getdoc(decide) or "")]
            continue
        section, model = SECTIONS[name]
        parts += [
            f"### {section}",
            prose(model.__dict__.get("__doc__") or inspect.getdoc(decide) or ""),
            _SHAPES.get(name, ""),
            fields(model.model_json_schema()),
        ]
    moves = [(code(name), text, "yes" if name in POLICY_GATES else "no") for name, text in RULES.items()]
    parts += [
        "## Rules of a move",
        "Judged by `mlops promote`, `mlops check` in the pull request, and `mlops apply`. A *backward* "
        "move, to an older "
        "release that was verified in this environment, need not meet `hold`, `freeze`, `order`, `soak`, "
        "`gates` and `bypass`. "
        "That a release file, its digest and its commit are genuine is checked for every move and never "
        "skipped.",
        table(("rule", "must be true", "a hotfix may skip it"), moves),
        "## monitoring",
        "In the same file, and no gate: what `mlops monitor` and `mlops retrain` do once a version is live. "
        "[Monitoring](../monitoring.md) explains it.",
        sections(MonitoringPolicy, level=3),
    ]
    return page("Gates and rules", *parts)
