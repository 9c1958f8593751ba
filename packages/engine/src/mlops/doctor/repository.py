"""What the files of this checkout say, without asking anybody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mlops.bootstrap.world import STATE, Stack, read_stack
from mlops.doctor.case import Case
from mlops.doctor.finding import Check, Finding
from mlops.errors import InvalidInput
from mlops.infra.stack_names import SHARED, stack_names
from mlops.spec import files as spec_files
from mlops.spec.naming import RULES, Names, check_compute

_PLACEHOLDERS: Final = (
    (re.compile(r"\bOWNER/REPO\b"), "OWNER/REPO"),
    (re.compile(r"@OWNER/"), "@OWNER/"),
    (re.compile(r"@example\.com\b"), "@example.com"),
)
"""What the template leaves for a fork to fill in. Comments are left alone."""
_READ: Final = ("mlops.toml", "environments/Pulumi.*.yaml", "environments/policy.yaml", ".github/CODEOWNERS")
_PARTS: Final = {
    "identity": ("plan", "apply", "train", "promote", "serve", "workspace", "encryption", "events")
}
"""Kinds of which a stack has several: what tells them apart."""


def settings(case: Case) -> Iterator[Finding]:
    """mlops.toml can be read, and the code that it names is there."""
    for name, model in case.settings.models.items():
        package = case.root / "src" / Path(*model.usecase.split("."))
        if not package.is_dir() and not package.with_suffix(".py").is_file():
            sentence = f"mlops.toml: models.{name}.usecase: there is no {package.relative_to(case.root)}"
            yield Finding("settings", "error", sentence, f"mlops new-model {name} --help", file=True)
        if not (case.root / "pipelines" / name).is_dir():
            sentence = f"mlops.toml has the model {name}, and there is no pipelines/{name}"
            yield Finding("settings", "error", sentence, f"mlops new-model {name} --help", file=True)


def stacks(case: Case) -> Iterator[Finding]:
    """Every stack file is valid."""
    for name in case.names:
        try:
            read_stack(case.root, case.settings, name)
        except InvalidInput as error:
            for line in str(error).splitlines():
                yield Finding("stack files", "error", line, f"mlops infra plan --stack {name}", file=True)


def policy(case: Case) -> Iterator[Finding]:
    """What is promoted to has a stack."""
    known = set(stack_names(case.root))
    for name in spec_files.load_policy(case.root).order:
        if case.azure and name not in known:
            sentence = (
                f"environments/policy.yaml promotes to {name}, which has no environments/Pulumi.{name}.yaml"
            )
            fix = f"cp environments/Pulumi.staging.yaml environments/Pulumi.{name}.yaml"
            yield Finding("policy", "error", sentence, fix, file=True)


def names(case: Case) -> Iterator[Finding]:
    """Azure takes every name that the program would give."""
    shared = next((s for s in case.stacks if s.name == SHARED), None)
    if shared is not None:
        state = Names(case.settings.project.name, STATE, shared.names.region, shared.names.salt)
        yield from _illegal(state, ("resource_group", "storage_account", "key_vault"), STATE)
    for stack in case.stacks:
        if stack.name == SHARED:
            yield from _illegal(stack.names, ("resource_group", "ml_registry"), stack.name)
        else:
            yield from _environment_names(case, stack)


def _environment_names(case: Case, stack: Stack) -> Iterator[Finding]:
    kinds = [k for k in RULES if not k.endswith("_endpoint") and k not in ("ml_registry", "storage_account")]
    yield from _illegal(stack.names, ("storage_account", *kinds), stack.name)
    for model in case.settings.models:
        for kind in ("online_endpoint", "batch_endpoint"):
            try:
                stack.names.endpoint(kind, model)
            except InvalidInput as error:
                sentence = f"stack {stack.name}: {error}"
                yield Finding("names", "error", sentence, f"git grep -n '{model}' mlops.toml", file=True)
    for compute in getattr(stack.config, "clusters", {}):
        try:
            check_compute(compute)
        except ValueError as error:
            where = f"environments/Pulumi.{stack.name}.yaml"
            yield Finding(
                "names",
                "error",
                f"{where}: cluster {compute}: {error}",
                f"${{EDITOR:-vi}} {where}",
                file=True,
            )


def _illegal(given: Names, kinds: tuple[str, ...], stack: str) -> Iterator[Finding]:
    for kind in kinds:
        for part in _PARTS.get(kind, ("",)):
            try:
                given(kind, part)
            except InvalidInput as error:
                yield Finding(
                    "names", "error", f"stack {stack}: {error}", "${EDITOR:-vi} mlops.toml", file=True
                )


def placeholders(case: Case) -> Iterator[Finding]:
    """What only a fork can fill in is filled in. It matters where Azure or a forge is used."""
    files = []
    for pattern in _READ:
        for path in sorted(case.root.glob(pattern)):
            if not path.is_file():
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            code = "\n".join(_without_comment(line) for line in text.splitlines())
            marks = [shown for expression, shown in _PLACEHOLDERS if expression.search(code)]
            if marks:
                files.append((str(path.relative_to(case.root)), marks))
    if not files:
        return
    if not case.azure and case.forge == "local":
        marks = sorted({mark for _, own in files for mark in own})
        sentence = (
            f"the template's {', '.join(marks)} stand in {len(files)} files; only Azure and a forge read them"
        )
        yield Finding("placeholders", "note", sentence)
        return
    for name, mark in ((name, mark) for name, marks in files for mark in marks):
        trusts = mark == "OWNER/REPO" and case.azure
        sentence = f"{name} still has the template's {mark}"
        if trusts:
            sentence += ": its identities would trust a repository of that name, whoever has it"
        fix = case.bootstrap if trusts else f"${{EDITOR:-vi}} {name}"
        yield Finding("placeholders", "error" if trusts else "warning", sentence, fix, file=True)


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s)#.*$", "", line)


CHECKS: Final = (
    Check("settings", "files", settings, "mlops.toml is valid, and its models are there"),
    Check("stack files", "files", stacks, "valid"),
    Check("policy", "files", policy, "every environment has a stack file"),
    Check("names", "files", names, "Azure takes every name that would be given"),
    Check("placeholders", "files", placeholders, "none is left"),
)
