"""What `--help` shows: plain text, verbs below the headings of `_verbs.PANELS`.

Typer's boxes would import Rich with its Markdown, traceback and syntax parts, a third of the time that
`mlops --help` takes.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

DAY = ("train", "runs", "compare", "gate", "release", "promote", "status")
"""What a day is made of; the help begins with it."""
ONE_SENTENCE = 1000
"""Characters; more than a docstring's first sentence has. It is wrapped, not cut."""


_ALSO = {"env": ("--env", "-e"), "version": ("--version",)}


def positional(command: Any, args: list[str]) -> list[str]:
    """`args` with what is named by an option of `_ALSO` where `command` takes an argument of that name."""
    takes = [p.name for p in command.params if p.param_type_name == "argument" and p.name in _ALSO]
    first: list[str] = []
    rest = list(args)
    for name in takes:
        for at, word in enumerate(rest):
            if word == "--":
                break
            flag, equals, value = word.partition("=")
            if flag not in _ALSO[name]:
                continue
            if equals:
                first.append(value)
                del rest[at]
            elif at + 1 < len(rest):
                first.append(rest[at + 1])
                del rest[at : at + 2]
            break
    return first + rest


class Group(TyperGroup):
    """A group of verbs, listed by heading."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """ENV and VERSION are positional in every verb; `--env ENV` and `--version VERSION` say the same."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command, rest if command is None else positional(command, rest)

    # Typer carries a copy of click that is no public module: neither argument has a type to name here.
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each heading, in the order of their first verbs."""
        shown = [(name, command) for name, command in self.commands.items() if not command.hidden]
        widest = max((len(name) for name, _ in shown), default=0)
        sections: dict[str, list[tuple[str, str]]] = {}
        first = {name: command for name, command in shown if name in DAY}
        if len(first) == len(DAY):
            sections["Every day"] = [
                (n.ljust(widest), first[n].get_short_help_str(ONE_SENTENCE)) for n in DAY
            ]
        for name, command in shown:
            if "Every day" in sections and name in DAY:
                continue
            heading = getattr(command, "rich_help_panel", None) or "Verbs"
            row = (name.ljust(widest), command.get_short_help_str(ONE_SENTENCE))
            sections.setdefault(heading, []).append(row)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)
