"""Formats of the files in git, of the stack files, and of the events."""

from __future__ import annotations

from pathlib import Path

from mlops.infra import config
from mlops.reference.fields import sections
from mlops.reference.markdown import NOTICE, page, prose, table
from mlops.spec.desired import DesiredState
from mlops.spec.events import FACTS
from mlops.spec.policy import Freeze, Policy
from mlops.spec.release import Release
from mlops.spec.settings import Settings

_STRICT = (
    "Every file is read strictly: an unknown key, a wrong value or a missing one is refused with file, "
    "line, field and "
    "what is allowed. `mlops check` reads them all."
)
_DURATION = "A duration is text such as `500ms`, `60s`, `15m`, `24h` or `7d`; a bare number is seconds."


def _schema(name: str) -> str:
    return f"JSON Schema: [`docs/schemas/{name}.json`](../schemas/{name}.json)."


def pages(root: Path) -> dict[str, str]:
    """By file name."""
    return {
        "settings.md": page(
            "`mlops.toml`",
            "The fork's settings: project, models, forge, targets. Every other file takes names from here.",
            f"{_schema('settings')} Its first line, `#:schema docs/schemas/settings.json`, tells editors.",
            sections(Settings),
        ),
        "desired.md": page(
            "`environments/<env>/<model>.yaml`",
            "What one environment serves of one model. `mlops apply` makes it so.",
            f"{_schema('desired')} {_DURATION}",
            sections(DesiredState),
        ),
        "policy.md": page(
            "`environments/policy.yaml`",
            "The order of the environments, and what each one asks of a release.",
            f"{_schema('policy')} {_DURATION}",
            sections(Policy),
        ),
        "freeze.md": page(
            "`environments/freeze.yaml`",
            "When nothing new may be deployed. Going back to an earlier release stays possible.",
            _schema("freeze"),
            sections(Freeze),
        ),
        "release.md": page(
            "`releases/<model>/<version>.yaml`",
            "An immutable record, written by `mlops release`. `mlops check` refuses an edit of one that "
            "is committed.",
            _schema("release"),
            sections(Release),
        ),
        "stack.md": _stack(),
        "events.md": _events(),
    }


def _stack() -> str:
    return page(
        "`environments/Pulumi.<stack>.yaml`",
        "What Azure has in one environment; read by `pulumi up` and by `mlops infra plan`. Keys start "
        "with `mlops:`; "
        "`mlops:kind` says which of the two models below the file is.",
        "## Stacks `dev`, `staging`, `prod`",
        sections(config.EnvironmentStack, prefix="mlops:", level=3),
        "## Stack `shared`",
        sections(config.SharedStack, prefix="mlops:", level=3),
    )


def _events() -> str:
    parts = []
    for name, fact in FACTS.items():
        parts += [f"## {name}", _schema(name.replace("mlops.", "event.", 1)), sections(fact, level=3)]
    return page(
        "Events",
        "The data of each CloudEvent that the lifecycle tells. [Events](../events.md) says who tells it "
        "and when.",
        *parts,
    )


def index() -> str:
    """Where to look."""
    files = [
        ("`mlops.toml`", "[settings](settings.md)"),
        ("`environments/<env>/<model>.yaml`", "[desired state](desired.md)"),
        ("`environments/policy.yaml`", "[order, soak, approvals](policy.md)"),
        ("`environments/freeze.yaml`", "[freeze windows](freeze.md)"),
        ("`environments/Pulumi.<stack>.yaml`", "[what Azure has](stack.md)"),
        ("`releases/<model>/<version>.yaml`", "[what was released](release.md)"),
        ("`pipelines/<model>/model.yaml`", "[gates](gates.md)"),
        (
            "`pipelines/<model>/*.yml`",
            "Azure ML's own formats; `mlops pipeline lint` checks them, each file names its schema",
        ),
    ]
    return (
        "\n\n".join(
            [
                NOTICE,
                "# Reference",
                prose(
                    "Written from the code by `make reference`; a test fails when a page and the code "
                    "disagree."
                ),
                "- [Command line](cli.md): every verb, its options, exit codes\n"
                "- [Gates and rules](gates.md): what decides about a version, and about a move\n"
                "- [Events](events.md): what is told\n"
                "- [Environment variables](variables.md)",
                "## Files",
                table(("file", "format"), files),
                _STRICT,
            ]
        )
        + "\n"
    )
