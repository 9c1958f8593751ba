"""The modules that decide, and the fast tests that are nearest to each."""

from __future__ import annotations


def _of(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"packages/{folder}/test_{name}.py" for name in names)


_GATES = _of("engine/tests/unit/gates", "gate_decisions", "gate_words", "gates_block")
_CHECK = _of(
    "engine/tests/unit/engine", "engine_check_rules", "check_target", "check_sentences", "recorded_rule"
)
_SERVING = "runtime/tests/unit/serving"
_REQUEST = _of(
    _SERVING,
    "request",
    "request_decisions",
    "request_refusals",
    "request_ways",
    "keys_twice",
    "record_order",
)
_LINT = ("packages/lint/tests/unit/lint",)
_LINT_FIELDS = tuple(
    f"packages/lint/tests/unit/lint/test_{name}.py"
    for name in (
        "decisions*",
        "limits_*",
        "public_forms",
        "wrong_edits",
        "second_conditions",
        "job_interface",
        "refused_*",
        "what_stands_elsewhere",
    )
)
"""Of the checks of single fields; what a call of the lint is made of is tested by all."""
_POLICY = (
    "packages/infra/tests/test_policy_*decisions.py",
    "packages/infra/tests/test_kubernetes_versions.py",
)
_RETRAINING = ("packages/engine/tests/unit/lifecycle/test_retraining*.py",)

_LINT_RULES = (
    "asset",
    "automl",
    "check",
    "classify",
    "cluster",
    "command",
    "cron",
    "derive",
    "environment",
    "examine",
    "expression",
    "finding",
    "ignored",
    "interface",
    "job",
    "kinds",
    "machine",
    "memory",
    "monitor",
    "node",
    "parallel",
    "pipeline",
    "references",
    "rules",
    "schedule",
    "serving",
    "shape",
    "silence",
    "spark",
    "sweep",
    "values",
)

_OF_FIELDS = {
    "asset",
    "automl",
    "cluster",
    "command",
    "cron",
    "environment",
    "expression",
    "interface",
    "job",
    "machine",
    "monitor",
    "parallel",
    "pipeline",
    "references",
    "schedule",
    "serving",
    "spark",
    "sweep",
    "values",
}

NEAREST: dict[str, tuple[str, ...]] = {
    "packages/runtime/src/mlops/serving/score/core.py": _of(
        _SERVING, "core", "core_decisions", "labels_at_the_threshold"
    ),
    "packages/runtime/src/mlops/serving/score/request.py": _REQUEST,
    "packages/runtime/src/mlops/serving/score/columns.py": _of(_SERVING, "columns"),
    "packages/runtime/src/mlops/monitoring/judge.py": (
        "packages/runtime/tests/unit/monitoring/test_judge*.py",
        "packages/runtime/tests/unit/monitoring/test_compared_ways.py",
        "packages/runtime/tests/unit/monitoring/test_thresholds.py",
    ),
    "packages/engine/src/mlops/lifecycle/decide/plan.py": _of(
        "engine/tests/unit/engine", "plan_asks", "plan_decisions", "plan_small_worlds", "rollout_[ad]*"
    ),
    "packages/engine/src/mlops/lifecycle/decide/rollout_steps.py": _of(
        "engine/tests/unit/engine", "rollout_steps"
    ),
    "packages/engine/src/mlops/lifecycle/decide/transitions.py": _of(
        "engine/tests/unit/engine", "transitions_table", "transitions_words", "approvals_table"
    ),
    "packages/engine/src/mlops/lifecycle/decide/analysis.py": _of(
        "engine/tests/unit/engine", "engine_analysis", "analysis_clauses", "analysis_edges"
    ),
    "packages/engine/src/mlops/lifecycle/decide/gates.py": _GATES,
    "packages/engine/src/mlops/lifecycle/decide/signature.py": _of(
        "engine/tests/unit/lifecycle", "signature", "signature_worlds"
    ),
    "packages/engine/src/mlops/lifecycle/decide/retraining.py": _RETRAINING,
    "packages/engine/src/mlops/lifecycle/decide/journal.py": _of(
        "engine/tests/unit/engine", "journal_histories"
    ),
    "packages/engine/src/mlops/lifecycle/desired/provenance.py": _of(
        "engine/tests/unit/engine", "engine_provenance", "states_once"
    ),
    "packages/engine/src/mlops/lifecycle/propose/promote.py": _of(
        "engine/tests/unit/engine", "engine_proposals"
    ),
    "packages/engine/src/mlops/lifecycle/desired/check.py": _CHECK,
    "packages/engine/src/mlops/lifecycle/desired/check_rules.py": _CHECK,
    "packages/infra/src/mlops/infra/policy/checks_access.py": _POLICY,
    "packages/infra/src/mlops/infra/policy/checks_data.py": _POLICY,
    "packages/infra/src/mlops/infra/policy/checks_platform.py": _POLICY,
    "packages/infra/src/mlops/infra/policy/checks_unity.py": _POLICY,
    "packages/infra/src/mlops/infra/policy/judge.py": _POLICY,
    "packages/infra/src/mlops/infra/policy/rule.py": _POLICY,
    **{
        f"packages/lint/src/mlops/lint/{name}.py": _LINT_FIELDS if name in _OF_FIELDS else _LINT
        for name in _LINT_RULES
    },
}
