"""The command line: one page a panel of `mlops --help`, and an overview with what all verbs share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer
from rich.text import Text

from mlops import errors
from mlops.cli._app import app
from mlops.cli._verbs import PANELS
from mlops.reference.markdown import code, literal, page, slug, table

# Typer carries a copy of click that is no public module: commands and parameters have no type to name here.
Command = Any
Parameter = Any

THE_EXAMPLE = "The example"
EXAMPLE = ("<!-- <example> -->", "<!-- </example> -->")
"""What a fork loses with the example stands between these; see template.toml."""


_KINDS = {"str": "TEXT", "path": "PATH", "int": "NUMBER", "float": "NUMBER", "datetime": "TIME"}
"""What Typer calls a type, and what people do."""


@dataclass(frozen=True)
class Verb:
    """One command that does something: `path` is what is typed after `mlops`."""

    path: str
    command: Command
    panel: str

    @property
    def summary(self) -> str:
        """The first sentence of its help."""
        return plain(self.command.help or "").split("\n\n")[0]


def verbs() -> list[Verb]:
    """All that are not hidden, in the order of the help."""
    every = [*_below(typer.main.get_command(app), "", "")]
    order = list(PANELS)
    return sorted(every, key=lambda verb: order.index(verb.panel))


def _below(group: Command, path: str, panel: str) -> Iterator[Verb]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        here = panel or command.rich_help_panel
        full = f"{path} {name}".strip()
        if hasattr(command, "commands"):
            yield from _below(command, full, here)
        else:
            yield Verb(full, command, here)


def overview() -> str:
    """What is common to all verbs, and where each one is."""
    root = typer.main.get_command(app)
    parts = [
        "`mlops OPTIONS VERB …`, in a repository made from the template. `source .venv/bin/activate` "
        "puts it on the path; "
        "`mlops --help` lists the verbs, `mlops VERB --help` says what one does. "
        "`--json` is for machines: results go to standard output, progress and errors to standard error.",
        "## Before the verb",
        options(root),
        "## Verbs",
    ]
    for panel in PANELS:
        rows = [
            (f"[`{v.path}`]({_file(panel)}#{slug('mlops ' + v.path)})", v.summary)
            for v in verbs()
            if v.panel == panel
        ]
        listed = [f"### {panel}", table(("verb", "what it does"), rows)]
        parts += [EXAMPLE[0], *listed, EXAMPLE[1]] if panel == THE_EXAMPLE else listed
    parts += [
        "## Exit codes",
        "They are an interface: CI branches on them. An error is a sentence on standard error; "
        "`MLOPS_DEBUG=1` adds the traceback.",
        _exit_codes(),
    ]
    return page("Command line", *parts)


def pages() -> dict[str, str]:
    """By file name: the overview and one page a panel."""
    by_file = {"cli.md": overview()}
    every = verbs()
    for panel in PANELS:
        parts = [_section(verb) for verb in every if verb.panel == panel]
        by_file[_file(panel)] = page(f"Verbs: {panel}", *parts)
    return by_file


def _file(panel: str) -> str:
    return f"cli-{slug(panel)}.md"


def _section(verb: Verb) -> str:
    arguments = [p for p in verb.command.params if p.param_type_name == "argument"]
    words = [
        f"mlops {verb.path}",
        *(["[OPTIONS]"] if len(arguments) < len(verb.command.params) else []),
        *(_argument(p) for p in arguments),
    ]
    parts = [f"## mlops {verb.path}", plain(verb.command.help or ""), f"```text\n{' '.join(words)}\n```"]
    named = [(code(_argument(p).strip("[]")), plain(p.help or "")) for p in arguments]
    parts += [table(("argument", "meaning"), named), options(verb.command)]
    parts += [_examples(verb.command.epilog or "")]
    return "\n\n".join(part for part in parts if part)


def _argument(argument: Parameter) -> str:
    """As in a line of usage: `ENV`, or `[VERSION]` when it may be left out."""
    name = (argument.metavar or argument.name.upper()).strip("[]")
    return (name if argument.required else f"[{name}]") + ("..." if argument.nargs != 1 else "")


def options(command: Command) -> str:
    """A table of a command's options."""
    rows = [
        (_spelling(p, command), _default(p), plain(p.help or ""))
        for p in command.params
        if p.param_type_name == "option" and not p.hidden
    ]
    return table(("option", "default", "meaning"), rows)


def _spelling(option: Parameter, command: Command) -> str:
    names = ", ".join(code(n) for n in sorted(option.opts, key=len, reverse=True))
    if option.secondary_opts:
        return f"{names} or {', '.join(code(n) for n in option.secondary_opts)}"
    if option.is_flag:
        return names
    context = command.context_class(command, info_name="")
    often = ", repeatable" if option.multiple else ""
    shown = re.sub(
        r"^(?:list\[)?<?([^<>\]]*?)(?: range)?>?\]?$", r"\1", option.display_type_rich(context) or ""
    )
    return f"{names} {code(_KINDS.get(shown, shown))}{often}"


def _default(option: Parameter) -> str:
    if option.required:
        return "required"
    value = option.default
    if value is None or value in ("", [], ()):
        return ""
    if isinstance(value, bool):
        return ("yes" if value else "no") if option.secondary_opts else ""
    return code(str(getattr(value, "value", value)))


def _examples(epilog: str) -> str:
    """`Example: a; then: b` as a block of commands."""
    text = " ".join(epilog.split())
    if not text.startswith("Example: "):
        return text
    lines = re.split(r"; (?:then|or): ", text.removeprefix("Example: "))
    return "<!-- run: example -->\n```sh\n" + "\n".join(lines) + "\n```"


def plain(marked: str) -> str:
    """Help without Rich's markup, one paragraph a block."""
    text = Text.from_markup(re.sub(r"\[([A-Z]+)\]", r"\\[\1]", marked)).plain
    return literal("\n\n".join(" ".join(block.split()) for block in text.split("\n\n")))


def _exit_codes() -> str:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", errors.__doc__ or "", re.MULTILINE)
    return table(("code", "meaning"), [(code(number), meaning) for number, meaning in rows])
