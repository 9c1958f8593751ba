"""The modules that decide, and the fast tests that are nearest to each."""

from __future__ import annotations

_ENGINE = ("tests/unit/engine",)
_GATES = ("tests/unit/gates", "tests/unit/lifecycle/test_signature*.py")
_REQUEST = (
    "tests/unit/serving/test_request*.py",
    "tests/unit/serving/test_c*.py",
    "tests/unit/serving/test_w*.py",
)
_LINT = ("tests/unit/lint",)
_POLICY = ("packages/infra/tests/test_policy_decisions.py",)

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

NEAREST: dict[str, tuple[str, ...]] = {
    "src/mlops/serving/core.py": ("tests/unit/serving/test_core*.py",),
    "src/mlops/serving/request.py": _REQUEST,
    "src/mlops/serving/columns.py": _REQUEST,
    "src/mlops/monitoring/judge.py": (
        "tests/unit/monitoring/test_judge*.py",
        "tests/unit/monitoring/test_thresholds.py",
    ),
    "src/mlops/lifecycle/plan.py": _ENGINE,
    "src/mlops/lifecycle/rollout_steps.py": _ENGINE,
    "src/mlops/lifecycle/transitions.py": _ENGINE,
    "src/mlops/lifecycle/analysis.py": _ENGINE,
    "src/mlops/lifecycle/gates.py": _GATES,
    "src/mlops/lifecycle/signature.py": _GATES,
    "src/mlops/lifecycle/retraining.py": ("tests/unit/lifecycle/test_retraining*.py",),
    "src/mlops/lifecycle/journal.py": _ENGINE,
    "src/mlops/lifecycle/provenance.py": _ENGINE,
    "src/mlops/lifecycle/promote.py": _ENGINE,
    "src/mlops/lifecycle/check.py": _ENGINE,
    "src/mlops/lifecycle/check_rules.py": _ENGINE,
    "packages/infra/src/mlops/infra/policy/checks_access.py": _POLICY,
    "packages/infra/src/mlops/infra/policy/checks_data.py": _POLICY,
    "packages/infra/src/mlops/infra/policy/checks_platform.py": _POLICY,
    "packages/infra/src/mlops/infra/policy/judge.py": _POLICY,
    "packages/infra/src/mlops/infra/policy/rule.py": _POLICY,
    **{f"src/mlops/lint/{name}.py": _LINT for name in _LINT_RULES},
}
