"""Writes the tables of docs/security.md: `python -m mlops.infra.security_page` (`--check` in a test).

Text outside the two markers belongs to people; what is between them belongs to this module.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mlops.errors import InvalidInput
from mlops.infra import roles

PAGE = Path("docs/security.md")
"""From the root of the repository."""
BEGIN = "<!-- begin: written by python -m mlops.infra.security_page from mlops/infra/roles.py -->"
END = "<!-- end -->"


def tables() -> str:
    """The identities, who holds which role where, and what the custom roles allow, as Markdown."""
    lines = ["### Identities", "", "| identity | what it is for |", "|---|---|"]
    lines += [f"| {name} | {what} |" for name, what in roles.IDENTITIES.items()]
    lines += [
        "",
        "### Role assignments",
        "",
        "| identity | role | at | why | when |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {g.identity} | {g.role} | {g.scope} | {g.why} | {g.when} |" for g in roles.GRANTS]
    lines += ["", "### Custom roles", ""]
    for role in roles.CUSTOM:
        lines += [f"**{role.name}**, for the {role.where}: {role.description}", ""]
        lines += [f"- `{action}`" for action in role.actions]
        lines += [""]
    return "\n".join(lines).rstrip()


def page(text: str) -> str:
    """`text` with the part between the markers replaced; raises `InvalidInput` when a marker is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise InvalidInput(f"docs/security.md must keep the lines {BEGIN!r} and {END!r}; put them back")
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` only say whether it is current (exit 5 when it is not)."""
    text = PAGE.read_text(encoding="utf-8")
    wanted = page(text)
    if "--check" in arguments:
        if text != wanted:
            sys.stderr.write(
                "docs/security.md is not what the code says; run python -m mlops.infra.security_page\n"
            )
            return InvalidInput.exit_code
        return 0
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
